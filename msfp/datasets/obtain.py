"""A data set from its official place: room on the disk first, then fetched, unpacked in the usual layout, and noted."""

import json
import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from msfp.datasets import personpath
from msfp.datasets.download import fetch, file_sha256, remote_size
from msfp.datasets.motchallenge import write_whole
from msfp.datasets.registry import DATASETS, Archive, Dataset
from msfp.datasets.unpack import unpack
from msfp.errors import InputError

NOTE = "obtained.json"
GIGA = 1e9
# While an archive is unpacked both lie on the disk; frames do not shrink in a zip file.
SHARE = 2.05
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Archives to fetch, the bytes of each, and the folder where the data set will lie."""

    dataset: Dataset
    archives: tuple[Archive, ...]
    sizes: tuple[int, ...]
    folder: Path

    @property
    def total(self) -> int:
        """Bytes to fetch."""
        return sum(self.sizes)


def plan(name: str, folder: Path, labels_only: bool = False, mirror: str = "") -> Plan:
    """What would be fetched, with sizes as the servers tell them.

    Args:
        labels_only: leave out what holds pixels.
        mirror: address of a folder that holds the same files; empty: the official addresses.

    Raises:
        InputError: not a data set that is to be had this way, or a server that does not have a file.
    """
    dataset = DATASETS.get(name)
    if dataset is None or not dataset.archives:
        known = ", ".join(d.name for d in DATASETS.values() if d.archives)
        raise InputError(f"{name}: not a data set to fetch; there are: {known}")
    # Where an archive holds frames and labels, those that hold the labels alone are not needed.
    together = name.startswith("mot")
    chosen = [a for a in dataset.archives if (a.labels if labels_only else not (together and a.labels))]
    if not chosen:
        raise InputError(f"{name}: its labels do not come apart from the frames; leave out --labels-only")
    if mirror:
        chosen = [replace(a, url=f"{mirror.rstrip('/')}/{a.name}") for a in chosen]
    sizes = tuple(remote_size(a.url) or int(a.gigabytes * GIGA) for a in chosen)
    return Plan(dataset, tuple(chosen), sizes, folder)


def need_room(asked: Plan) -> None:
    """Compare the free space of the disk with what is still to come.

    Raises:
        InputError: too little is free; says how much is needed and where.
    """
    asked.folder.mkdir(parents=True, exist_ok=True)
    there = sum(p.stat().st_size for p in asked.folder.glob(".*.part"))
    wanted = int(SHARE * asked.total) - there
    free = shutil.disk_usage(asked.folder).free
    if free < wanted:
        raise InputError(
            f"{asked.folder}: {free / GIGA:.1f} GB are free, {wanted / GIGA:.1f} GB are needed to fetch and unpack "
            f"{asked.dataset.title}; free some space or name a folder on another disk with --to"
        )


def obtain(asked: Plan, bar: Bar, keep_archives: bool = False, wait: float = 2.0) -> Path:
    """Fetch and unpack; what an earlier call finished is not done again.

    Args:
        bar: from a label and a number of bytes, a context that gives a progress function.
        keep_archives: leave the archives beside what was unpacked.
        wait: seconds before a broken transfer is tried again.

    Raises:
        InputError: a file that is not to be had or is damaged; the latter is removed, so that it is fetched anew.
        MsfpError: the transfer or the disk failed; what arrived is kept.
    """
    note = asked.folder / NOTE
    done = _noted(note)
    for archive, size in zip(asked.archives, asked.sizes, strict=True):
        if archive.name in done:
            continue
        with bar(archive.name, size) as progress:
            path = fetch(archive.url, asked.folder / archive.name, archive.sha256, progress, wait)
        entry: dict[str, object] = {"url": archive.url, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        if path.suffix == ".zip":
            try:
                with bar(f"unpacking {path.name}", path.stat().st_size) as progress:
                    files = unpack(path, asked.folder, lambda name: placed(name, asked.dataset), progress)
            except InputError:
                path.unlink(missing_ok=True)
                raise
            entry["files"] = len(files)
            if not keep_archives:
                path.unlink()
        done[archive.name] = entry
        write_whole(note, json.dumps(done, indent=1).encode())
    if asked.dataset.name == "personpath22":
        personpath.convert(asked.folder, bar)
    return asked.folder


def _noted(note: Path) -> dict[str, dict[str, object]]:
    """Read what was fetched before, by archive; empty where the note cannot be read, so that all is fetched again."""
    try:
        found = json.loads(note.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict) and all(isinstance(entry, dict) and "sha256" in entry for entry in found.values()):
        return found
    log.warning("%s: cannot be read; what it told of is fetched again", note)
    return {}


def placed(name: PurePosixPath, dataset: Dataset) -> PurePosixPath:
    """Where an archive's entry goes: below `train/`, `val/` or `test/`, whatever the archive wraps them in."""
    parts = list(name.parts)
    if len(parts) > 1 and parts[0].lower().removesuffix("labels") == dataset.name:
        parts = parts[1:]
    if len(parts) > 1 and parts[0].rstrip("0123456789") in ("train", "val", "test"):
        parts[0] = parts[0].rstrip("0123456789")
    return PurePosixPath(*parts)
