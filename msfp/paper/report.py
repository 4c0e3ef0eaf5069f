"""The report of a run, and its tables and figures as a LaTeX folder."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from msfp.config import choices_used
from msfp.engine.files import atomic_write
from msfp.engine.html import csv_frame
from msfp.engine.notebooks import executed
from msfp.engine.provenance import write_manifest
from msfp.errors import InputError
from msfp.experiment.run import Run
from msfp.paper import cells, gallery, protocol, stamps
from msfp.paper.claims.verdict import Verdict, frame, judge
from msfp.paper.latex import PACKAGES, code, escape, latex, prose
from msfp.paper.layout import compare
from msfp.paper.registry import artefact, every
from msfp.paper.render import sheet
from msfp.paper.site.pages import NOT_MADE, Contents, add_notebook, write_site
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
    """Write the claims, the manifest and the report from what a run has made; returns the report's first page.

    Raises:
        InputError: it has made no table.
        MsfpError: the folder cannot be written.
    """
    if not any((tables := stamps.tables_folder(run)).glob("*.json")):
        raise InputError(f"{tables}: no table was made; run msfp reproduce --profile {run.settings.profile} first")
    verdicts = judge(run)
    for name, timed in (("claims", False), ("claims-time", True)):
        lines, path = csv_frame(frame(one for one in verdicts if one.claim.timed == timed)), run.out / f"{name}.csv"
        atomic_write(path, lines.encode()) if run.settings.compared else path.unlink(missing_ok=True)
    origin = write_manifest(
        run.out / "manifest.json",
        settings=run.settings.model_dump(mode="json", exclude={"data": {"root"}}),
        seeds=run.settings.seeds,
        inputs={"weights": run.weights_digest()},
    )
    contents = _contents(run, verdicts, origin)
    if run.settings.compared:
        gallery.write_made(run.figures, origin, contents.cells, verdicts)
    return write_site(stamps.report_path(run).parent, contents)


def complete(run: Run, notebook: str) -> None:
    """Add the executed notebook that wrote the report to it."""
    add_notebook(stamps.report_path(run).parent, _outline(run), notebook)


def _contents(run: Run, verdicts: Sequence[Verdict], origin: Mapping[str, Any]) -> Contents:
    """What the report says, from the files of a run."""
    tables = stamps.published_cells(run)
    embedded = run.settings.data.main in run.embedded_names
    made = {a.id: (a, stamps.read_stamp(run, a.id)) for a in every() if a.status == "ready"}
    records = [record for _, record in made.values()]
    old = {name: stamps.stale(run, a.kind, a.number) for name, (a, record) in made.items() if record}
    return replace(
        _outline(run),
        cells=tables,
        evidence={number: cells.read(stamps.evidence_path(run, number)) for number in tables},
        manifest=origin,
        findings={artefact("table", n).id: sentences(cells, n) for n, cells in tables.items() if run.settings.compared},
        choices=[*choices_used(run.settings), *protocol.choices(run)],
        notes=list(dict.fromkeys(text for record in records for text in record.get("notes", ()))),
        events=list(dict.fromkeys(text for record in records for text in record.get("events", ()))),
        limits=[
            *(LIMITS_EMBEDDED if embedded else ()),
            *by_construction(verdicts, embedded),
            *(ONE_SEED if len(run.settings.seeds) == 1 else ()),
            *(LIMITS if run.settings.compared else ()),
            *_checked(records),
        ],
        absent={name: record["reason"] for name, (_, record) in made.items() if record.get("reason")},
        stale={name: why for name, why in old.items() if why},
        verdicts=verdicts,
    )


def _checked(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many of the tables' scores TrackEval computed too; nothing where no table has scores."""
    totals: dict[str, list[int]] = {}
    for rules, counts in (item for record in records for item in record.get("scored", {}).items()):
        totals[rules] = [total + n for total, n in zip(totals.get(rules, (0, 0)), counts, strict=True)]
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
        embedded=run.settings.data.main in run.embedded_names,
        compared=run.settings.compared,
        data=run.settings.data.main.upper(),
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


COMPILE = "latexmk -pdf main.tex"


class Manuscript(NamedTuple):
    """The folder that was written, ids of the tables and figures in it, why others are not, and which are stale."""

    folder: Path
    tables: tuple[str, ...]
    figures: tuple[str, ...]
    missing: dict[str, str]
    stale: tuple[str, ...]


def write_paper(run: Run, out: Path | None = None) -> Manuscript:
    """Write the LaTeX folder of what a run has made, to `runs/<profile>/paper` or `out`; nothing is computed.

    Raises:
        InputError: the run has made nothing yet.
        MsfpError: the folder cannot be written.
    """
    profile = run.settings.profile
    cells = stamps.published_cells(run)
    ready = [a for a in every() if a.status == "ready"]
    texts: dict[str, bytes] = {}
    for a in ready:
        if a.kind == "table" and a.number in cells:
            texts[a.id] = latex(sheet(cells[a.number], a.number, run.settings.compared), f"profile {profile}").encode()
        elif a.kind == "figure" and (path := run.figures / f"{a.id}.pdf").is_file():
            texts[a.id] = path.read_bytes()
    if not texts:
        raise InputError(f"{run.out}: no table or figure was made yet; run msfp reproduce --profile {profile} first")
    folder = out or run.out / "paper"
    for a in ready:
        file = folder / f"{a.kind}s" / f"{a.id}.{'tex' if a.kind == 'table' else 'pdf'}"
        if a.id in texts:
            atomic_write(file, texts[a.id])
        else:
            file.unlink(missing_ok=True)
    missing = {a.id: stamps.read_stamp(run, a.id).get("reason") or NOT_MADE for a in ready if a.id not in texts}
    stale = [a for a in ready if a.id in texts and stamps.stale(run, a.kind, a.number)]
    templates = Environment(
        loader=PackageLoader("msfp.paper", "latex_templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    templates.filters |= {"escape": escape, "code": code, "prose": prose}
    for name in ("main.tex", "choices.tex", "Makefile", "README.md"):
        text = templates.get_template(f"{name}.j2").render(
            title=f"MSFP-Track reproduced: tables and figures, profile {profile}",
            profile=profile,
            options=options(run),
            facts=_provenance(run),
            ready=ready,
            missing=missing,
            stale=stale,
            choices=choices_used(run.settings),
            packages=PACKAGES,
            compile=COMPILE,
        )
        atomic_write(folder / name, text.encode())
    tables, figures = (tuple(a.id for a in ready if a.kind == kind and a.id in texts) for kind in ("table", "figure"))
    return Manuscript(folder, tables, figures, missing, tuple(a.id for a in stale))


def _provenance(run: Run) -> list[tuple[str, str]]:
    """Name and text of where the run's numbers come from, as its manifest has it."""
    try:
        found: dict[str, Any] = json.loads((run.out / "manifest.json").read_text(encoding="utf-8"))
        source, machine = found["code"], found["hardware"]
        where = f"{machine['cpu']}, {machine['cores']} core(s), {', '.join(machine['gpus']) or 'no GPU'}"
        torch = found["packages"].get("torch", "?")
        state = ", with changes that are not committed" if source["dirty"] else ""
        return [
            ("date", found["when"]["written"]),
            ("commit", f"{source['commit'] or 'not in a git checkout'}{state}"),
            ("code", f"msfp {source['version']}, digest {source['digest'].partition(':')[2][:16]}"),
            ("seeds", ", ".join(map(str, found["seeds"]))),
            ("made on", f"{where}; {found['system']}; Python {found['python']}, PyTorch {torch}"),
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return [("date, commit", "not recorded, as the run's report was not written")]
