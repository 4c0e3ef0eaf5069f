"""A notebook's run: the verbs of an experiment, and the paper's artefacts; calls that open the run they need."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from msfp.engine.code import need_originals
from msfp.engine.notebooks import declare_output
from msfp.errors import InputError, MsfpError, NotComputable
from msfp.experiment import data
from msfp.experiment.clip import Clip, as_labels, as_tracks
from msfp.experiment.folders import score_folder
from msfp.experiment.heads import Trained
from msfp.experiment.methods import measures
from msfp.experiment.run import Run, open_run
from msfp.experiment.verbs import Experiment
from msfp.heads.fusion import FusionHead
from msfp.heads.triplets import Loss
from msfp.metrics import hota
from msfp.paper import methods
from msfp.paper.cells import write_evidence
from msfp.paper.layout import compare, sheet
from msfp.paper.registry import Kind, artefact, every, execute
from msfp.paper.render import html, terminal, write_table
from msfp.paper.stamps import Scored, evidence_path, report_path, stale, stamp, tables_folder
from msfp.types import Cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Place = str | Path
Published = TypeVar("Published")


class NotebookRun(Experiment):
    """A run with the verbs of a notebook: those of an experiment, and what makes the paper's artefacts."""

    @cached_property
    def settled(self) -> dict[str, tuple[int, int]]:
        """`scored` as the last table left it, so that each table says what was scored for it."""
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

    def table(self, number: int, cells: Iterable[Cell] | pd.DataFrame | None = None) -> "PublishedTable":
        """Write a table as JSON, CSV, Markdown and LaTeX to `runs/<profile>/tables`, with what it was made from.

        `cells`: its cells, or a frame with the columns row, column, value and, where they apply, std, unit, reason;
        None: those that the notebook's cell tagged with the table's number makes. InputError: no such number.
        """
        need_originals()
        if cells is None:
            return self._made("table", number, PublishedTable)
        made, before, beside = artefact("table", number), self.settled, self.settings.compared
        listed = _cells_of(cells) if isinstance(cells, pd.DataFrame) else list(cells)
        listed = [cell for cell in listed if beside or cell.source not in ("paper", "published")]
        evidence = evidence_path(self, number)
        tables = write_table(tables_folder(self), number, listed, f"profile {self.settings.profile}", beside)
        write_evidence(evidence, listed)
        stamp(self, made, (*tables, evidence), scored=_newly(before, self.scored))
        self.settled = dict(self.scored)
        for file in (*tables, evidence):
            declare_output(file)
        return PublishedTable(number, listed, tables, beside)

    def figure(self, number: int, drawn: "Figure | Callable[[], Figure] | None" = None) -> "PublishedFigure":
        """Write a figure as PDF, SVG and PNG to `figures/<profile>`, with what it was made from.

        What the data at hand do not allow is remembered with its reason, and no file is left from an earlier run.
        `drawn`: it, or a function that draws it; None: as the notebook's cell tagged with the figure's number does.
        """
        import matplotlib.pyplot as plt

        from msfp.paper.figures import FORMATS, save

        need_originals()
        if drawn is None:
            return self._made("figure", number, PublishedFigure)
        made, files, reason = artefact("figure", number), tuple[Path, ...](), ""
        try:
            fig = drawn() if callable(drawn) else drawn
            files = save(fig, self.figures, made.id)
            plt.close(fig)
        except NotComputable as error:
            reason = str(error)
            plt.close("all")
            for form in FORMATS:
                (self.figures / f"{made.id}.{form}").unlink(missing_ok=True)
        stamp(self, made, files, reason)
        for file in files:
            declare_output(file)
        return PublishedFigure(number, files, reason)

    def _made(self, kind: Kind, number: int, wanted: type[Published]) -> Published:
        """Run the cells that make an artefact; NotComputable: no cell makes it."""
        one = artefact(kind, number)
        if one.status == "planned":
            raise NotComputable(
                f"{kind} {number} ({one.title}) is planned: no cell of {one.notebook} is tagged {one.tag}"
            )
        published = execute(self, one.notebook, one.tag)
        if not isinstance(published, wanted):
            raise InputError(f"the cell tagged {one.tag} must end with run.{kind}({number}, ...) or its value")
        return published

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
        return terminal(sheet(self.cells, self.number, self.beside))

    def with_rows(self, rows: Mapping[str, Mapping[str, float | str]]) -> "PublishedTable":
        """The table with rows of one's own after the others: label -> column -> value. No file of the run has them."""
        known = list(dict.fromkeys(c.column for c in self.cells))
        added = []
        for label, column, value in ((r, c, v) for r, values in rows.items() for c, v in values.items()):
            if column not in known:
                raise InputError(f"column {column!r}: table {self.number} has {', '.join(known)}")
            added.append(Cell(label, column, value if isinstance(value, str) else float(value)))
        return replace(self, cells=[*self.cells, *added])

    def findings(self) -> pd.DataFrame:
        """Per column: our best row and the paper's, and how far the two orders agree."""
        return compare(self.cells if self.beside else (), self.number)


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


