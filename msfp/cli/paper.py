"""The paper's artefacts, rows from elsewhere, settings selected, and the hot paths timed."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msfp.cli.app import app
from msfp.cli.listing import KINDS
from msfp.cli.options import Json, Start, offer, opens_run, tell
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.paper.methods import Chosen

BENCHES = Path(__file__).resolve().parents[2] / "bench"
FOUND = {p.stem.removeprefix("bench_"): p for p in sorted(BENCHES.glob("bench_*.py"))}  # none but in a checkout
TABLES, NAMES = offer("tables", "extras"), offer(also=("all", *FOUND))
COMPUTES = ("profile", "root", "weights", "device", "workers", "param", "home")
SHOWS = ("profile", "root", "weights", "param", "home")


def _bring() -> Path:
    """Put the package's notebooks here where they are not, and say so; nothing in a checkout."""
    from msfp.paper.registry import bring_notebooks

    folder, written, kept = bring_notebooks()
    if written:
        changed = f"; kept, as you changed them: {', '.join(kept)}" if kept else ""
        typer.echo(f"msfp: {len(written)} notebooks put into {folder}{changed}", err=True)
    return folder


@app.command()
def init(as_json: Json = False) -> None:
    """Put the notebooks that came with the package into notebooks/ here; one that you changed is kept.

    `msfp reproduce` does so by itself. A checkout has its own, and nothing is done there.
    """
    folder = str(_bring())
    tell(as_json, {"notebooks": folder}, f"notebooks: {folder}")


@app.command()
@opens_run(*COMPUTES, "cluster", workers=-1)
def reproduce(
    start: Start,
    only: Annotated[str, typer.Option("--only", metavar="NN", help="just this notebook, such as 03")] = "",
    first: Annotated[str, typer.Option("--from", metavar="NN", help="from this notebook on")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="execute notebooks anew even when nothing changed")] = False,
    as_json: Json = False,
) -> None:
    """Execute the notebooks in order and write every table, figure and the report."""
    run = start()
    _bring()
    from msfp.paper.report import reproduce as execute

    outcome = execute(run, only=only or None, start=first or None, resume=not fresh)
    written = outcome["report"]
    tell(as_json, outcome, f"report: {written}" if written else "the report is not written yet: msfp report")


