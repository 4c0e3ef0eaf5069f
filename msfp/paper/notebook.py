"""What a notebook begins with: a run that also makes the paper's artefacts and checks that they are there."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msfp.engine.code import need_originals
from msfp.engine.notebooks import declare_output
from msfp.errors import InputError, MsfpError, NotComputable
from msfp.experiment import data
from msfp.experiment.run import Run, open_run
from msfp.experiment.verbs import Experiment
from msfp.paper import cells as cell_samples
from msfp.paper import layout
from msfp.paper.registry import Kind, artefact, every, execute
from msfp.paper.render import html, sheet, write_table
from msfp.paper.stamps import evidence_path, newly, report_path, stale, stamp, tables_folder
from msfp.types import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class NotebookRun(Experiment):
    """A run with the verbs of a notebook: those of an experiment, and what makes the paper's artefacts.

    Attributes:
        settled: `scored` as the last table left it, so that each table says what was scored for it.
    """

    @cached_property
    def settled(self) -> dict[str, tuple[int, int]]:
        """Benchmark -> scores of the tables so far, and how many of them TrackEval computed too."""
        return {}

    def shown(self) -> "NotebookRun":
        """This run; where frames of its validation fold are missing, a small one on the embedded worlds.

        Definitions are shown on it, so that a notebook goes through on labels and detections alone.
        """
        try:
            fold = self.fold()
            data.need_pixels((*fold.learn, *fold.evaluate))
        except NotComputable as error:
            self.note(f"The notebooks' definitions are shown on small embedded worlds, as {error}.")
            return begin("smoke", home=self.home)
        return self

    def table(self, number: int, cells: "Iterable[Cell] | pd.DataFrame | None" = None) -> "PublishedTable":
        """Write a table as JSON, CSV, Markdown and LaTeX to `runs/<profile>/tables`, with what it was made from.

        Args:
            number: of the table; InputError: there is none.
            cells: its cells, or a frame with the columns row, column, value and, where they apply, std, unit, reason;
                None: those that the notebook's cell tagged with the table's number makes.
        """
        need_originals()
        if cells is None:
            published = self._made("table", number)
            if not isinstance(published, PublishedTable):
                raise InputError(f"the cell tagged table-{number} must end with run.table({number}, ...) or its value")
            return published
        made, before, beside = artefact("table", number), self.settled, self.settings.compared
        listed: list[Cell] = cells_of(cells) if hasattr(cells, "itertuples") else list(cells)  # type: ignore[arg-type]
        listed = [cell for cell in listed if beside or cell.source not in ("paper", "published")]
        files = write_table(tables_folder(self), number, listed, f"profile {self.settings.profile}", beside)
        evidence = evidence_path(self, number)
        cell_samples.write(evidence, listed)
        stamp(self, made, (*files, evidence), scored=newly(before, self.scored))
        self.settled = dict(self.scored)
        for file in (*files, evidence):
            declare_output(file)
        return PublishedTable(number, listed, files, beside)

    def figure(self, number: int, drawn: "Figure | Callable[[], Figure] | None" = None) -> "PublishedFigure":
        """Write a figure as PDF, SVG and PNG to `figures/<profile>`, with what it was made from.

        What the data at hand do not allow is remembered with its reason, and no file is left from an earlier run.

        Args:
            number: of the figure.
            drawn: it, or a function that draws it; None: as the notebook's cell tagged with the figure's number does.
        """
        import matplotlib.pyplot as plt

        from msfp.paper.figures import FORMATS, save

        need_originals()
        if drawn is None:
            published = self._made("figure", number)
            if not isinstance(published, PublishedFigure):
                raise InputError(f"the cell tagged figure-{number} must end with run.figure({number}, ...)")
            return published
        made = artefact("figure", number)
        try:
            fig = drawn() if callable(drawn) else drawn
        except NotComputable as error:
            plt.close("all")
            for form in FORMATS:
                (self.figures / f"{made.id}.{form}").unlink(missing_ok=True)
            stamp(self, made, (), str(error))
            return PublishedFigure(number, (), str(error))
        files = save(fig, self.figures, made.id)
        plt.close(fig)
        stamp(self, made, files)
        for file in files:
            declare_output(file)
        return PublishedFigure(number, files)

    def _made(self, kind: Kind, number: int) -> object:
        """Run the cells that make an artefact; NotComputable: no cell makes it."""
        one = artefact(kind, number)
        if one.status == "planned":
            raise NotComputable(
                f"{kind} {number} ({one.title}) is planned: no cell of {one.notebook} is tagged {one.tag}"
            )
        return execute(self, one.notebook, one.tag)

    def report(self) -> "PublishedReport":
        """Write the report from what this run has made."""
        from msfp.paper.report import write

        path = write(self)
        declare_output(path)
        return PublishedReport(path)

    def check(
        self, tables: Iterable[int] = (), figures: Iterable[int] = (), notebook: str = "", report: bool = False
    ) -> str:
        """Hold that artefacts exist and were made by this code with these settings.

        MsfpError names what is missing or stale, and the command that makes it.
        """
        wanted: list[tuple[Kind, int]] = [("table", n) for n in tables] + [("figure", n) for n in figures]
        wanted += [(a.kind, a.number) for a in every() if a.notebook == notebook and a.status == "ready"]
        problems = [p for kind, number in wanted if (p := stale(self, kind, number))]
        if report and not report_path(self).is_file():
            problems.append(f"{report_path(self)} is missing: run msfp report")
        if problems:
            raise MsfpError("; ".join(problems))
        return f"{len(wanted) + report} artefact(s) present and fresh"


def begin(
    profile: str = "demo",
    *,
    root: str | Path = "",
    weights: str | Path = "",
    device: str = "",
    workers: int = 0,
    cluster: str = "",
    settings: str = "",
    home: str | Path = "..",
) -> NotebookRun:
    """The run that a notebook's parameters describe, with the figures' style set.

    Args:
        profile: smoke, demo, mot17 or full.
        root: folder of real data.
        weights: embedded, random-init, or a .safetensors or .pt file.
        device: cpu or cuda; empty: the profile's.
        workers: processes to fan out over; 0: none.
        cluster: in place of them, `tcp://HOST:PORT` of a Dask scheduler or `slurm:FILE`.
        settings: dotted settings, `"atl.beta=0.7 split=loso"`.
        home: folder that holds data/, runs/ and figures/.

    Raises:
        InputError: unknown profile or setting, or a path that is not there.

    Example:
        >>> msfp.open("smoke", settings="atl.beta=0.7").settings.profile
        'smoke'
    """
    from msfp.paper.figures import set_style

    set_style()
    options = {"root": root, "weights": weights, "device": device, "workers": workers, "cluster": cluster, "home": home}
    run = open_run(profile, **options, overrides=settings)  # type: ignore[arg-type]
    return as_notebook_run(run)


def as_notebook_run(run: Run) -> NotebookRun:
    """The same run with a notebook's verbs."""
    if isinstance(run, NotebookRun):
        return run
    return NotebookRun(**{f.name: getattr(run, f.name) for f in fields(run)})


