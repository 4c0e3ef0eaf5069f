"""Where numbers come from: code, versions, machine, seeds and inputs of a run, as one JSON file.

What may differ between two equal runs, the times, stays apart in `when`; tables never hold any of it.
"""

import contextlib
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msfp.engine.cluster import ONE_THREAD
from msfp.engine.code import code_digest
from msfp.engine.filememo import FileMemo
from msfp.engine.files import atomic_write

PACKAGE = Path(__file__).resolve().parents[1]


def manifest(
    *,
    settings: Mapping[str, Any] | None = None,
    seeds: Iterable[int] = (),
    inputs: Mapping[str, str | Path] | None = None,
    started: datetime.datetime | None = None,
    memo: FileMemo | None = None,
) -> dict[str, Any]:
    """Everything somebody needs to know to repeat a run.

    Args:
        settings: the run's settings, JSON-like.
        seeds: the seeds used.
        inputs: name -> file or folder whose content is hashed (weights, data), or a digest as text.
        started: when the run began; None: now.
        memo: remembers digests of files, `Store.memo`.

    Raises:
        InputError: an input file is missing.
    """
    now = datetime.datetime.now(datetime.UTC)
    return {
        "code": {"version": _version("msfp"), "digest": code_digest("msfp"), **git_state()},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "settings": dict(settings or {}),
        "seeds": list(seeds),
        "inputs": {name: _input(value, memo or FileMemo()) for name, value in sorted((inputs or {}).items())},
        "python": platform.python_version(),
        "packages": package_versions(),
        "system": platform.platform(),
        "hardware": hardware(),
        "threads": {name: os.environ[name] for name in sorted(ONE_THREAD) if name in os.environ},
        "when": {
            "started": (started or now).isoformat(timespec="seconds"),
            "written": now.isoformat(timespec="seconds"),
        },
    }


def write_manifest(path: Path, **about: Any) -> dict[str, Any]:
    """Write `manifest(**about)` as JSON and return it.

    Raises:
        MsfpError: the file cannot be written.
        InputError: an input file is missing.
    """
    found = manifest(**about)
    atomic_write(Path(path), (json.dumps(found, indent=2, default=str, ensure_ascii=False) + "\n").encode())
    return found


def git_state() -> dict[str, Any]:
    """Commit of the checkout the package lies in and whether files differ from it; None where there is no git."""
    none = {"commit": None, "dirty": None}
    # A package installed below somebody else's checkout is not tracked by it: that commit would say nothing.
    if not _git("ls-files", "--error-unmatch", "errors.py"):
        return none
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return none if commit is None else {"commit": commit, "dirty": changes != ""}


def package_versions() -> dict[str, str]:
    """Installed version of each package that msfp declares, extras included."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        names = {re.split(r"[\s;\[<>=!~(]", line, maxsplit=1)[0] for line in importlib.metadata.requires("msfp") or ()}
        found = {name: _version(name) for name in sorted(names, key=str.lower)}
        return {name: version for name, version in found.items() if version is not None}
    return {}


@functools.cache
def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in bytes, GPUs with driver."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = None
    with contextlib.suppress(ValueError, OSError, AttributeError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": _cpu_model(), "cores": cores, "memory_bytes": memory, "gpus": _gpus()}


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Name, memory and driver of each NVIDIA GPU; asks the driver's tool, as importing torch for it takes seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return (_output(query, PACKAGE) or "").splitlines()


def _git(*arguments: str) -> str | None:
    return _output(["git", *arguments], PACKAGE)


def _output(command: list[str], folder: Path) -> str | None:
    """What a command prints; None where it is not installed or fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _input(value: str | Path, memo: FileMemo) -> str:
    if isinstance(value, str):
        return value
    return memo.folder_digest(value) if value.is_dir() else memo.file_digest(value)
