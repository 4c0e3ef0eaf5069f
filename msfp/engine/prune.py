"""What may be removed from a store: leftovers of killed runs, and entries longest unused."""

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from msfp.engine.files import STALE_SECONDS, TEMPORARY, remove_if_old


@dataclass(frozen=True)
class _Entry:
    used: float
    size: int
    paths: tuple[Path, ...]


def prune(root: Path, manifest: str, apart: tuple[str, ...], *, max_bytes: int | None, unused_for: float | None) -> int:
    """Bytes freed in a store; see `Store.prune`.

    Args:
        root: the store.
        manifest: suffix of manifests.
        apart: folders of the store that hold no entries.
        max_bytes, unused_for: what to keep.
    """
    freed = 0
    entries: list[_Entry] = []
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        freed += sum(remove_if_old(path) for path in folder.glob(f".*{TEMPORARY}"))
        if folder.name not in apart:
            found = _entries(folder, manifest)
            named = {path for entry in found for path in entry.paths}
            # A payload is written before its manifest: only an old one without a manifest is a leftover.
            freed += sum(remove_if_old(path) for path in folder.iterdir() if path not in named)
            entries += found
    entries.sort(key=lambda entry: entry.used)
    total = sum(entry.size for entry in entries)
    for entry in entries:
        too_old = unused_for is not None and time.time() - entry.used > unused_for
        too_much = max_bytes is not None and total > max_bytes
        if too_old or too_much:
            freed += sum(remove_if_old(path, older_than=-STALE_SECONDS) for path in entry.paths)
            total -= entry.size
    return freed


def _entries(folder: Path, manifest: str) -> list[_Entry]:
    """The entries of one stage; a manifest that cannot be read stands alone, and its payloads count as leftovers."""
    entries = []
    for path in folder.glob(f"*{manifest}"):
        paths = [path]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            body = json.loads(path.read_bytes().partition(b"\n")[0])
            paths += [folder / kept["name"] for kept in body["payloads"].values()]
        sizes = 0
        for one in paths:
            with contextlib.suppress(OSError):
                sizes += one.stat().st_size
        with contextlib.suppress(OSError):
            entries.append(_Entry(path.stat().st_mtime, sizes, tuple(paths)))
    return entries
