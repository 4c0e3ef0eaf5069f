"""Data sets from their official places: fetched so that a cut connection is taken up again, unpacked safely."""

import hashlib
import json
import logging
import os
import shutil
import stat
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from msfp.data import personpath
from msfp.data.personpath import Bar
from msfp.data.sequences import DATASETS, Archive, Dataset
from msfp.engine.files import atomic_write, write_error
from msfp.errors import InputError, MsfpError

Progress = Callable[[int], None]
Place = Callable[[PurePosixPath], PurePosixPath]
# Images and videos hardly shrink; an archive that would grow more than this is no data set.
GROWTH = 50
ALLOWANCE = 64 << 20
JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db"}


def unpack(
    archive: Path,
    target: Path,
    place: Place = lambda name: name,
    progress: Progress = lambda count: None,
) -> list[Path]:
    """Unpack a zip file below a folder and return the files written; one bad entry, and nothing is left behind.

    `place` gives the place below `target` from an entry's name; `progress` is called with bytes as they are written.
    InputError: not a zip file, damaged, encrypted, entries that leave the folder or are no files, or that grow too far.
    """
    staging = target / f".unpacking-{archive.name}"
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [e for e in opened.infolist() if not e.is_dir() and not JUNK & {*PurePosixPath(e.filename).parts}]
            names = [_place_of(e, archive, place) for e in entries]
            total, limit = sum(e.file_size for e in entries), GROWTH * archive.stat().st_size + ALLOWANCE
            if total > limit:
                raise InputError(
                    f"{archive}: would grow to {total:,} bytes, at most {limit:,} are allowed; not unpacked"
                )
            if len(set(names)) < len(names):
                twice = next(name for k, name in enumerate(names) if names.index(name) < k)
                raise InputError(f"{archive}: holds {str(twice)!r} twice; not unpacked")
            shutil.rmtree(staging, ignore_errors=True)
            for entry, name in zip(entries, names, strict=True):
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                # zipfile stops at the announced size and checks the entry's CRC.
                with opened.open(entry) as source, (staging / name).open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                progress(entry.file_size)
            for name in names:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(target / name)
            return [target / name for name in names]
    except (MsfpError, MemoryError):
        raise
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for encrypted and for rarely packed entries
        raise InputError(f"{archive}: {error}; unpack it by hand") from None
    except Exception as error:  # a damaged archive can fail anywhere inside zipfile, zlib, bz2 or lzma
        if isinstance(error, OSError) and error.errno is not None:
            raise write_error(Path(error.filename or target), error) from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{archive}: not a whole zip file ({reason}); delete it and fetch it again") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _place_of(entry: zipfile.ZipInfo, archive: Path, place: Place) -> PurePosixPath:
    """Where an entry goes; InputError where it would leave the folder, or is no file."""
    raw = entry.filename
    name = PurePosixPath(raw)
    inside = name.parts and not name.is_absolute() and ".." not in name.parts and ":" not in name.parts[0]
    if not inside or "\\" in raw or not raw.isprintable():
        raise InputError(f"{archive}: its entry {raw!r} would leave the folder; not unpacked")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise InputError(f"{archive}: its entry {raw!r} is a link or a device, not a file; not unpacked")
    return place(name)


CHUNK = 1 << 16  # what a cut may cost
TRIES = 6
WAIT = 2.0  # seconds before the second try; twice as many before each further one
PATIENCE = 30.0
# A server that is busy or broken for the moment; anything else of 400 and above will not change by waiting.
PASSING = (429, 500, 502, 503, 504)


class _Interrupted(Exception):
    """The transfer broke; what arrived is kept."""


def remote_size(url: str) -> int | None:
    """Bytes of a file as its server tells; None where it does not. InputError: no such server, or no such file."""
    import requests

    try:
        answer = requests.head(url, allow_redirects=True, timeout=PATIENCE)
    except requests.RequestException as error:
        raise InputError(
            f"{url}: the server cannot be reached ({type(error).__name__}); look to the network, or name a copy "
            "elsewhere with --mirror"
        ) from None
    if answer.status_code in (403, 405, 501):  # servers that answer GET only
        return None
    _refuse(url, answer.status_code)
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not answer.headers.get("Content-Encoding") else None


