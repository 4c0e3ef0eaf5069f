"""Files and folders that are either whole or absent, locks that die with their process, digests of content."""

import dataclasses
import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pydantic import BaseModel

from msfp.errors import InputError, MsfpError
from msfp.types import Stamp

TEMPORARY = ".partial"
STALE_SECONDS = 3600.0
log = logging.getLogger(__name__)

REMEDIES = {
    errno.ENOSPC: "free some space or choose an output folder on another disk",
    errno.EDQUOT: "free some of your quota or choose an output folder on another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "allow this program more open files (`ulimit -n`)",
    errno.EROFS: "the file system is read-only; choose another output folder",
    errno.ENOTDIR: "a file lies where a folder is needed; move it or choose another output folder",
    errno.EEXIST: "a file lies where a folder is needed; move it or choose another output folder",
}


def atomic_write(path: Path, *data: bytes | bytearray, durable: bool = True) -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one, never a part.

    `durable` waits 10 ms and more until the disk has it, so that a power cut leaves no part either; a file whose reader
    checks its content can do without. MsfpError, which `write_error` makes, leaves an old file as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.writelines(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error, sum(map(len, data))) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_error(path: Path, error: OSError, size: int | None = None) -> MsfpError:
    """The one message for an output that cannot be written."""
    what = f"{path}: cannot write" if size is None else f"{path}: cannot write {size:,} bytes"
    remedy = REMEDIES.get(error.errno or 0, "make the folder writable or choose another output folder")
    free = ""
    if error.errno == errno.ENOSPC:
        with suppress(OSError):
            existing = next(parent for parent in path.parents if parent.exists())
            free = f", {shutil.disk_usage(existing).free:,} bytes free"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return MsfpError(f"{what} ({reason}{free}); {remedy}. What was computed before is kept")


def remove_stale(folder: Path, pattern: str = f".*{TEMPORARY}") -> None:
    """Remove files and folders of a pattern that killed processes left in a folder an hour ago or longer."""
    with suppress(OSError):
        for left in folder.glob(pattern):
            with suppress(FileNotFoundError):  # another process removed it first
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold an advisory lock; a second process or thread waits, and a killed holder lets go by itself.

    On file systems without locks the caller goes on without one: work may be done twice, never wrongly. The lock file
    is removed when released; `waiting` is called when another holder has it. MsfpError: it cannot be made.
    """
    held, told = False, False
    while not held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise write_error(path, error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    waiting()
                told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The holder before us may have removed the file: then what we hold is a name no longer there.
            with suppress(FileNotFoundError):
                held = os.path.samestat(os.fstat(descriptor), path.stat())
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            log.warning("%s: this file system has no locks; two runs may compute the same result twice", path)
            held = True
        finally:
            if not held:
                os.close(descriptor)
    try:
        yield
    finally:
        # Removed while still held, so that nobody else holds a lock on a file that is about to vanish.
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring a rename to the disk; some file systems refuse this for folders, and then the rename still stands."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def checksum(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def replace_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder whole, from path within it -> bytes: a kill leaves the old folder, never a mixture of both.

    The files go to a folder beside it, which then takes its name. Only between two renames is there no folder of that
    name; whoever writes next mends that. MsfpError, as of `atomic_write`, leaves an old folder as it was.
    """
    mark = f"{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
    new, old = folder.with_name(f".{folder.name}.{mark}"), folder.with_name(f".{folder.name}.old-{mark}")
    try:
        for name, data in contents.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(data)
        for name in contents:  # all are written before the first wait for the disk, so that one serves all
            with (new / name).open("rb") as file:
                os.fsync(file.fileno())
        with locked(folder.with_name(f".{folder.name}.lock")):
            with suppress(FileNotFoundError):
                os.rename(folder, old)
            try:
                os.rename(new, folder)
            except OSError:
                with suppress(FileNotFoundError):
                    os.rename(old, folder)
                raise
            sync_folder(folder.parent)
    except OSError as error:
        raise write_error(folder, error, sum(map(len, contents.values()))) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    remove_stale(folder.parent, f".{folder.name}.*{TEMPORARY}")


DIGEST_BYTES = 20


def digest(value: Any) -> str:
    """Hex digest of a value's content.

    Numbers are told apart by kind (1, 1.0 and True differ, so do 0.0 and -0.0; all NaN are one), a NumPy scalar of
    Python's own precision counts as the Python number. Lists and tuples with equal items are equal, as JSON cannot
    tell them apart. Dicts and sets ignore order. Arrays count by dtype, shape and bytes; frames by column.
    Dataclasses and pydantic models count by type and fields.

    Raises:
        MsfpError: a path (give `file_digest(path)`: content, not place) or an object with no defined content.
    """
    return _blake(json.dumps(_plain(value, "inputs")).encode())


