"""Making artefacts: compute, write the files, remember what they were made from, and show them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msfp.engine.notebooks import declare_output
from msfp.errors import InputError, NotComputable
from msfp.paper import cell_samples, findings
from msfp.paper.registry import artefact
from msfp.paper.render import html, wide, write_table
from msfp.paper.stamps import evidence_path, newly, stamp, tables_folder
from msfp.pipeline.run import Run
from msfp.types import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from msfp.paper.notebook import NotebookRun


@dataclass(frozen=True, repr=False)
class PublishedTable:
    """A computed table and its files; shows itself in a notebook."""

    number: int
    cells: list[Cell]
    files: tuple[Path, ...]

    def _repr_html_(self) -> str:
        return html(self.cells, self.number)

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The table in the paper's shape, for a terminal."""
        return wide(self.cells, self.number).to_string()

    def json_text(self) -> str:
        """Its cells as JSON."""
        return self.files[0].read_text(encoding="utf-8")

    def with_rows(self, rows: Mapping[str, Mapping[str, float | str]]) -> "PublishedTable":
        """The table with rows of one's own after the others: label -> column -> value. No file of the run has them.

        Raises:
            InputError: a column that the table does not have.
        """
        known = list(dict.fromkeys(c.column for c in self.cells))
        added = []
        for label, values in rows.items():
            for column, value in values.items():
                if column not in known:
                    raise InputError(f"column {column!r}: table {self.number} has {', '.join(known)}")
                added.append(Cell(label, column, value if isinstance(value, str) else float(value)))
        return replace(self, cells=[*self.cells, *added])

    def findings(self) -> "pd.DataFrame":
        """Per column: our best row and the paper's, and how far the two orders agree."""
        return findings.compare(self.cells, self.number)


@dataclass(frozen=True)
class PublishedFigure:
    """A drawn figure and its files, or why there is none; shows itself in a notebook."""

    number: int
    files: tuple[Path, ...]
    reason: str = ""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        import base64

        if self.reason:
            return {"text/plain": f"figure {self.number}: n/a: {self.reason}"}, {}
        png = next(f for f in self.files if f.suffix == ".png")
        data = {"image/png": base64.b64encode(png.read_bytes()).decode(), "text/plain": str(png.name)}
        return data, {"image/png": {"alt": artefact("figure", self.number).caption}}


@dataclass(frozen=True)
class PublishedReport:
    """The report's first page; shows where it lies."""

    path: Path

    def __repr__(self) -> str:
        return f"report: {'/'.join(self.path.parts[-3:])}"


def publish_table(run: "NotebookRun", number: int, cells: "Iterable[Cell] | pd.DataFrame") -> PublishedTable:
    """Write a table as JSON, CSV, Markdown and LaTeX under `runs/<profile>/tables`, with what it was made from.

    Args:
        run: the run.
        number: of the table.
        cells: its cells, or a frame with the columns row, column, value and, where they apply, std, unit, reason.

    Raises:
        InputError: no such table, or a frame without those columns.
    """
    made, before = artefact("table", number), run.settled
    listed: list[Cell] = cells_of(cells) if hasattr(cells, "itertuples") else list(cells)  # type: ignore[arg-type]
    files = write_table(tables_folder(run), number, listed, f"profile {run.settings.profile}")
    cell_samples.write(evidence_path(run, number), listed)
    made_of = (*files, evidence_path(run, number))
    stamp(run, made, made_of, scored=newly(before, run.scored))
    run.settled = dict(run.scored)
    for file in made_of:
        declare_output(file)
    return PublishedTable(number, listed, files)


def cells_of(frame: "pd.DataFrame") -> list[Cell]:
    """Cells of a tidy frame; a value that is missing is not available, and its reason says why.

    Raises:
        InputError: a column is missing.
    """
    if missing := [name for name in ("row", "column", "value") if name not in frame]:
        raise InputError(f"column {missing[0]!r} is not in the table's frame; needed are row, column, value")
    kept = frame.astype(object).where(frame.notna(), None)
    out = []
    for line in kept.to_dict("records"):
        source = "n/a" if line["value"] is None else "measured"
        place = str(line["row"]), str(line["column"]), line["value"], line.get("std")
        out.append(Cell(*place, source, line.get("reason") or "", line.get("unit") or ""))  # type: ignore[arg-type]
    return out


def publish_figure(run: Run, number: int, drawn: "Figure | Callable[[], Figure]") -> PublishedFigure:
    """Write a figure as PDF, SVG and PNG under `figures/<profile>`, with what it was made from.

    What the data at hand do not allow is remembered with its reason, and no file is left from an earlier run.

    Args:
        run: the run.
        number: of the figure.
        drawn: it, or a function that draws it.

    Raises:
        InputError: no such figure.
    """
    import matplotlib.pyplot as plt

    from msfp.paper.style import FORMATS, save

    made = artefact("figure", number)
    try:
        fig = drawn() if callable(drawn) else drawn
    except NotComputable as error:
        plt.close("all")
        for form in FORMATS:
            (run.figures / f"{made.id}.{form}").unlink(missing_ok=True)
        stamp(run, made, (), str(error))
        return PublishedFigure(number, (), str(error))
    files = save(fig, run.figures, made.id)
    plt.close(fig)
    stamp(run, made, files)
    for file in files:
        declare_output(file)
    return PublishedFigure(number, files)


def publish_report(run: Run) -> PublishedReport:
    """Write the report from the files that this run has made.

    Raises:
        InputError: it has made none.
        MsfpError: the folder cannot be written.
    """
    from msfp.paper.report_contents import write

    if not any(tables_folder(run).glob("*.json")):
        profile = run.settings.profile
        raise InputError(f"{tables_folder(run)}: no table was made; run msfp reproduce --profile {profile} first")

    path = write(run)
    declare_output(path)
    return PublishedReport(path)