def _newly(before: Scored, after: Scored) -> Scored:
    """Count what was scored in between."""
    counts = {name: [a - b for a, b in zip(now, before.get(name, (0, 0)), strict=True)] for name, now in after.items()}
    return {name: (scores, held) for name, (scores, held) in counts.items() if scores > 0}


def _cells_of(frame: pd.DataFrame) -> list[Cell]:
    """Cells of a tidy frame; a value that is missing is not available, and its reason says why."""
    if missing := [name for name in ("row", "column", "value") if name not in frame]:
        raise InputError(f"column {missing[0]!r} is not in the table's frame; needed are row, column, value")
    out = []
    for line in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        source = "n/a" if line["value"] is None else "measured"
        place = str(line["row"]), str(line["column"]), line["value"], line.get("std")
        out.append(Cell(*place, source, line.get("reason") or "", line.get("unit") or ""))  # type: ignore[arg-type]
    return out


def begin(
    profile: str = "demo",
    *,
    root: Place = "",
    weights: Place = "",
    device: str = "",
    workers: int = 0,
    cluster: str = "",
    settings: str = "",
    home: Place = "..",
) -> NotebookRun:
    """The run that a notebook's parameters describe, with the figures' style set.

    Args:
        profile: smoke, demo, mot17 or full.
        root: folder of real data.
        weights: embedded, random-init, or a .safetensors or .pt file.
        device: cpu or cuda; empty: the profile's.
        workers: processes to fan out over (0: none); `cluster` in place of them: `tcp://HOST:PORT` of a Dask scheduler
            or `slurm:FILE`.
        settings: dotted settings, `"atl.beta=0.7 split=loso"`.
        home: folder that holds data/, runs/ and figures/.

    InputError: unknown profile or setting, or a path that is not there.

    Example:
        >>> msfp.open("smoke", settings="atl.beta=0.7").settings.profile
        'smoke'
    """
    from msfp.paper.figures import set_style

    set_style()
    options = {"root": root, "weights": weights, "device": device, "workers": workers, "cluster": cluster, "home": home}
    return as_notebook_run(open_run(profile, **options, overrides=settings))  # type: ignore[arg-type]


def as_notebook_run(run: Run) -> NotebookRun:
    """The same run with a notebook's verbs."""
    return run if isinstance(run, NotebookRun) else NotebookRun(**{f.name: getattr(run, f.name) for f in fields(run)})


def _open(options: dict[str, Any]) -> NotebookRun:
    return begin(**{"profile": "mot17" if options.get("root") else "demo", "home": ".", **options})


