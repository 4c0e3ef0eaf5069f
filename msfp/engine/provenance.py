"""Where numbers come from: code, versions, machine, seeds and inputs of a run, as one JSON file.

What may differ between two equal runs, the times, stays apart in `when`; tables never hold any of it.
"""

import datetime
import functools
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msfp.engine.cluster import ONE_THREAD
from msfp.engine.code import code_digest
from msfp.engine.files import atomic_write

COMMAND = "MSFP_COMMAND"  # variable: JSON of `command` and `began`
PACKAGE = Path(__file__).resolve().parents[1]


def write_manifest(
    path: Path, settings: Mapping[str, Any], seeds: Iterable[int], inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Write all that one needs to know to repeat a run as JSON, and return it.

    `inputs`: name -> digest of its content (weights, data).
    """
    # A notebook's kernel is told by `msfp reproduce` what somebody asked; its own command line says nothing.
    asked = {"command": [Path(sys.argv[0]).name, *sys.argv[1:]], "began": None}
    asked |= json.loads(os.environ.get(COMMAND, "{}"))
    found = {
        "code": {"version": _version("msfp"), "digest": code_digest("msfp"), **git_state()},
        "command": asked["command"],
        "settings": dict(settings),
        "seeds": list(seeds),
        "inputs": dict(sorted(inputs.items())),
        "python": platform.python_version(),
        "packages": package_versions(),
        "system": platform.platform(),
        "hardware": hardware(),
        "threads": {name: os.environ[name] for name in sorted(ONE_THREAD) if name in os.environ},
        "when": {"began": asked["began"], "written": _now()},
    }
    atomic_write(path, (json.dumps(found, indent=2, default=str, ensure_ascii=False) + "\n").encode())
    return found


def end_manifest(path: Path) -> None:
    """Note in a manifest when the run ended, as the notebook that wrote it ran before that."""
    found = json.loads(path.read_text(encoding="utf-8"))
    found["when"]["ended"] = _now()
    atomic_write(path, (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode())


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def git_state() -> dict[str, Any]:
    """Commit of the checkout the package lies in and whether files differ from it; None where there is no git."""
    # A package installed below somebody else's checkout is not tracked by it: that commit would say nothing.
    commit = (
        _output("git", "rev-parse", "HEAD") if _output("git", "ls-files", "--error-unmatch", "__init__.py") else None
    )
    # The figures in the repository are made by runs, so they change no run.
    others = ("--", ":/", ":(top,exclude)figures")
    changes = _output("git", "status", "--porcelain", "--untracked-files=no", *others)
    return {"commit": commit, "dirty": None if commit is None else changes != ""}


def package_versions() -> dict[str, str]:
    """Installed version of each package that msfp declares, extras included."""
    with suppress(importlib.metadata.PackageNotFoundError):
        names = {re.split(r"[\s;\[<>=!~(]", line, maxsplit=1)[0] for line in importlib.metadata.requires("msfp") or ()}
        return {name: version for name in sorted(names, key=str.lower) if (version := _version(name)) is not None}
    return {}


@functools.cache
def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in bytes, name, memory and driver of each NVIDIA GPU."""
    cpu, memory = platform.processor() or platform.machine(), None
    with suppress(OSError):
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if found := re.search(r"^model name\s*:\s*(.+)$", about, re.MULTILINE):
            cpu = found[1].strip()
    with suppress(ValueError, OSError, AttributeError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # The driver's tool is asked, as importing torch for it takes seconds.
    gpus = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    return {"cpu": cpu, "cores": cores, "memory_bytes": memory, "gpus": (gpus or "").splitlines()}


def _output(*command: str) -> str | None:
    """What a command prints; None where it is not installed or fails."""
    try:
        done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
