"""Figures: one style, and files that repeat byte for byte."""

from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from msfp.engine.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLUMN = 3.3
"""Width of a text column in inches."""

PAGE = 6.9
"""Width of both columns in inches."""

PALETTE = MappingProxyType(
    {
        "black": "#000000", "orange": "#E69F00", "sky": "#56B4E9", "green": "#009E73", "yellow": "#F0E442",
        "blue": "#0072B2", "vermillion": "#D55E00", "pink": "#CC79A7", "grey": "#7F7F7F",
    }
)  # fmt: skip
ORDER = ("blue", "orange", "black", "sky", "vermillion", "pink", "green")
DASHES = ("-", "--", "-.", ":")
MARKERS = "os^Dv<>PXp*d"
"""Shapes that are told apart in small type."""
FORMATS = ("pdf", "svg", "png")
_NO_DATES: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def set_style() -> None:
    """Set matplotlib's defaults: small type for a 3.3 inch column, embedded fonts, open axes."""
    import matplotlib.pyplot as plt

    with as_file(files("msfp.paper") / "figures.mplstyle") as path:
        plt.style.use(path)


def save(fig: "Figure", folder: Path, name: str) -> tuple[Path, ...]:
    """Write a figure, in its own size, as `<name>.pdf`, `.svg` and `.png`; the same figure gives the same bytes."""
    import io

    import matplotlib as mpl

    written = []
    with mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "msfp"}):
        for form in FORMATS:
            buffer = io.BytesIO()
            fig.savefig(buffer, format=form, metadata=_NO_DATES[form])
            path = folder / f"{name}.{form}"
            atomic_write(path, buffer.getvalue())
            written.append(path)
    return tuple(written)
