"""`msfp data ...`: rendering the drawn scenes, fetching real data, and checking what a folder of it holds."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msfp.cli.app import Commands, app
from msfp.cli.options import Json, Start, offer, opens_run, tell
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.data.download import Plan

data_app = typer.Typer(
    help="Render the drawn scenes; fetch real data sets; check what a folder holds.",
    no_args_is_help=True,
    cls=Commands,
)
app.add_typer(data_app, name="data")


@data_app.command("make")
@opens_run("profile", "workers", "home", "param")
def make(
    start: Start,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="default: the profile's data sets")] = None,
    as_json: Json = False,
) -> None:
    """Render the drawn scenes in a profile's size and length, where they are not there yet.

    A data set is there when it is whole: one that is stopped in the middle begins anew.
    """
    run = start()
    unknown = sorted(set(names or ()) - set(run.embedded_names))
    if unknown:
        raise InputError(f"no embedded data set is named {unknown[0]}; there are: {', '.join(run.embedded_names)}")
    data = run.settings.data
    played = (data.main, data.crowded, data.cross, data.dance, data.embedded)
    chosen = names or [name for name in run.embedded_names if name in played]
    folders = {}
    for number, name in enumerate(chosen, 1):
        folder = run.embedded_folder / name
        doing = "checking" if folder.is_dir() else "rendering"
        typer.echo(f"msfp: {doing} {folder} ({number} of {len(chosen)})", err=True)
        folders[name] = str(run.dataset_root(name))
    tell(as_json, folders, folders.values())


@data_app.command("check")
def check(
    root: Annotated[Path, typer.Argument(help="folder in the MOTChallenge layout")],
    thorough: Annotated[bool, typer.Option("--thorough", help="decode every frame, not three a sequence")] = False,
    as_json: Json = False,
) -> None:
    """Say exactly which sequences, frames and label files are present and right; exit status 1 when some are not."""
    from msfp.data.catalog import check as findings_of

    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder; name the one that holds train/ or test/")
    findings = findings_of(root, thorough)
    tell(as_json, [asdict(f) for f in findings], map(str, findings), wrong=any(not f.right for f in findings))


FETCHED = ("mot17", "mot20", "dancetrack", "personpath22")


@data_app.command("get")
def get(
    name: Annotated[str, typer.Argument(help=", ".join(FETCHED), autocompletion=offer(also=FETCHED))],
    to: Annotated[Path | None, typer.Option("--to", help="folder for it; default: data/NAME")] = None,
    labels_only: Annotated[bool, typer.Option("--labels-only", help="labels and detections, no frames")] = False,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="agree to its licence, do not ask")] = False,
    mirror: Annotated[str, typer.Option("--mirror", help="address of a folder that holds the same files")] = "",
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="leave the archives there")] = False,
    home: Annotated[Path, typer.Option("--home", help="folder that holds data/, runs/ and figures/")] = Path(),
    as_json: Json = False,
) -> None:
    """Fetch a real data set from its official place.

    Shows its licence and size first and asks; a transfer that broke goes on where it broke when called again. What
    came is unpacked in the usual layout, noted with its checksums in obtained.json, and counted; exit status 1 when
    sequences are missing.
    """
    from msfp.data.catalog import check as findings_of
    from msfp.data.download import need_room, obtain, plan

    asked = plan(name, to or home / "data" / name, labels_only, mirror)
    _agree(asked, accept_licence)
    need_room(asked)
    folder = obtain(asked, _bar, keep_archives)
    findings = findings_of(folder)
    wrong = [str(finding) for finding in findings if not finding.right]
    said = f"{folder}: {len(findings) - len(wrong)} of {len(findings)} right; use it with --root {folder}"
    tell(as_json, {"root": str(folder), "findings": [asdict(f) for f in findings]}, [*wrong, said], wrong=wrong)


def _agree(asked: "Plan", accepted: bool) -> None:
    """Show licence and size; go on only with a yes. InputError: nobody is there to ask, or the answer is no."""
    dataset = asked.dataset
    typer.echo(
        f"{dataset.title}: {len(asked.archives)} file(s), {asked.total / 1e9:.2f} GB\n"
        f"  licence: {dataset.licence}\n  home page, with the full terms: {dataset.homepage}",
        err=True,
    )
    if accepted:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is there to accept the licence; read it and call again with --accept-licence")
    if not typer.confirm("Do you accept these terms?", err=True):
        raise InputError("the licence was not accepted; nothing was fetched")


@contextlib.contextmanager
def _bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar's progress function; the bar leaves the screen with its transfer, also with one that failed."""
    from msfp.engine.parallel import Bar

    with Bar(total, label) as shown:
        yield shown.update
