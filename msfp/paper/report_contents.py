"""The report's contents, gathered from the files that the notebooks of a run left."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from msfp.config import choices_used
from msfp.engine.escapes import csv_frame
from msfp.engine.files import atomic_write
from msfp.engine.notebooks import executed
from msfp.engine.provenance import write_manifest
from msfp.paper import cell_samples, selected, stamps
from msfp.paper.claims.shown import frame
from msfp.paper.claims.verdict import Verdict, judge
from msfp.paper.findings import compare
from msfp.paper.registry import artefact, every
from msfp.paper.site.pages import Contents, add_notebook, write_site
from msfp.pipeline.run import Run
from msfp.types import Cell

LIMITS_EMBEDDED = (
    "The embedded worlds are rendered drawings with known rules. Absolute scores on them say nothing about MOT17; "
    "comparisons of methods on them hold for them.",
    "Public detections of the embedded worlds come from a statistical model fitted on MOT17's labels, so detectors do "
    "not see the pictures: a threshold that depends on the picture can only follow what the model depends on.",
)
ONE_SEED = ("One training seed: intervals of what is learned tell nothing of other seeds, and are too narrow.",)
LIMITS = (
    "Re-identification by section 4.2 is a weak measure: position and background leak identity, as the rows with "
    "random detector weights show.",
    "ATL is supervised with one target a sequence, so the number of different targets is the number of sequences.",
    "A difference is measured less paper, also where data, detector, weights or hardware differ: it orients, it does "
    "not test the paper.",
    "Best and second are ranked among the rows measured here; values of the paper and published ones take no part.",
)


def write(run: Run) -> Path:
    """Write the claims, the manifest and the report of a run; returns the report's first page."""
    verdicts = judge(run)
    for name, timed in (("claims", False), ("claims-time", True)):
        chosen = [one for one in verdicts if one.claim.timed == timed]
        atomic_write(run.out / f"{name}.csv", csv_frame(frame(chosen)).encode())
    origin = write_manifest(
        run.out / "manifest.json",
        settings=run.settings.model_dump(mode="json", exclude={"data": {"root"}}),
        seeds=run.settings.seeds,
        inputs={"weights": run.weights_digest()},
    )
    return write_site(stamps.report_path(run).parent, _contents(run, verdicts, origin))


def complete(run: Run, notebook: str) -> None:
    """Add the executed notebook that wrote the report to it."""
    add_notebook(stamps.report_path(run).parent, _outline(run), notebook)


def _contents(run: Run, verdicts: Sequence[Verdict], origin: Mapping[str, Any]) -> Contents:
    """What the report says, from the files of a run."""
    tables = stamps.published_cells(run)
    embedded = run.settings.data.main in run.embedded_names
    made = {a.id: (a, stamps.read_stamp(run, a)) for a in every() if a.status == "ready"}
    records = [record for _, record in made.values()]
    old = {name: stamps.stale(run, a.kind, a.number) for name, (a, record) in made.items() if record}
    return replace(
        _outline(run),
        cells=tables,
        evidence={number: cell_samples.read(stamps.evidence_path(run, number)) for number in tables},
        manifest=origin,
        findings={artefact("table", number).id: sentences(cells, number) for number, cells in tables.items()},
        choices=[*choices_used(run.settings), *selected.choices(run)],
        notes=list(dict.fromkeys(text for record in records for text in record.get("notes", ()))),
        events=list(dict.fromkeys(text for record in records for text in record.get("events", ()))),
        limits=[
            *(LIMITS_EMBEDDED if embedded else ()),
            *by_construction(verdicts, embedded),
            *(ONE_SEED if len(run.settings.seeds) == 1 else ()),
            *LIMITS,
            *_checked(records),
        ],
        absent={name: record["reason"] for name, (_, record) in made.items() if record.get("reason")},
        stale={name: why for name, why in old.items() if why},
        verdicts=verdicts,
        embedded=embedded,
    )


def _checked(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many of the tables' scores TrackEval computed too; nothing where no table has scores."""
    totals: dict[str, tuple[int, int]] = {}
    for record in records:
        for rules, (scores, held) in record.get("scored", {}).items():
            before = totals.get(rules, (0, 0))
            totals[rules] = before[0] + scores, before[1] + held
    if not totals:
        return []
    each = ", ".join(f"{held} of {scores} by {rules}'s rules" for rules, (scores, held) in sorted(totals.items()))
    return [
        f"Scores are computed by kernels. TrackEval computed a random sample of them too ({each}), and every one was "
        "equal: integers exactly, fractions to 1e-9. A difference would have stopped the run."
    ]


def _outline(run: Run) -> Contents:
    """What the report says of its run before a result is read."""
    named = {run.settings.data.root: "ROOT", run.home: ".."}
    return Contents(
        profile=run.settings.profile,
        figures=run.figures,
        tables=stamps.tables_folder(run),
        notebooks=executed(run.out / "notebooks"),
        options=options(run),
        # the report may be passed on, so it does not name this machine's folders
        names={str(folder): name for folder, name in named.items() if folder is not None and len(folder.parts) > 2},
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


def options(run: Run) -> str:
    """Command-line options that make the same run; a folder is told by its name only."""
    parts = [f"--profile {run.settings.profile}"]
    if run.settings.data.root is not None:
        parts.append(f"--root {run.settings.data.root.name}")
    if run.settings.input.weights != "embedded":
        parts.append(f"--weights {Path(run.settings.input.weights).name}")
    parts += [f"-p {shlex.quote(word)}" for word in shlex.split(run.overrides)]
    return " ".join(parts)


def sentences(cells: list[Cell], table: int) -> list[str]:
    """What a table says beside the paper's, one sentence a column."""
    return [
        f"{line['column']}: best of {line['rows']} rows here is {line['best here']} ({line['value here']:.4g}), in the "
        f"paper {line['best in the paper']}; {line['pairs as in the paper']} pairs of rows are in the same order."
        for line in compare(cells, table).to_dict("records")
    ]
