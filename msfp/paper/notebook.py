"""What a notebook begins with: a run that also makes the paper's artefacts and checks that they are there."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msfp.engine.typed import need_originals
from msfp.errors import InputError, MsfpError, NotComputable
from msfp.experiment.run import Experiment
from msfp.paper.registry import Kind, artefact, every
from msfp.paper.tagged import execute, notebooks_folder
from msfp.pipeline import data
from msfp.pipeline.run import Run, open_run
from msfp.types import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from msfp.paper.publish import PublishedFigure, PublishedReport, PublishedTable


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
        """Write a table to `runs/<profile>/tables`, with what it was made from, and show it.

        Args:
            number: of the table.
            cells: its cells, or a frame of row, column, value; None: those that the notebook's cell tagged with the
                table's number makes.
        """
        from msfp.paper.publish import PublishedTable, publish_table

        need_originals()
        if cells is not None:
            return publish_table(self, number, cells)
        made = self._made("table", number)
        if not isinstance(made, PublishedTable):
            raise InputError(f"the cell tagged table-{number} must end with run.table({number}, ...) or its value")
        return made

    def figure(self, number: int, drawn: "Figure | Callable[[], Figure] | None" = None) -> "PublishedFigure":
        """Write a figure to `figures/<profile>`, with what it was made from, and show it; or say why there is none.

        Args:
            number: of the figure.
            drawn: it, or a function that draws it; None: as the notebook's cell tagged with the figure's number does.
        """
        from msfp.paper.publish import PublishedFigure, publish_figure

        need_originals()
        if drawn is not None:
            return publish_figure(self, number, drawn)
        made = self._made("figure", number)
        if not isinstance(made, PublishedFigure):
            raise InputError(f"the cell tagged figure-{number} must end with run.figure({number}, ...)")
        return made

    def _made(self, kind: Kind, number: int) -> object:
        """Run the cells that make an artefact.

        Raises:
            InputError: the paper has no such artefact.
            NotComputable: no cell makes it.
        """
        one = artefact(kind, number)
        if one.status == "planned":
            notebooks_folder()  # says so where there are none at all
            raise NotComputable(
                f"{kind} {number} ({one.title}) is planned: no cell of {one.notebook} is tagged {one.tag}"
            )
        return execute(self, one.notebook, one.tag)

    def report(self) -> "PublishedReport":
        """Write the report from what this run has made."""
        from msfp.paper.publish import publish_report

        return publish_report(self)

    def check(
        self, tables: Iterable[int] = (), figures: Iterable[int] = (), notebook: str = "", report: bool = False
    ) -> str:
        """Hold that artefacts exist and were made by this code with these settings.

        Raises:
            MsfpError: names what is missing or stale, and the command that makes it.
        """
        from msfp.paper.stamps import report_path, stale

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
    root: str = "",
    weights: str = "",
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
    """
    from msfp.paper.style import set_style

    set_style()
    options = {"root": root, "weights": weights, "device": device, "workers": workers, "cluster": cluster, "home": home}
    run = open_run(profile, **options, overrides=settings)  # type: ignore[arg-type]
    return as_notebook_run(run)


def as_notebook_run(run: Run) -> NotebookRun:
    """The same run with a notebook's verbs."""
    if isinstance(run, NotebookRun):
        return run
    return NotebookRun(**{f.name: getattr(run, f.name) for f in fields(run)})
