"""How every figure looks: one palette, one set of sizes, one way to save.

The palette is Okabe and Ito's, told apart with every kind of colour vision; `ORDER` begins with colours whose grey
values differ, and lines and bars should carry a dash or hatch as well.
"""

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
        "black": "#000000",
        "orange": "#E69F00",
        "sky": "#56B4E9",
        "green": "#009E73",
        "yellow": "#F0E442",
        "blue": "#0072B2",
        "vermillion": "#D55E00",
        "pink": "#CC79A7",
        "grey": "#7F7F7F",
    }
)
ORDER = ("blue", "orange", "black", "sky", "vermillion", "pink", "green")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "////", "....", "xxxx")
FORMATS = ("pdf", "svg", "png")
_NO_DATES: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def set_style() -> None:
    """Set matplotlib's defaults: small type for a 3.3 inch column, embedded fonts, open axes."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "figure.figsize": (COLUMN, COLUMN * 0.72),
            "figure.dpi": 150,
            "figure.facecolor": "white",
            "savefig.dpi": 300,
            "savefig.facecolor": "white",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 7,
            "axes.titlesize": 7,
            "axes.labelsize": 7,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.prop_cycle": cycler(color=[PALETTE[name] for name in ORDER]),
            "grid.linewidth": 0.4,
            "grid.color": "0.88",
            "hatch.linewidth": 0.5,
            "lines.linewidth": 1.2,
            "lines.markersize": 3,
            "xtick.labelsize": 6,
            "ytick.labelsize": 6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "legend.fontsize": 6,
            "legend.frameon": False,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "path",
            "svg.hashsalt": "msfp",
        }
    )


def save(fig: "Figure", folder: Path, name: str) -> tuple[Path, ...]:
    """Write a figure as `<name>.pdf`, `.svg` and `.png`; the same figure gives the same bytes.

    Args:
        fig: what to write; its size in inches is kept, nothing is cropped.
        folder: made when it is not there.
        name: the artefact's id, `figure03`.

    Raises:
        MsfpError: the folder cannot be written.
    """
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
