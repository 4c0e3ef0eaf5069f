"""The whole suite: every notebook in order, then the report they end with, from the files of a run."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from msfp.config import choices_used
from msfp.engine import cluster, notebooks, provenance
from msfp.engine.files import atomic_write, file_digest
from msfp.engine.html import csv_frame
from msfp.errors import InputError, MsfpError
from msfp.experiment import external
from msfp.experiment.run import Run
from msfp.paper import stamps
from msfp.paper.cells import read_evidence
from msfp.paper.layout import sheet
from msfp.paper.measure import every_scene
from msfp.paper.methods import choices
from msfp.paper.pages import Contents, add_notebook, write_site
from msfp.paper.registry import every, notebooks_folder
from msfp.paper.verdicts import Verdict, frame, judge
from msfp.types import Cell

REPORT = "08_report"
"""The notebook that writes the report: it is added to it when it has ended."""
MADE = "made.json"
"""Beside a folder's figures: which run made them, as beside those of the repository."""

RENDERING = "rendering"
# Seconds of a demo run's rendering and notebooks (two cores of an AMD EPYC, 2026-11-28): only their ratios count.
SECONDS = {
    RENDERING: 74,
    "00_data": 8,
    "01_features": 171,
    "02_reid": 75,
    "03_heads": 102,
    "04_thresholds": 209,
    "05_tracking": 723,
    "06_ablations": 489,
    "07_speed": 34,
    "09_identity": 528,
    REPORT: 39,
}


class Progress:
    """Says of a run at work what is ready and how long the rest may take, and keeps its report up to date."""

    def __init__(self, run: Run) -> None:
        self.run, self.spent, self.known = run, 0.0, 0.0
        self.writing: Thread | None = None
        self.grown = False  # whether the report there says that the run is at work

    def took(self, name: str, seconds: float) -> None:
        """Note the seconds of something whose share of a whole run is known."""
        self.spent, self.known = self.spent + seconds, self.known + SECONDS.get(name, 0)

    def left(self, rest: Sequence[str]) -> str:
        """About how long the rest takes on this machine; nothing where that is not known."""
        if not self.known or self.run.settings.profile != "demo" or not rest:
            return ""
        minutes = sum(SECONDS.get(name, 0) for name in rest) * self.spent / self.known / 60
        return f"about {minutes:.0f} minutes to go" if minutes >= 1.5 else "about a minute to go"

    def __call__(self, done: notebooks.Executed, rest: Sequence[str]) -> str:
        """Words on a notebook that has ended; the report is written anew while the next one runs."""
        if not done.skipped:
            self.took(done.name, done.seconds)
        ready = [a for a in every() if a.notebook == done.name and stamps.read_stamp(self.run, a.id)]
        words = [f"ready: {', '.join(a.name for a in ready)}" if ready else "", self.left(rest)]
        if self.writing:
            self.writing.join()  # one writer at a time
        self.grown = self.grown and (done.name != REPORT or done.skipped)
        if not done.skipped and rest and rest[0] != REPORT:
            words += [] if self.writing else [f"the report grows: {stamps.report_path(self.run)}"]
            self.writing = Thread(target=self._write, args=(rest,), daemon=True)
            self.writing.start()
            self.grown = True
        return "; ".join(filter(None, words))

    def close(self) -> None:
        """Leave no report that says the run is at work: where it ended early, or its last notebook was unchanged."""
        if self.writing:
            self.writing.join()
        if self.grown:
            with suppress(MsfpError):
                write(self.run)

    def _write(self, rest: Sequence[str]) -> None:
        with suppress(MsfpError):  # nothing to show yet; what is wrong with it the last notebook says
            write(self.run, rest)


