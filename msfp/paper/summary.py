"""The report's contents, gathered from the files that the notebooks of a run left."""

import shlex
from pathlib import Path
from typing import Any

from msfp.config import choices_used
from msfp.engine.files import atomic_write
from msfp.engine.provenance import write_manifest
from msfp.paper import publish
from msfp.paper.claims.shown import frame
from msfp.paper.claims.verdict import Verdict, judge
from msfp.paper.findings import compare
from msfp.paper.registry import artefact, every
from msfp.paper.report import write_report
from msfp.pipeline.run import Run
from msfp.types import Cell

LIMITS_EMBEDDED = (
    "The embedded worlds are rendered drawings with known rules. Absolute scores on them say nothing about MOT17; "
    "comparisons of methods on them hold for them.",
    "Public detections of the embedded worlds come from a statistical model fitted on MOT17's labels, so detectors do "
    "not see the pictures: a threshold that depends on the picture can only follow what the model depends on.",
)
LIMITS = (
    "Re-identification by section 4.2 is a weak measure: position and background leak identity, as the rows with "
    "random detector weights show.",
    "ATL is supervised with one target a sequence, so the number of different targets is the number of sequences.",
)


def write(run: Run) -> Path:
    """Write the manifest and the report of a run."""
    tables = publish.published_cells(run)
    verdicts = judge(run)
    table = frame(verdicts).to_csv(index=False, lineterminator="\n")
    atomic_write(run.out / "claims.csv", table.encode())
    embedded = run.settings.data.main in run.embedded_names
    ready = [a for a in every() if a.status == "ready"]
    stamps = {a.id: publish.read_stamp(run, a) for a in ready}
    manifest = write_manifest(
        run.out / "manifest.json",
        settings=run.settings.model_dump(mode="json", exclude={"data": {"root"}}),
        seeds=run.settings.seeds,
        inputs={"weights": run.weights_digest()},
    )
    return write_report(
        run.out,
        run.figures,
        tables,
        manifest,
        {artefact("table", number).id: sentences(cells, number) for number, cells in tables.items()},
        distinct(stamps, "notes"),
        choices=choices_used(run.settings),
        events=distinct(stamps, "events"),
        limits=[*(LIMITS_EMBEDDED if embedded else ()), *(by_construction(verdicts) if embedded else ()), *LIMITS],
        absent={name: found["reason"] for name, found in stamps.items() if found.get("reason")},
        options=options(run),
        verdicts=verdicts,
        embedded=embedded,
    )


def by_construction(verdicts: list[Verdict]) -> list[str]:
    """What the embedded worlds decide by how they are made, and the claims it concerns."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        if one.claim.embedded and one.claim.basis == "measured":
            found.setdefault(one.claim.embedded, []).append(f"`{one.claim.id}`")
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


def sentences(cells: list[Cell], table: int) -> tuple[str, ...]:
    """What a table says beside the paper's, one sentence a column."""
    frame = compare(cells, table)
    return tuple(
        f"{line['column']}: best of {line['rows']} rows here is {line['best here']} ({line['value here']:.4g}), in the "
        f"paper {line['best in the paper']}; {line['pairs as in the paper']} pairs of rows are in the same order."
        for line in frame.to_dict("records")
    )


def distinct(stamps: dict[str, dict[str, Any]], key: str) -> list[str]:
    """Remarks of all artefacts, each once."""
    return list(dict.fromkeys(text for found in stamps.values() for text in found.get(key, ())))
