"""What a notebook begins with: a run that also makes the paper's artefacts and checks that they are there."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from msfp.engine.typed import need_originals
from msfp.errors import MsfpError, NotComputable
from msfp.experiment.run import Experiment
from msfp.paper.registry import Kind, every
from msfp.pipeline.run import open_run

if TYPE_CHECKING:
    from msfp.paper.publish import PublishedFigure, PublishedReport, PublishedTable


class NotebookRun(Experiment):
    """A run with the verbs of a notebook: those of an experiment, and what makes the paper's artefacts."""

    def table(self, number: int) -> "PublishedTable":
        """Compute a table, write it to `runs/<profile>/tables`, and show it."""
        from msfp.paper.publish import publish_table

        need_originals()
        return publish_table(self, number)

    def train_for(self, *tables: int) -> None:
        """Train the heads of several tables together, so that no worker waits for the last one of each.

        What a table lacks is said in its cells.
        """
        from msfp.paper.registry import artefact
        from msfp.pipeline.heads import train_heads

        looks = []
        for one in (artefact("table", number) for number in tables):
            with suppress(NotComputable):
                looks += one.heads(self) if one.heads is not None else []
        train_heads(self, looks)

    def figure(self, number: int) -> "PublishedFigure":
        """Draw a figure, write it to `figures/<profile>`, and show it; or say why it cannot be drawn."""
        from msfp.paper.publish import publish_figure

        need_originals()
        return publish_figure(self, number)

    def all_of(self, notebook: str) -> "list[PublishedTable | PublishedFigure]":
        """Everything of a notebook that is implemented."""
        return [
            self.table(a.number) if a.kind == "table" else self.figure(a.number)
            for a in every()
            if a.notebook == notebook and a.status == "ready"
        ]

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
        from msfp.paper.publish import report_path, stale

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
    return NotebookRun(**{f.name: getattr(run, f.name) for f in fields(run)})
