"""A run's tables and figures as one folder of LaTeX that compiles as it stands: `runs/<profile>/paper/`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from msfp.config import choices_used
from msfp.engine.files import atomic_write
from msfp.errors import InputError
from msfp.paper import stamps
from msfp.paper.latex import PACKAGES, latex
from msfp.paper.registry import every
from msfp.paper.render import sheet
from msfp.paper.report_contents import options
from msfp.paper.site.pages import NOT_MADE
from msfp.paper.tex import code, escape, prose
from msfp.pipeline.run import Run

COMPILE = "latexmk -pdf main.tex"


@dataclass(frozen=True)
class Manuscript:
    """The folder that was written, ids of the tables and figures in it, why others are not, and which are stale."""

    folder: Path
    tables: tuple[str, ...]
    figures: tuple[str, ...]
    missing: dict[str, str]
    stale: tuple[str, ...]


def write_paper(run: Run, out: Path | None = None) -> Manuscript:
    """Write the LaTeX folder of what a run has made; nothing is computed.

    Args:
        run: whose tables and figures.
        out: the folder; None: `runs/<profile>/paper`.

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
            texts[a.id] = latex(sheet(cells[a.number], a.number), f"profile {profile}").encode()
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
    missing = {a.id: stamps.read_stamp(run, a).get("reason") or NOT_MADE for a in ready if a.id not in texts}
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