@app.command()
@opens_run(*SHOWS)
def report(
    start: Start,
    show: Annotated[bool, typer.Option("--open", help="show it in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Write the report again from what a run has made; computes no table.

    Give the options of the run: what was made with others, or by other code, is marked as such.
    """
    run = start()
    from msfp.paper.report import write

    page = write(run)
    tell(as_json, {"report": str(page)}, f"report: {page}")
    if show:
        import webbrowser

        webbrowser.open(page.as_uri())


@app.command("paper")
@opens_run(*SHOWS)
def paper(
    start: Start,
    out: Annotated[Path | None, typer.Option("--out", help="folder to write; default: runs/PROFILE/paper")] = None,
    as_json: Json = False,
) -> None:
    """Write the run's tables and figures as one folder of LaTeX that compiles; computes nothing.

    Take the options of the run itself: what was made with others is marked as stale.
    """
    run = start()
    from msfp.paper.latex import COMPILE, write_paper

    made = write_paper(run, out)
    found = {"folder": str(made.folder), "tables": made.tables, "figures": made.figures, "missing": made.missing}
    problems = [f"{name} is not in it: {reason}" for name, reason in made.missing.items()]
    if made.stale:
        problems.append(f"made by other code or settings: {', '.join(made.stale)}")
    said = f"{made.folder}: {len(made.tables)} tables, {len(made.figures)} figures; there: {COMPILE}"
    tell(as_json, {**found, "stale": made.stale, "compile": COMPILE}, said, [] if as_json else problems)


@app.command("list")
def list_things(
    what: Annotated[str, typer.Argument(help=", ".join(KINDS), autocompletion=offer(also=KINDS))] = "tables",
    as_json: Json = False,
) -> None:
    """What there is: tables, figures, trackers, data sets, detector presets."""
    from msfp.cli.listing import listing

    rows = listing(what)
    widths = {key: max(len(str(row[key])) for row in rows) for key in rows[0]} if rows else {}
    lines = ("  ".join(str(value).ljust(widths[key]) for key, value in row.items()).rstrip() for row in rows)
    tell(as_json, rows, lines)


@app.command()
@opens_run(*COMPUTES)
def table(
    start: Start,
    number: Annotated[int, typer.Argument(help="1 to 24; extra ones from 101", autocompletion=TABLES)],
    as_json: Json = False,
) -> None:
    """Compute one table of the paper: measured beside the paper's value."""
    run = start()
    from msfp.paper.notebook import as_notebook_run

    made = as_notebook_run(run).table(number)
    typer.echo(made.files[0].read_text(encoding="utf-8") if as_json else repr(made))


@app.command()
@opens_run(*COMPUTES)
def figure(
    start: Start,
    number: Annotated[int, typer.Argument(help="1 to 7", autocompletion=offer("figures"))],
    as_json: Json = False,
) -> None:
    """Draw one figure of the paper as PDF, SVG and PNG."""
    run = start()
    from msfp.paper.notebook import as_notebook_run

    made = as_notebook_run(run).figure(number)
    names = [str(f) for f in made.files]
    problems = [f"figure {number}: n/a: {made.reason}"] if made.reason else []
    tell(as_json, {"number": number, "files": names, "reason": made.reason}, names, problems, wrong=made.reason)


@app.command("import-results")
@opens_run("profile", "root", "param", "home")
def import_results(
    start: Start,
    name: Annotated[str, typer.Argument(help="the row's name; that of a row of the paper fills it, such as JDE")],
    folder: Annotated[Path, typer.Argument(help="folder of MOTChallenge result files, one SEQUENCE.txt each")],
    as_json: Json = False,
) -> None:
    """Take anyone's result files: checked, kept with the run, scored, and a measured row of Tables 1 and 2.

    Exit status 1 when files were left out or are missing, 2 when none could be taken.
    """
    run = start()
    from msfp.experiment.external import Refused
    from msfp.paper.measure import take

    try:
        kept, scored = take(run, name, folder)
    except Refused as refused:
        tell(False, None, "", refused.problems)
        raise typer.Exit(2) from None
    problems = list(kept.problems)
    if kept.unshown:
        problems.append(f"{folder}: kept, though no table of this run shows them: {', '.join(kept.unshown)}")
    rows: dict[str, dict[str, dict[str, float]]] = {dataset: {} for dataset in scored}
    for dataset, cells in scored.items():
        for cell in cells:
            if isinstance(cell.value, (int, float)):
                rows[dataset].setdefault(cell.row, {})[cell.column] = float(cell.value)
    lines = [f"{len(kept.sequences)} result files kept at {kept.folder}"]
    for dataset, row, values in ((dataset, *one) for dataset, found in rows.items() for one in found.items()):
        text = "  ".join(f"{k} {v:.0f}" if k == "IDSW" else f"{k} {v:.1f}" for k, v in values.items())
        lines.append(f"{dataset}  {row}: {text}")
    lines.append(f"shown by: msfp table 1 --profile {run.settings.profile}")
    record = {"kept": str(kept.folder), "sequences": kept.sequences, "scores": rows, "problems": kept.problems}
    tell(as_json, {**record, "unshown": kept.unshown}, lines, problems, wrong=kept.problems)


@app.command()
@opens_run(*COMPUTES, profile="mot17", root=...)
def submit(
    start: Start,
    method: Annotated[str, typer.Argument(help="a row of Table 1, such as MSFP-Track, or its tracker's name")],
    dataset: Annotated[str, typer.Option("--dataset", help="mot17 or mot20; default: the profile's")] = "",
    out: Annotated[Path | None, typer.Option("--zip", help="file to write; default: in runs/PROFILE")] = None,
    as_json: Json = False,
) -> None:
    """Track a test split whose labels are hidden, and write the zip that motchallenge.net takes, checked."""
    run = start()
    from msfp.paper.measure import submit_row

    path = str(submit_row(run, method, dataset, out))
    tell(as_json, {"zip": path}, path)


@app.command()
@opens_run(*COMPUTES, profile="", workers=-1)
def tune(
    start: Start,
    rows: Annotated[list[str] | None, typer.Argument(help="rows of Table 1 or trackers; default: all")] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="draws a row, the same for all")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the draws")] = 0,
    as_json: Json = False,
) -> None:
    """Select what a paper leaves open: random search on held-out learning frames, HOTA, the same budget for every row.

    Prints the settings chosen, their HOTA where they were chosen and, beside the released ones, on the validation part,
    which no draw has seen. ROOT is any folder in the MOTChallenge layout; without it the drawn scenes are used.
    """
    run = start(f"selection.trials={trials}", f"selection.seed={seed}", "tuning=selected")
    from msfp.paper.methods import tune as tune_rows

    found = tune_rows(run, rows or [])
    lines = [] if as_json else [_text(one) for one in found]
    tell(as_json, [_record(one) for one in found], lines, wrong=any(one.found is None for one in found))


def _record(one: "Chosen") -> dict[str, object]:
    found = one.found
    record: dict[str, object] = {
        "row": one.label,
        "tracker": one.method.tracker,
        "settings": dict(found.options) if found else None,
        "held_out": {"released": one.released, "selected": one.selected, "interval": one.gain, "reason": one.remark},
    }
    if found is None:
        return {**record, "reason": one.reason}
    inner: dict[str, object] = {"released": 100 * found.released, "selected": 100 * found.hota}
    inner["quartiles"] = [100 * float(q) for q in found.quartiles]
    how = {"draws": found.draws, "seeds": list(found.seeds), "selected_on": list(found.held_out)}
    return {**record, "inner": inner, **how}


def _text(one: "Chosen") -> str:
    from msfp.experiment.selection import words
    from msfp.paper.methods import outcome

    if one.found is None:
        return f"{one.label}: {one.reason}"
    lines = [f"{one.label}: {words(one.found.options)}", f"  {outcome(one.found)}"]
    if one.released is not None and one.selected is not None:
        apart = f" [{one.gain[0]:+.1f}, {one.gain[1]:+.1f}]" if one.gain else f" ({one.remark})"
        lines.append(
            f"  on the validation part: {one.selected:.1f} HOTA, as released {one.released:.1f}; "
            f"{one.selected - one.released:+.1f}{apart}"
        )
    options = " ".join(f"--set {key}={value}" for key, value in one.found.options)
    if options:
        lines.append(f"  msfp run ROOT --tracker {one.method.tracker} {options} --out DIR")
    return "\n".join(lines)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="one of them, or all; default: list them", autocompletion=NAMES)] = "",
    as_json: Json = False,
    device: Annotated[str, typer.Option("--device", help="pipeline only: parts of a frame on this device")] = "",
) -> None:
    """Time a hot path beside its peers, in one process and in turn; medians and ratios."""
    if not FOUND:
        raise InputError(f"no benchmarks at {BENCHES}; they come with a checkout of the project, not with the package")
    if not name:
        return tell(as_json, list(FOUND), FOUND)
    if device and name != "pipeline":
        raise InputError(f"--device {device}: only `msfp bench pipeline` runs elsewhere than on the CPU")
    if name not in ("all", *FOUND):
        raise InputError(f"bench {name}: not known; there are: all, {', '.join(FOUND)}")
    words = [*(["--json"] if as_json else []), *(["--device", device] if device else [])]
    for one in FOUND if name == "all" else [name]:
        done = subprocess.run([sys.executable, str(FOUND[one]), *words], check=False)
        if done.returncode:
            raise typer.Exit(done.returncode)
    return None