def load(root: Place, split: str = "train", **options: Any) -> list[Clip]:
    """Open a folder in the MOTChallenge layout: a clip a scene, with `labels()`, `detections(...)`, `image(1)`.

    `options` are those of `msfp.open`, of which `home` is this folder unless told otherwise.

    Example:
        >>> clip = msfp.load(run.dataset_root("synth17"), home=run.home)[0]
        >>> clip.image(1).shape[-1]
        3
    """
    run = _open({**options, "root": root})
    return run.clips([data.whole(scene) for scene in data.scenes(run, run.settings.data.main, split)])


def evaluate(labels: Place | pd.DataFrame, tracks: Place | pd.DataFrame, split: str = "train") -> pd.DataFrame:
    """Score tracks: HOTA, AssA, DetA, IDF1 and MOTA in percent, and IDSW; a row a sequence, and COMBINED.

    Args:
        labels: folder in the MOTChallenge layout; or a frame of one sequence with frame, id and x, y, w, h or corners.
        tracks: folder of result files, one SEQUENCE.txt each; or a frame: frame, id, x1, y1, x2, y2.
        split: of the folder.

    InputError: nothing can be scored, or a column is missing. What is left out of a folder is a warning.

    Example:
        >>> labels = pd.DataFrame({"frame": [1, 2], "id": 1, "x": 10.0, "y": 10.0, "w": 40.0, "h": 90.0})
        >>> tracks = pd.DataFrame({"frame": [1, 2], "id": 7, "x1": 10.0, "y1": 10.0, "x2": 50.0, "y2": 100.0})
        >>> float(msfp.evaluate(labels, tracks).loc["COMBINED", "HOTA"].round(1))
        100.0
    """
    if isinstance(labels, pd.DataFrame) and isinstance(tracks, pd.DataFrame):
        truth, found = as_labels(labels), as_tracks(tracks)
        length = max(int(truth.frame.max(initial=0)), int(found.frame.max(initial=0)))
        return pd.DataFrame({"COMBINED": measures(hota.evaluate(truth, found, length))}).T
    if isinstance(labels, pd.DataFrame) or isinstance(tracks, pd.DataFrame):
        raise InputError("give labels and tracks both as frames, or both as folders")
    scored = score_folder(Path(labels), Path(tracks), split)
    missing = dict.fromkeys(scored.missing, "no result file")
    for name, reason in {**scored.skipped, **scored.doubtful, **missing}.items():
        warnings.warn(f"{name}: {reason}", stacklevel=2)
    every = {**scored.score.sequences, "COMBINED": scored.score.combined}
    return pd.DataFrame({name: measures(one) for name, one in every.items()}).T


def train(head: str | type[FusionHead], *, seed: int = 0, loss: Loss | None = None, **options: Any) -> Trained:
    """Train a head on the learning part of a run's data: `msfp.open(...).train(head)` in one call.

    `options` are those of `msfp.open`: `profile`, or `root` for data of your own; `home` is this folder unless told
    otherwise.

    Example:
        >>> msfp.train("concat", profile="smoke", home=run.home, settings=run.overrides).name
        'concat'
    """
    return _open(options).train(head, seed=seed, loss=loss)


def tune(*rows: str, trials: int = 300, seed: int = 0, **options: Any) -> pd.DataFrame:
    """Select the open settings of trackers on held-out learning frames: row, tracker, settings, HOTA before and after.

    `rows` of Table 1, or trackers, such as `ByteTrack` (none: all); `trials`: draws a row; other options as of
    `msfp.train`.

    Example:
        >>> frame = msfp.tune("SORT", trials=2, profile="smoke", home=run.home, settings=run.overrides)
        >>> frame["tracker"].tolist()
        ['sort']
    """
    words = f"selection.trials={trials} selection.seed={seed} tuning=selected {options.pop('settings', '')}"
    lines = []
    for one in methods.tune(_open({**options, "settings": words}), rows):
        line: dict[str, object] = {
            "row": one.label,
            "tracker": one.method.tracker,
            "settings": one.found and dict(one.found.options),
        }
        line |= {"released": one.released, "selected": one.selected, "interval": one.gain, "reason": one.remark}
        lines.append(line)
    return pd.DataFrame(lines)