def _blake(data: bytes | bytearray) -> str:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def file_digest(path: str | PurePath) -> str:
    """Hex digest of a file's bytes; InputError where it is missing or cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check that the file is there") from error


def _plain(value: Any, where: str) -> Any:
    """A tree for JSON that is equal for equal contents only; `where` names the value in messages."""
    kind = f"{type(value).__module__}:{type(value).__qualname__}"
    if isinstance(value, Enum):
        return {"enum": [kind, _plain(value.value, where)]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, bytes | bytearray):
        return {"bytes": _blake(value)}
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise MsfpError(f"{where}: an array of Python objects has no bytes to hash; give it numbers or text")
        return {"array": [np.lib.format.dtype_to_descr(value.dtype), value.shape, _blake(value.tobytes())]}
    if isinstance(value, Mapping):
        pairs = [[digest(key), _plain(value[key], f"{where}[{key!r}]")] for key in value]
        return {"map": sorted(pairs, key=lambda pair: pair[0])}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Set):
        return {"set": sorted(digest(item) for item in value)}
    if isinstance(value, PurePath):
        raise MsfpError(f"{where}: {value} is a place, not content; give file_digest(path) as the input instead")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.compare}
        return {"object": [kind, _plain(fields, where)]}
    if isinstance(value, BaseModel):
        return {"object": [kind, _plain({name: getattr(value, name) for name in type(value).model_fields}, where)]}
    if hasattr(value, "columns") and hasattr(value, "to_parquet"):
        columns = [(name, value.iloc[:, number]) for number, name in enumerate(value.columns)]
        return {"frame": [_column(name, column, where) for name, column in [("index", value.index), *columns]]}
    raise MsfpError(
        f"{where}: {kind.replace(':', '.')} has no content to hash; "
        "inputs are numbers, text, arrays, frames, dataclasses and settings (code goes into `code=`)"
    )


def _column(name: Any, column: Any, where: str) -> list[Any]:
    array = column.to_numpy()
    content = array.tolist() if array.dtype.hasobject else array
    return [_plain(name, where), str(column.dtype), _plain(content, f"{where}[{name!r}]")]


# A file written within a clock tick of being read could change again without a new mtime; such are not remembered.
SETTLED_NS = 2_000_000_000
TRIES = 3


def stamp(path: str | Path | None) -> Stamp | None:
    """Size, times of change of content and of entry, and inode of a file; None where it is not there.

    The time of the entry changes with every write, also where a program sets that of the content back.
    """
    try:
        found = os.stat(path or "")
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def unsettled(mtime_ns: int) -> bool:
    """True where a file was written so lately that it may change again under the same times."""
    return abs(time.time_ns() - mtime_ns) <= SETTLED_NS


class FileMemo:
    """Digests of files by folder, kept in one small JSON file per folder, all of them in the folder `root`.

    Its functions raise InputError for what is missing, cannot be read, or is being written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, dict[str, Any]] = {}

    def file_digest(self, path: str | Path) -> str:
        """Hex digest of a file's bytes, read only when its stamp changed."""
        folder, name = os.path.split(path)  # `..` after a link leads elsewhere than its text says
        return self._digests(os.path.realpath(folder), [name])[name]

    def folder_digest(self, path: str | Path) -> str:
        """Hex digest of the relative names and contents of all files below a folder."""
        return digest(self.folder_digests(path))

    def folder_digests(self, path: str | Path) -> dict[str, str]:
        """Relative name of every file below a folder -> hex digest of its bytes."""
        top = Path(path).resolve()
        if not top.is_dir():
            raise InputError(f"{path}: no such folder; check the path")
        found: dict[str, str] = {}
        for folder, _, names in os.walk(top):
            below = Path(folder).relative_to(top)
            found |= {(below / name).as_posix(): value for name, value in self._digests(folder, names).items()}
        return found

    def _digests(self, folder: str, names: Iterable[str]) -> dict[str, str]:
        place = self.root / f"{digest(folder)}.json"
        if folder not in self._folders:
            self._folders[folder] = {}
            # The memo saves time only: one that is missing, cut off or altered is read as empty.
            with suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads(place.read_text("utf-8"))
                if kept["digest"] == digest([folder, kept["files"]]):
                    self._folders[folder] = kept["files"]
        memo, found, changed = self._folders[folder], {}, False
        for name in names:
            path = os.path.join(folder, name)
            now, known = stamp(path), memo.get(name)
            if known is not None and tuple(known[:-1]) == now:
                found[name] = known[-1]
                continue
            for _ in range(TRIES):  # read again where it changed meanwhile
                found[name], before, now = file_digest(path), now, stamp(path)
                if now == before:
                    break
            if now is None or now != before:
                raise InputError(f"{path}: is being written; repeat the command when that is done")
            if not unsettled(now[1]):
                memo[name], changed = [*now, found[name]], True
        if changed:
            text = json.dumps({"folder": folder, "digest": digest([folder, memo]), "files": memo})
            with suppress(MsfpError):
                atomic_write(place, text.encode())
        return found
