"""Files that are either whole or absent, and locks that die with their process."""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from msfp.errors import MsfpError

TEMPORARY = ".partial"
AT_ONCE = 1 << 20  # bytes that are still in the processor's cache when their checksum is taken
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


def atomic_write(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one, never a part.

    Args:
        durable: wait until the disk has it, so that a power cut leaves no part either. Costs 10 ms and more; a file
            whose reader checks its content can do without.

    Raises:
        MsfpError: full disk, no permission or the like; names path, bytes and remedy. An old file is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error, len(data)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_error(path: Path, error: OSError, size: int | None = None) -> MsfpError:
    """The one message for an output that cannot be written."""
    what = f"{path}: cannot write" if size is None else f"{path}: cannot write {size:,} bytes"
    remedy = REMEDIES.get(error.errno or 0, "make the folder writable or choose another output folder")
    free = ""
    if error.errno == errno.ENOSPC:
        with contextlib.suppress(OSError):
            existing = next(parent for parent in path.parents if parent.exists())
            free = f", {shutil.disk_usage(existing).free:,} bytes free"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return MsfpError(f"{what} ({reason}{free}); {remedy}. What was computed before is kept")


def remove_stale(folder: Path, pattern: str = f".*{TEMPORARY}") -> None:
    """Remove files and folders of a pattern that killed processes left in a folder an hour ago or longer."""
    with contextlib.suppress(OSError):
        for left in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):  # another process removed it first
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold an advisory lock; a second process or thread waits, and a killed holder lets go by itself.

    On file systems without locks the caller goes on without one: work may be done twice, never wrongly.

    Args:
        path: the lock file; removed when released.
        waiting: called when another holder has it.

    Raises:
        MsfpError: the lock file cannot be made.
    """
    held = False
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
                waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The holder before us may have removed the file: then what we hold is a name no longer there.
            with contextlib.suppress(FileNotFoundError):
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
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring a rename to the disk; some file systems refuse this for folders, and then the rename still stands."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def checksum(data: bytes) -> str:
    """Hex SHA-256 of bytes, for which processors have instructions."""
    return hashlib.sha256(data).hexdigest()


def read_with_checksum(path: Path) -> tuple[memoryview, str]:
    """A file's bytes, writable, and their `checksum`, taken while they are read.

    Raises:
        OSError: cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        # NumPy's memory is not filled with zeros first, as a bytearray's is.
        data = np.empty(os.fstat(file.fileno()).st_size, np.uint8).data
        digest, at = hashlib.sha256(), 0
        while got := file.readinto(data[at : at + AT_ONCE]):
            digest.update(data[at : at + got])
            at += got
    return data[:at], digest.hexdigest()
