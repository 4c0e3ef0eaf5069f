"""`msfp track` again and again, each time in a process of its own, some of which kill themselves; run as a program.

A start of Python costs seconds, a fork of one that has loaded everything does not. One line of JSON on standard input
asks for a command: its words, and where it is killed (a frame's number, before which; `half a part`, when the part's
looks are written and nothing yet says that it is whole; null, nowhere: it then runs in this process, so that later ones
find loaded what it needs). One line tells its exit status.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cv2

from msfp import cli
from msfp.cli import tracking  # noqa: F401  loaded once, before the forks
from msfp.online import recording

PART = 4
HALF = "half a part"


def die() -> None:
    """End at once: no handler, no `finally`, no buffer written."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_before(number: int) -> Callable[..., Iterator[tuple[int, Any]]]:
    """A stand-in for `frames` that ends the process before it hands out a frame."""
    real = recording.frames

    def until(*given: Any) -> Iterator[tuple[int, Any]]:
        for t, pixels in real(*given):
            if t == number:
                die()
            yield t, pixels

    return until


def killed_at_looks(real: Callable[..., Any]) -> Callable[..., Any]:
    """A stand-in for `atomic_write` that ends the process instead of writing what says that a part is whole."""

    def write(path: Any, data: bytes, *more: Any) -> Any:
        if path.suffix == ".npz":
            die()
        return real(path, data, *more)

    return write


def one(words: list[str], stop: int | str | None) -> int:
    """Run a command; its exit status, minus the signal where one ended it."""
    if stop is None:
        return run(words)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if stop == HALF:
        recording.atomic_write = killed_at_looks(recording.atomic_write)
    elif isinstance(stop, int):
        recording.frames = killed_before(stop)
    os._exit(run(words))


def run(words: list[str]) -> int:
    """Call the command; what it says goes to standard error."""
    sys.argv = ["msfp", *words]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            cli.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    recording.PART = PART
    cv2.setNumThreads(1)  # a fork has none of the threads that its parent had, and would wait for them
    for line in sys.stdin:
        asked = json.loads(line)
        print(one(asked["words"], asked["stop"]), flush=True)