def fetch(url: str, target: Path, sha256: str = "", progress: Progress | None = None) -> Path:
    """Fetch a file; a part of it left by an earlier try is completed, a whole one is kept as it is.

    Until it is whole it lies beside `target` as `.<name>.part`. `progress` is called with bytes as they come, those
    already there first.

    Raises:
        InputError: the file is not to be had, or is not what it has to be; names address and remedy.
        MsfpError: the transfer broke again and again, or the disk is full; what arrived is kept.
    """
    if target.is_file() and (not sha256 or file_sha256(target) == sha256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    note = part.with_name(part.name + ".json")
    failures = told = 0

    def tell(reached: int) -> None:
        nonlocal told
        if progress is not None and reached > told:
            progress(reached - told)
        told = max(told, reached)

    while True:
        before = _size(part)
        try:
            _request_rest(url, part, note, tell)
            break
        except _Interrupted as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= TRIES:
                raise MsfpError(
                    f"{url}: the transfer broke {failures} times without progress ({error}); "
                    f"{_size(part):,} bytes are kept, the same command goes on from there"
                ) from None
            time.sleep(WAIT * 2 ** (failures - 1))
    note.unlink(missing_ok=True)
    if sha256 and (found := file_sha256(part)) != sha256:
        part.unlink()
        raise InputError(
            f"{url}: the file's checksum is not the published one ({found}, not {sha256}); fetch it again, and if that "
            "does not help the file there has changed"
        )
    os.replace(part, target)
    return target


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _request_rest(url: str, part: Path, note: Path, tell: Progress) -> None:
    """Request once what a file lacks; `note` keeps the server's mark of its version, `tell` takes the size reached."""
    import requests

    have, mark = _size(part), ""
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        with suppress(OSError, ValueError, KeyError, TypeError):
            mark = str(json.loads(note.read_text("utf-8"))["mark"])
        if mark:
            headers["If-Range"] = mark  # another file than the one begun is sent whole
    try:
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            if answer.status_code == 416:  # nothing is left to send, or the file there is shorter than ours
                if answer.headers.get("Content-Range", "").rpartition("/")[2] != str(have):
                    part.unlink(missing_ok=True)
                    raise _Interrupted("what was begun is longer than the file there; begun anew")
                return
            if answer.status_code in PASSING:
                raise _Interrupted(f"the server answered {answer.status_code}")
            _refuse(url, answer.status_code)
            _receive(answer, have, part, note, tell)
    except requests.RequestException as error:
        raise _Interrupted(type(error).__name__) from None


def _receive(answer: Any, have: int, part: Path, note: Path, tell: Progress) -> None:
    start, total = 0, answer.headers.get("Content-Length", "")
    if answer.status_code == 206:
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        first = span.partition("-")[0]
        if first not in ("0", str(have)):
            raise _Interrupted(f"the server sent from byte {first or '?'} on, asked was {have}")
        start = int(first)
    mark = answer.headers.get("ETag", "")
    if not mark or mark.startswith("W/"):  # a weak mark may not be used for ranges
        mark = answer.headers.get("Last-Modified", "")
    try:
        note.write_text(json.dumps({"mark": mark}), "utf-8")
        with part.open("r+b" if start else "wb") as file:
            tell(file.seek(start))
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                tell(file.tell())
            file.truncate()
    except OSError as error:
        if isinstance(error, ConnectionError | TimeoutError) or error.errno is None:
            raise _Interrupted(type(error).__name__) from None
        raise write_error(part, error) from error
    size = _size(part)
    if total.isdigit() and size != int(total):
        if size > int(total):
            part.unlink()
        raise _Interrupted(f"{size:,} of {int(total):,} bytes came")


def _refuse(url: str, status: int) -> None:
    if status >= 400:
        raise InputError(
            f"{url}: the server answered {status}; look whether the data set's home page names another address, "
            "fetch the file by hand and put it into the folder, or name a copy elsewhere with --mirror"
        )


NOTE = "obtained.json"
GIGA = 1e9
# While an archive is unpacked both lie on the disk; frames do not shrink in a zip file.
SHARE = 2.05
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Archives to fetch, the bytes of each, and the folder where the data set will lie."""

    dataset: Dataset
    archives: list[Archive]
    sizes: list[int]
    folder: Path

    @property
    def total(self) -> int:
        """Bytes to fetch."""
        return sum(self.sizes)


def plan(name: str, folder: Path, labels_only: bool = False, mirror: str = "") -> Plan:
    """What would be fetched, with sizes as the servers tell them.

    `labels_only` leaves out what holds pixels; `mirror` is the address of a folder that holds the same files.
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
        chosen = [a.model_copy(update={"url": f"{mirror.rstrip('/')}/{a.name}"}) for a in chosen]
    return Plan(dataset, chosen, [remote_size(a.url) or int(a.gigabytes * GIGA) for a in chosen], folder)


def need_room(asked: Plan) -> None:
    """Raise InputError where the disk has less space than what is still to come."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    there = sum(p.stat().st_size for p in asked.folder.glob(".*.part"))
    wanted = int(SHARE * asked.total) - there
    free = shutil.disk_usage(asked.folder).free
    if free < wanted:
        raise InputError(
            f"{asked.folder}: {free / GIGA:.1f} GB are free, {wanted / GIGA:.1f} GB are needed to fetch and unpack "
            f"{asked.dataset.title}; free some space or name a folder on another disk with --to"
        )


def obtain(asked: Plan, bar: Bar, keep_archives: bool = False) -> Path:
    """Fetch and unpack; what an earlier call finished is not done again. Raises as `fetch` and `unpack`.

    A damaged archive is removed, so that it is fetched anew. `bar` gives a progress function from a label and a number
    of bytes.
    """
    note = asked.folder / NOTE
    done = _noted(note)
    for archive, size in zip(asked.archives, asked.sizes, strict=True):
        if archive.name in done:
            continue
        with bar(archive.name, size) as progress:
            path = fetch(archive.url, asked.folder / archive.name, archive.sha256, progress)
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
        atomic_write(note, json.dumps(done, indent=1).encode())
    if asked.dataset.name == "personpath22":
        personpath.convert(asked.folder, bar)
    return asked.folder


def _noted(note: Path) -> dict[str, dict[str, object]]:
    """Record of earlier downloads, by archive; empty where the note cannot be read, so that all is fetched again."""
    if not note.exists():
        return {}
    with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
        found = json.loads(note.read_text("utf-8"))
        return {name: entry for name, entry in found.items() if entry["sha256"]}
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
