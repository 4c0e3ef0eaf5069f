"""A run's tables and figures as one folder of LaTeX that compiles as it stands: `runs/<profile>/paper/`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msfp.config import choices_used
from msfp.engine.files import atomic_write
from msfp.errors import InputError
from msfp.paper import stamps
from msfp.paper.latex import PACKAGES, latex
from msfp.paper.registry import Artefact, every
from msfp.paper.render import sheet
from msfp.paper.report_contents import options
from msfp.paper.site.blocks import NOT_MADE
from msfp.paper.tex import code, escape, prose
from msfp.pipeline.run import Run

MAIN = "main.tex"
COMPILE = "latexmk -pdf main.tex"
PREAMBLE = (
    r"\documentclass[10pt,a4paper]{article}",
    r"\usepackage[T1]{fontenc}",
    r"\usepackage{lmodern}",
    r"\usepackage[margin=20mm]{geometry}",
    *(rf"\usepackage{{{name}}}" for name in (*PACKAGES, "graphicx")),
    r"\usepackage[hidelinks]{hyperref}",
    r"\captionsetup{font=small,labelfont=bf,justification=raggedright,singlelinecheck=false}",
    r"\setlength{\parindent}{0pt}",
    r"\setlength{\emergencystretch}{3em}",
    r"\raggedbottom",
    r"% a figure keeps its size, unless it is wider than the line",
    r"\newsavebox{\drawn}",
    r"\newcommand{\drawing}[1]{\sbox{\drawn}{\includegraphics{#1}}%",
    r"  \ifdim\wd\drawn>\linewidth\includegraphics[width=\linewidth]{#1}\else\usebox{\drawn}\fi}",
)
READING = (
    r"\textit{here}: measured in this run, with the spread over training seeds. \textit{paper}: the value that the "
    r"paper prints. \textit{published}: known from elsewhere. The three are never mixed; a cell without a value says "
    r"why in a note below its table. Letters mark remarks on the paper's numbers. Numbers of tables and figures are "
    r"the paper's; those from 101 on are beside it."
)
MAKEFILE = """main.pdf: main.tex choices.tex $(wildcard tables/*.tex figures/*.pdf)
\t@if command -v latexmk >/dev/null; then latexmk -pdf -interaction=nonstopmode -halt-on-error main.tex; \\
\telif command -v tectonic >/dev/null; then tectonic main.tex; \\
\telif command -v pdflatex >/dev/null; then \\
\t  for pass in 1 2 3 4; do pdflatex -interaction=nonstopmode -halt-on-error main.tex >/dev/null || exit 1; done; \\
\telse echo 'no TeX here: install latexmk, pdflatex or tectonic' >&2; exit 1; fi
"""
README = """# {title}

    make                    # or: {compile}, or four times: pdflatex main.tex

makes `main.pdf`. Needed: a TeX with {packages} and graphicx, hyperref, geometry, lmodern; on Debian
`apt-get install texlive-latex-recommended lmodern`.

- `tables/`: one file a table, to be taken over with `\\input{{tables/table01}}`; each needs {packages}.
- `figures/`: PDF, fonts embedded.
- `choices.tex`: what was settled where the paper contradicts itself or is silent.

Made by `{command}`.
"""


@dataclass(frozen=True)
class Manuscript:
    """What was written.

    Attributes:
        folder: holds main.tex.
        tables, figures: ids of what is in it.
        missing: id -> why it is not.
        stale: ids of what other code or settings made.
    """

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
    drawn = {a.id: path for a in ready if a.kind == "figure" and (path := run.figures / f"{a.id}.pdf").is_file()}
    if not cells and not drawn:
        raise InputError(f"{run.out}: no table or figure was made yet; run msfp reproduce --profile {profile} first")
    folder = out or run.out / "paper"
    for one in ready:
        if one.kind == "table" and one.number in cells:
            text = latex(sheet(cells[one.number], one.number), f"profile {profile}")
            atomic_write(folder / "tables" / f"{one.id}.tex", text.encode())
        elif one.id in drawn:
            atomic_write(folder / "figures" / f"{one.id}.pdf", drawn[one.id].read_bytes())
        else:
            (folder / f"{one.kind}s" / f"{one.id}.{'tex' if one.kind == 'table' else 'pdf'}").unlink(missing_ok=True)
    there = {a.id for a in ready if a.id in drawn or (a.kind == "table" and a.number in cells)}
    missing = {a.id: stamps.read_stamp(run, a).get("reason") or NOT_MADE for a in ready if a.id not in there}
    stale = tuple(a.id for a in ready if a.id in there and stamps.stale(run, a.kind, a.number))
    made = Manuscript(
        folder, tuple(a.id for a in ready if a.kind == "table" and a.id in there), tuple(drawn), missing, stale
    )
    _write_frame(run, made, ready)
    return made


def _write_frame(run: Run, made: Manuscript, ready: list[Artefact]) -> None:
    """All that is neither table nor figure."""
    command = f"msfp paper {options(run)}"
    title = f"MSFP-Track reproduced: tables and figures, profile {run.settings.profile}"
    packages = ", ".join(PACKAGES)
    texts = {
        MAIN: _document(title, _provenance(run), made, ready),
        "choices.tex": _choices(choices_used(run.settings)),
        "Makefile": MAKEFILE,
        "README.md": README.format(title=title, compile=COMPILE, packages=packages, command=command),
    }
    for name, text in texts.items():
        atomic_write(made.folder / name, text.encode())


def _document(title: str, facts: list[tuple[str, str]], made: Manuscript, ready: list[Artefact]) -> str:
    lines = [f"% {COMPILE}", *PREAMBLE, r"\begin{document}", rf"{{\Large\bfseries {escape(title)}\par}}\bigskip"]
    lines += [r"\begin{tabular}{@{}lp{130mm}@{}}"]
    lines += [rf"{escape(name)} & \raggedright {said} \tabularnewline" for name, said in facts]
    if made.stale:
        names = ", ".join(a.name for a in ready if a.id in made.stale)
        lines += [
            rf"stale & \raggedright made by other code or settings than the rest: {escape(names)} \tabularnewline"
        ]
    lines += [r"\end{tabular}\bigskip", "", READING, r"\listoftables", r"\listoffigures", r"\clearpage"]
    tables = [a for a in ready if a.kind == "table"]
    for one in [*tables, *(a for a in ready if a.kind == "figure")]:
        lines += _artefact(one, made.missing)
    lines.append(r"\clearpage")
    return "\n".join([*lines, r"\appendix", r"\section*{Choices}", r"\input{choices}", r"\end{document}"]) + "\n"


def _artefact(one: Artefact, missing: dict[str, str]) -> list[str]:
    """Lines that put in one table or figure, or say why it is not there."""
    if one.id in missing:
        return ["", rf"\textbf{{{escape(one.name)}, {escape(one.title)}}}: {prose(missing[one.id])}.\par\medskip"]
    number = rf"\setcounter{{{one.kind}}}{{{one.number - 1}}}"
    if one.kind == "table":
        return ["", number, rf"\input{{tables/{one.id}}}", r"\bigskip"]
    caption = rf"\textbf{{{escape(one.title)}.}} {prose(one.caption)}"
    return [
        "", number, r"\begin{figure}[!htbp]", r"\centering", rf"\drawing{{figures/{one.id}}}",
        rf"\caption[{escape(one.title)}]{{{caption}}}\label{{fig:{one.id}}}", r"\end{figure}",
    ]  # fmt: skip


def _provenance(run: Run) -> list[tuple[str, str]]:
    """Name and LaTeX text of where the run's numbers come from, as its manifest has it."""
    path = run.out / "manifest.json"
    facts = [("profile", escape(run.settings.profile)), ("command", code(f"msfp reproduce {options(run)}"))]
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        source, machine = found["code"], found["hardware"]
        where = f"{machine['cpu']}, {machine['cores']} core(s), {', '.join(machine['gpus']) or 'no GPU'}"
        torch = found["packages"].get("torch", "?")
        state = {True: ", with changes that are not committed", False: "", None: ""}[source["dirty"]]
        return [
            *facts,
            ("date", escape(found["when"]["written"])),
            ("commit", escape(f"{source['commit'] or 'not in a git checkout'}{state}")),
            ("code", escape(f"msfp {source['version']}, digest {source['digest'].partition(':')[2][:16]}")),
            ("seeds", escape(", ".join(map(str, found["seeds"])))),
            ("made on", escape(f"{where}; {found['system']}; Python {found['python']}, PyTorch {torch}")),
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return [*facts, ("date, commit", escape("not recorded, as the run's report was not written"))]


def _choices(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """The settled switches as a table that breaks over pages."""
    flush = r">{\raggedright\arraybackslash}"
    lines = [
        "Where the paper contradicts itself or is silent, this run used (a switch is set with "
        rf"{code('-p name=value')}):",
        r"\par\footnotesize\setlength{\tabcolsep}{3.5pt}",
        rf"\begin{{longtable}}{{@{{}}{flush}p{{36mm}}{flush}p{{26mm}}{flush}p{{30mm}}{flush}p{{66mm}}@{{}}}}",
        r"\toprule Switch & Used & Other choices & Why there is a choice \\ \midrule \endhead",
        r"\bottomrule \endfoot",
        *(
            rf"{code(key)} & {code(used)} & {', '.join(code(o) for o in others.split(', ') if o) or '--'} & "
            rf"{prose(why)} \\"
            for key, used, others, why in rows
        ),
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"
