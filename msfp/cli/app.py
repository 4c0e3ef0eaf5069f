"""The command's frame: sub-commands, and errors told in one line."""

import contextlib
import datetime
import errno
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from msfp.errors import MsfpError

MISTAKE, REFUSED, BUG, STOPPED = 2, 3, 4, 130
STOP = "stopped; what was finished is kept, the same command goes on from there"
ROOMS = ("datasets", "paper", "tracking")
COMMAND = "MSFP_COMMAND"  # variable: what was asked and when, for `engine.provenance`, which is slow to import
QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}  # what cannot be decoded is told in our words
TRACEBACK = "MSFP_TRACEBACK"  # variable: tell where an error came from


class Commands(TyperGroup):
    """A group that lists each command with its whole first sentence, on as many lines as it needs."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(limit=1000)) for name, one in found if one is not None])


app = typer.Typer(
    name="msfp",
    cls=Commands,
    help="Reproduce MSFP-Track: every table and figure of the paper, really computed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done; 1 done, something is wrong or missing; 2 a mistake in what was asked; 3 the machine "
    "refused something (disk, memory, open files, network); 4 a mistake of msfp's own; 130 stopped.",
)


def _tell_version(asked: bool) -> None:
    if asked:
        from msfp import __version__

        typer.echo(f"msfp {__version__}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", help="print the version and end", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    pass  # the application's help says what it is


def main() -> None:
    """Entry point: an error is one line on stderr and an exit status that tells its kind."""
    # Set before any numerical library is loaded: nothing here may reach out to a network or install anything.
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    for name, level in QUIET.items():
        os.environ.setdefault(name, level)
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    os.environ[COMMAND] = json.dumps({"command": ["msfp", *sys.argv[1:]], "began": began})
    if sys.stdout is None:  # closed by who called: what is printed goes nowhere, as `print` has it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  for as long as the process lasts
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # kernels and workers stop as they do for Ctrl+C
    try:
        for name in ROOMS:  # each adds its commands
            importlib.import_module(f"msfp.cli.{name}")
        try:
            app(prog_name="msfp")
        finally:
            sys.stdout.flush()
    except SystemExit as ended:  # typer turns KeyboardInterrupt into this status and says nothing
        if ended.code == STOPPED:
            _tell(STOP, STOPPED)
        raise
    except BaseException as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        text, status = explained(error)
        _tell(text, status)
        _forget_output()
        sys.exit(status)


def _tell(text: str, status: int) -> None:
    """One line on stderr; where the command was stopped, a second Ctrl+C then ends it while its workers go."""
    if status == STOPPED and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(STOPPED))
    with contextlib.suppress(OSError):
        print(f"msfp: {text}", file=sys.stderr)


def explained(error: BaseException) -> tuple[str, int]:
    """Turn an error into what a person is told, one line where it is not written for them, and an exit status."""
    if isinstance(error, MsfpError):
        return str(error), MISTAKE
    if isinstance(error, KeyboardInterrupt):
        return STOP, STOPPED
    if isinstance(error, MemoryError):
        return "out of memory; close other programs, or use fewer --workers. What was computed is kept", REFUSED
    if isinstance(error, OSError):
        return _refusal(error), REFUSED
    first = (str(error) or "no message").splitlines()[0][:200]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return (
        f"a mistake of msfp's own ({type(error).__name__}: {first}{where}); what was computed is kept. Please report "
        f"it with what {TRACEBACK}=1 in the environment prints",
        BUG,
    )


def _refusal(error: OSError) -> str:
    """One line for what the system refused."""
    from msfp.engine.files import REMEDIES

    frames = traceback.extract_tb(error.__traceback__)
    printed = bool(frames) and frames[-1].name in ("echo", main.__name__)  # both do nothing else with the system
    place = "standard output" if printed and error.filename is None else error.filename
    reason = error.strerror or str(error).splitlines()[0] if str(error) else type(error).__name__
    remedies = {
        **REMEDIES,
        errno.EMFILE: "allow more open files with `ulimit -n 4096` and repeat the command",
        errno.ENFILE: "close other programs and repeat the command",
        errno.EPIPE: "whoever read the output has ended",
        **({errno.ENOSPC: "free some space, or send the output elsewhere, and repeat the command"} if printed else {}),
    }
    remedy = remedies.get(error.errno or 0, "mend that and repeat the command")
    return f"{f'{place}: ' if place else ''}refused by the system ({reason}); {remedy}. What was computed is kept"


def _forget_output() -> None:
    """Let what could not be written to standard output go: Python would try once more, and complain."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
