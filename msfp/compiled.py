"""Kernels: small functions that numba compiles once a machine and keeps; and one thread where results are kept."""

import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import config, njit
from numba.core import event


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold PyTorch and OpenCV, where they are loaded, to one thread."""
    torch, cv2 = sys.modules.get("torch"), sys.modules.get("cv2")
    threads = torch.get_num_threads() if torch else 1
    others = cv2.getNumThreads() if cv2 else 1
    if torch:
        torch.set_num_threads(1)
    if cv2:
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        if cv2:
            cv2.setNumThreads(others)


P = ParamSpec("P")
R = TypeVar("R")
PACKAGE = Path(__file__).resolve().parent
DECORATED = re.compile(rb"^@(summing_)?kernel$", re.MULTILINE)
IMPORTED = re.compile(rb"^\s*from msfp\.([\w.]+) import ", re.MULTILINE)
_log = logging.getLogger(__name__)


def kernel(function: Callable[P, R], fastmath: bool | set[str] = False) -> Callable[P, R]:
    """Compile a function at its first call, or load what an earlier run compiled; `NUMBA_CACHE_DIR` overrides where."""
    settings: Any = config
    given = settings.CACHE_DIR
    settings.CACHE_DIR = given or str(kernels_folder())
    try:
        return njit(cache=True, error_model="numpy", fastmath=fastmath)(function)
    finally:
        settings.CACHE_DIR = given


def summing_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """A kernel whose sums may be reordered to be vectorised; their last bit then depends on the processor."""
    return kernel(function, {"reassoc", "contract"})


def kernels_folder() -> Path:
    return PACKAGE / "__pycache__" / f"kernels-{sources_digest()}"


def sources() -> dict[Path, bytes]:
    """The package's files that hold kernels and the files that these import."""
    found: dict[Path, bytes] = {}
    todo = [path for path in PACKAGE.rglob("*.py") if DECORATED.search(path.read_bytes())]
    while todo:
        path = todo.pop()
        if path not in found and path.is_file():
            found[path] = path.read_bytes()
            for name in IMPORTED.findall(found[path]):
                parts = PACKAGE.joinpath(*name.decode().split("."))
                todo += [parts.with_suffix(".py"), parts / "__init__.py"]
    return found


@cache
def sources_digest() -> str:
    """Digest of `sources`."""
    whole = hashlib.sha256()
    for path, text in sorted(sources().items()):
        whole.update(f"{path.relative_to(PACKAGE)} {len(text)}\n".encode() + text)
    return whole.hexdigest()[:16]


class _Notice(event.Listener):
    """Says once that kernels are being compiled, as that takes seconds in which nothing else happens."""

    said = False

    def on_start(self, event: Any) -> None:
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith("msfp."):
            self.said = True
            if _first_of_its_group():
                _log.warning("compiling kernels, once for this version on this machine; a minute or two")

    def on_end(self, event: Any) -> None:
        pass


def _first_of_its_group() -> bool:
    """True where no other process of this command has said so: a note beside the kernels holds who did last."""
    note, group = kernels_folder() / "compiling", str(os.getpgrp())
    with suppress(OSError):
        if note.is_file() and note.read_text(encoding="ascii") == group:
            return False
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(group, encoding="ascii")
    return True


event.register("numba:compile", _Notice())