def reproduce(run: Run, *, only: str | None = None, start: str | None = None, resume: bool = True) -> dict[str, Any]:
    """Execute the notebooks in order; what is unchanged since an earlier run is skipped.

    `only`: number of the one notebook to execute; `start`: of the first; without `resume` unchanged ones are executed
    too. Returns `report`: its path, None where it was never written; `notebooks`: name -> seconds (0 where skipped).

    Raises:
        InputError: before anything runs, for weights, data or notebooks that are not there.
        MsfpError: a notebook failed; names it, its message and the partial notebook.
    """
    config, folder = run.settings, notebooks_folder()
    notebooks.select(notebooks.in_order(folder), only, start)  # refused before a world is rendered
    weights = run.weights_digest()
    if config.input.weights not in ("embedded", "random-init"):
        run.backbone()  # files of others are tried before hours are spent
    progress, began, rendered = Progress(run), time.perf_counter(), run.embedded_folder.is_dir()
    scenes = {f"{name}/{split}/{s.name}": s for name, split, s in every_scene(run)}
    if not (rendered or only or start):
        progress.took(RENDERING, time.perf_counter() - began)
        if told := progress.left([name for name in SECONDS if name != RENDERING]):
            print(f"scenes are rendered; {told}", file=sys.stderr, flush=True)
    digests = {name: [run.pixels_digest(s), run.boxes_digest(s)] for name, s in scenes.items()}
    inputs: dict[str, Any] = {"weights": weights, "data": digests}
    if results := external.contents(run):
        inputs["imported"] = results
    cluster.close()  # the notebooks' kernels get workers of their own; idle ones here would only hold memory
    parameters = {
        "profile": config.profile,
        "root": str(config.data.root or ""),
        "weights": config.input.weights,
        "device": config.device,
        "workers": run.workers,
        "cluster": run.cluster or "",
        "settings": run.overrides,
        "home": str(run.home),
    }
    options: dict[str, Any] = {"only": only, "from_": start, "resume": resume, "inputs": inputs}
    with cluster.lent_workers(0 if run.cluster else run.workers) as environment:
        options |= {"environment": environment, "intact": stamps.intact(run), "ended": progress}
        try:
            done = notebooks.run(folder, run.out / "notebooks", parameters, **options)
        finally:
            progress.close()
    report = stamps.report_path(run)
    if report.is_file() and any(one.path.stem == REPORT and not one.skipped for one in done):
        provenance.end_manifest(run.out / "manifest.json")
        add_notebook(report.parent, _outline(run), REPORT)  # it wrote the report, and has ended only now
    found = str(report) if report.is_file() else None
    return {"report": found, "notebooks": {e.name: round(e.seconds, 1) for e in done}}


def write(run: Run, rest: Sequence[str] = ()) -> Path:
    """Write the claims, the manifest and the report from what a run has made; returns the report's first page.

    `rest`: notebooks of a run at work that are still to come, which every page then says.

    InputError: it has made no table. MsfpError: the folder cannot be written.
    """
    tables, there = stamps.tables_folder(run), stamps.report_path(run)
    if not rest and not there.is_file() and not any(tables.glob("*.json")):
        raise InputError(f"{tables}: no table was made; run msfp reproduce --profile {run.settings.profile} first")
    verdicts = judge(run)
    for name, timed in (("claims", False), ("claims-time", True)):
        lines, path = csv_frame(frame(one for one in verdicts if one.claim.timed == timed)), run.out / f"{name}.csv"
        atomic_write(path, lines.encode()) if run.settings.compared else path.unlink(missing_ok=True)
    origin = provenance.write_manifest(
        run.out / "manifest.json",
        settings=run.settings.model_dump(mode="json", exclude={"data": {"root"}}),
        seeds=run.settings.seeds,
        inputs={"weights": run.weights_digest()},
    )
    cells = stamps.published_cells(run)
    if run.settings.compared and not rest:
        _write_made(run, origin, cells.get(1, ()), verdicts)
    return write_site(there.parent, _contents(run, cells, verdicts, origin, rest))


