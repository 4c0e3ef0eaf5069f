"""Making artefacts: compute, write the files, remember what they were made from, and show them."""

import ast
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msfp.engine.code import code_digest
from msfp.engine.files import atomic_write
from msfp.engine.hashing import digest, file_digest
from msfp.engine.notebooks import declare_output
from msfp.engine.source_digests import digest_tree
from msfp.errors import InputError, NotComputable
from msfp.paper import cell_samples, findings
from msfp.paper.cells import read_cells
from msfp.paper.registry import Artefact, Kind, artefact, every
from msfp.paper.render import html, wide, write_table
from msfp.paper.tagged import imported
from msfp.pipeline import external_results
from msfp.pipeline.run import Run
from msfp.types import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from msfp.paper.notebook import NotebookRun

IMPORTS = "imported_cells"
"""What a cell calls that shows imported results; another import makes its table stale."""


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


def make_table(run: "Run", number: int) -> PublishedTable:
    """Run the cell that makes a table.

    Raises:
        InputError: no such table.
        NotComputable: no cell makes it.
    """
    made = _made(run, "table", number)
    if not isinstance(made, PublishedTable):
        raise InputError(f"the cell tagged table-{number} must end with run.table({number}, ...) or its value")
    return made


def make_figure(run: "Run", number: int) -> PublishedFigure:
    """Run the cell that draws a figure.

    Raises:
        InputError: no such figure.
        NotComputable: no cell draws it.
    """
    made = _made(run, "figure", number)
    if not isinstance(made, PublishedFigure):
        raise InputError(f"the cell tagged figure-{number} must end with run.figure({number}, ...)")
    return made


def _made(run: "Run", kind: Kind, number: int) -> PublishedTable | PublishedFigure:
    from msfp.paper.notebook import as_notebook_run
    from msfp.paper.tagged import execute

    one = artefact(kind, number)
    if one.status == "planned":
        raise NotComputable(f"{kind} {number} ({one.title}) is planned: no cell of {one.notebook} is tagged {one.tag}")
    return execute(as_notebook_run(run), one.notebook, one.tag)


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


def tables_folder(run: Run) -> Path:
    """`runs/<profile>/tables`."""
    return run.out / "tables"


def evidence_path(run: Run, number: int) -> Path:
    """Where what a table was measured from lies."""
    return run.out / "measured" / f"table{number:02d}.safetensors"


def report_path(run: Run) -> Path:
    """First page of the report, `runs/<profile>/report/index.html`."""
    return run.out / "report" / "index.html"


def fingerprint(run: Run, made: Artefact) -> str:
    """What an artefact is made from: settings, weights, its cells, and the code that they use."""
    cells = made.cells
    modules = sorted({"msfp.paper.notebook", *imported(cells)})
    source = [digest_tree(ast.parse(cell.source)) for cell in cells]
    made_from = [run.settings.model_dump_json(), run.weights_digest(), source, code_digest(*modules)]
    shows_imports = any(IMPORTS in cell.source for cell in cells if made.tag in cell.tags)
    return digest([*made_from, external_results.contents(run)] if shows_imports else made_from)


def stamp_path(run: Run, made: Artefact) -> Path:
    """Where an artefact's stamp lies."""
    return run.out / "stamps" / f"{made.id}.json"


TIMES, TIMED = 104, (1, 8, 13, 16, 22)
Scored = Mapping[str, tuple[int, int]]
"""Benchmark -> scores by its rules, and how many of them TrackEval computed too."""


def newly(before: Scored, after: Scored) -> Scored:
    """Count what was scored in between."""
    told = {
        name: (all_ - before.get(name, (0, 0))[0], held - before.get(name, (0, 0))[1])
        for name, (all_, held) in after.items()
    }
    return {name: counts for name, counts in told.items() if counts[0]}


def stamp(
    run: Run, made: Artefact, files: Iterable[Path], reason: str = "", scored: Scored = MappingProxyType({})
) -> None:
    """Remember what an artefact was made from, its files by content, why it is absent, remarks, and what was scored."""
    record = {
        "fingerprint": fingerprint(run, made),
        "files": {_within(run, path): file_digest(path) for path in files},
        "reason": reason,
        "notes": run.notes,
        "scored": dict(scored),
        "events": [event.message for event in run.store.events],
    }
    atomic_write(stamp_path(run, made), (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())


def read_stamp(run: Run, made: Artefact) -> dict[str, Any]:
    """An artefact's stamp; empty where it was never made, or its stamp cannot be read."""
    return _read_record(stamp_path(run, made))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    kinds = {"fingerprint": str, "files": dict, "reason": str, "notes": list, "events": list}
    whole = isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in kinds.items())
    return found if whole else {}


def altered(run: Run, made: Artefact) -> Path | None:
    """A file of an artefact that is another one than was written; None where all are as they were, or none was made."""
    files = read_stamp(run, made).get("files", {})
    return next((run.home / name for name, kept in files.items() if not _holds(run.home / name, kept)), None)


def intact(run: Run) -> Callable[[Path], bool]:
    """Tells of a file that a notebook said it wrote whether it is there as it was written."""

    def holds(path: Path) -> bool:
        record = _read_record(run.out / "stamps" / f"{path.stem}.json")
        for name, kept in record.get("files", {}).items():
            if run.home / name == path:
                return _holds(path, kept)
        return path.is_file() and path.stat().st_size > 0

    return holds


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and file_digest(path) == digest


def _within(run: Run, path: Path) -> str:
    return path.relative_to(run.home).as_posix()


def stale(run: Run, kind: Kind, number: int) -> str:
    """Why an artefact is not there or not of this run; empty when it is present and fresh."""
    made = artefact(kind, number)
    found = read_stamp(run, made)
    remedy = f"run msfp {kind} {number} --profile {run.settings.profile}"
    file = tables_folder(run) / f"{made.id}.json" if kind == "table" else run.figures / f"{made.id}.pdf"
    if not found or (not file.is_file() and not found["reason"]):
        return f"{made.name} is missing: {remedy}"
    if found["fingerprint"] != fingerprint(run, made):
        return f"{made.name} was made by other code or with other settings: {remedy}"
    if (path := altered(run, made)) is not None:
        return f"{path} was altered after it was made: {remedy}"
    return ""


def published_cells(run: Run) -> dict[int, list[Cell]]:
    """Cells of the tables that this run has made.

    Raises:
        InputError: a table's file is not as it was written.
    """
    found = {}
    for made in (a for a in every() if a.kind == "table"):
        path = tables_folder(run) / f"{made.id}.json"
        if not path.is_file():
            continue
        if (other := altered(run, made)) is not None:
            remedy = f"run msfp table {made.number} --profile {run.settings.profile}"
            raise InputError(f"{other} was altered after it was made: {remedy}")
        found[made.number] = read_cells(path)
    return with_times(found)


def with_times(found: dict[int, list[Cell]]) -> dict[int, list[Cell]]:
    """Tables that name times and were made without, so that they repeat exactly, with those of extra table 104."""
    known = {(c.row, c.column): c for c in found.get(TIMES, []) if c.source == "measured"}

    def filled(cell: Cell) -> Cell:
        return known.get((cell.row, cell.column), cell) if cell.source == "n/a" else cell

    return {n: [filled(c) for c in cells] if n in TIMED else cells for n, cells in found.items()}


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
