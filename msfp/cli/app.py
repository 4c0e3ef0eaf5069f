"""The command's frame: sub-commands, and errors told in one line."""

import os
import signal
import sys
import threading

import typer

from msfp.errors import MsfpError

STOPPED = 130

app = typer.Typer(
    name="msfp",
    help="Reproduce MSFP-Track: every table and figure of the paper, really computed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit status: 0 done; 1 done, something is wrong or missing; 2 a mistake in what was asked; 130 stopped.",
)


def main() -> None:
    """Entry point: an error a person can mend is one line on stderr and exit status 2."""
    # Set before any numerical library is loaded: nothing here may reach out to a network or install anything.
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # kernels and workers stop as they do for Ctrl+C
    from msfp.cli import datasets, exporting, paper, results, tracking, training, tuning, watching  # noqa: F401  each adds commands

    try:
        app(prog_name="msfp")
    except MsfpError as error:
        print(f"msfp: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:  # typer turns KeyboardInterrupt into this status and says nothing
        if ended.code == STOPPED:
            print("msfp: stopped; what was computed is kept, the same command goes on from there", file=sys.stderr)
        raise