def _write_made(run: Run, origin: Mapping[str, Any], table_1: Sequence[Cell], verdicts: Sequence[Verdict]) -> None:
    """Write beside the figures their digests, when and by which code they were made, and what the README quotes."""
    drawn = [a.id for a in every() if a.kind == "figure" and a.section]
    paths = [run.figures / f"{id}.{form}" for id in drawn for form in ("png", "svg")]
    laid = sheet(table_1, 1)
    numbers: dict[str, dict[str, str]] = {}  # row -> column -> as the table prints it, without parts of the data
    for line in (line for line in laid.lines if line.label == line.row):
        for column, cell in zip(laid.columns, line.cells, strict=True):
            if cell is not None and cell.source == "measured":
                numbers.setdefault(line.row, {})[column] = f"{cell.text} ±{cell.std}" if cell.std else cell.text
    ours = [one for one in verdicts if one.claim.basis == "measured"]
    found = {
        "written": origin["when"]["written"],
        "code": origin["code"],
        "figures": {path.name: file_digest(path) for path in paths if path.is_file()},
        "numbers": numbers,
        "claims": Counter(one.apart.why if one.apart else one.word for one in ours),
    }
    atomic_write(run.figures / MADE, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def _outline(run: Run, **more: Any) -> Contents:
    """The report's words on its run before a result is read, and more."""
    named = {run.settings.data.root: "ROOT", run.home: ".."}
    return Contents(
        profile=run.settings.profile,
        figures=run.figures,
        tables=stamps.tables_folder(run),
        notebooks=notebooks.executed(run.out / "notebooks"),
        options=stamps.options(run),
        embedded=run.settings.data.main in run.embedded_names,
        compared=run.settings.compared,
        data=run.settings.data.main.upper(),
        # the report may be passed on, so it does not name this machine's folders
        names={str(folder): name for folder, name in named.items() if folder is not None and len(folder.parts) > 2},
        **more,
    )


def _contents(
    run: Run,
    tables: Mapping[int, list[Cell]],
    verdicts: Sequence[Verdict],
    origin: Mapping[str, Any],
    rest: Sequence[str],
) -> Contents:
    """What the report says, from the files of a run."""
    embedded = run.settings.data.main in run.embedded_names
    made = {a.id: (a, stamps.read_stamp(run, a.id)) for a in every() if a.status == "ready"}
    records = [record for _, record in made.values()]
    old = {name: stamps.stale(run, a.kind, a.number) for name, (a, record) in made.items() if record}
    scores, held = Counter[str](), Counter[str]()  # of the tables
    for rules, counts in (item for record in records for item in record.get("scored", {}).items()):
        scores[rules] += counts[0]
        held[rules] += counts[1]
    return _outline(
        run,
        cells=tables,
        evidence={number: read_evidence(stamps.evidence_path(run, number)) for number in tables},
        manifest=origin,
        choices=[*choices_used(run.settings), *choices(run)],
        notes=list(dict.fromkeys(text for record in records for text in record.get("notes", ()))),
        events=list(dict.fromkeys(text for record in records for text in record.get("events", ()))),
        limits=by_construction(verdicts, embedded),
        one_seed=len(run.settings.seeds) == 1,
        checked={rules: (scores[rules], held[rules]) for rules in sorted(scores)},
        absent={name: record["reason"] for name, (_, record) in made.items() if record.get("reason")},
        stale={name: why for name, why in old.items() if why},
        rest=rest,
        verdicts=verdicts,
    )


def by_construction(verdicts: Sequence[Verdict], embedded: bool) -> list[str]:
    """Sentences on what decides claims besides measuring, or bears on them, each with the claims it concerns."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        apart = [one.apart.reason] if one.apart and one.apart.why == "construction" else []
        caveat = [one.claim.embedded] if embedded and one.claim.embedded and one.claim.basis == "measured" else []
        for text in (*apart, *caveat):
            found.setdefault(text, []).append(f"`{one.claim.id}`")
    return [f"{text[:1].upper()}{text[1:]} ({', '.join(names)})." for text, names in found.items()]