@dataclass(frozen=True, repr=False)
class PublishedTable:
    """A computed table and its files; shows itself in a notebook."""

    number: int
    cells: list[Cell]
    files: tuple[Path, ...]
    beside: bool = True  # whether the paper's values are shown

    def _repr_html_(self) -> str:
        return html(self.cells, self.number, self.beside)

    def __repr__(self) -> str:
        return layout.terminal(sheet(self.cells, self.number, self.beside))

    def with_rows(self, rows: Mapping[str, Mapping[str, float | str]]) -> "PublishedTable":
        """The table with rows of one's own after the others: label -> column -> value. No file of the run has them."""
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
        return layout.compare(self.cells if self.beside else (), self.number)


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


def cells_of(frame: "pd.DataFrame") -> list[Cell]:
    """Cells of a tidy frame; a value that is missing is not available, and its reason says why."""
    if missing := [name for name in ("row", "column", "value") if name not in frame]:
        raise InputError(f"column {missing[0]!r} is not in the table's frame; needed are row, column, value")
    kept = frame.astype(object).where(frame.notna(), None)
    out = []
    for line in kept.to_dict("records"):
        source = "n/a" if line["value"] is None else "measured"
        place = str(line["row"]), str(line["column"]), line["value"], line.get("std")
        out.append(Cell(*place, source, line.get("reason") or "", line.get("unit") or ""))  # type: ignore[arg-type]
    return out
