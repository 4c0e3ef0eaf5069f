"""Digests of files, remembered by (size, mtime, ctime, inode) so that thousands of images are read once."""

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from msfp.engine.files import atomic_write
from msfp.engine.hashing import digest, file_digest
from msfp.errors import InputError, MsfpError

# A file written within a clock tick of being read could change again without a new mtime; such are not remembered.
SETTLED_NS = 2_000_000_000
TRIES = 3  # a file that changes while it is read is read again


def unsettled(mtime_ns: int) -> bool:
    """True where a file was written so lately that it may change again under the same times."""
    return abs(time.time_ns() - mtime_ns) <= SETTLED_NS


class FileMemo:
    """Digests of files by folder, kept in one small JSON file per folder, all of them in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, dict[str, Any]] = {}

    def file_digest(self, path: str | Path) -> str:
        """Hex digest of a file's bytes, read only when size, times or inode changed.

        Raises:
            InputError: the file is missing or cannot be read.
        """
        folder, name = os.path.split(os.path.abspath(path))
        return self._digests(folder, [name])[name]

    def folder_digest(self, path: str | Path) -> str:
        """Hex digest of the relative names and contents of all files below a folder.

        Raises:
            InputError: the folder is missing or a file in it cannot be read.
        """
        return digest(self.folder_digests(path))

    def folder_digests(self, path: str | Path) -> dict[str, str]:
        """Relative name of every file below a folder -> hex digest of its bytes.

        Raises:
            InputError: the folder is missing or a file in it cannot be read.
        """
        top = Path(path).resolve()
        if not top.is_dir():
            raise InputError(f"{path}: no such folder; check the path")
        found: dict[str, str] = {}
        for folder, _, names in os.walk(top):
            below = Path(folder).relative_to(top)
            for name, value in self._digests(folder, names).items():
                found[(below / name).as_posix()] = value
        return found

    def _digests(self, folder: str, names: Iterable[str]) -> dict[str, str]:
        """Digest of each of a folder's files; what was read is written into the folder's memo."""
        if folder not in self._folders:
            self._folders[folder] = {}
            # The memo saves time only: one that is missing, cut off or altered is read as empty.
            with suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads(self._place(folder).read_text("utf-8"))
                if kept["digest"] == digest([folder, kept["files"]]):
                    self._folders[folder] = kept["files"]
        memo, found, changed = self._folders[folder], {}, False
        for name in names:
            path, known = os.path.join(folder, name), memo.get(name)
            stamp = _stamp(path)
            if known is not None and known[:-1] == stamp:
                found[name] = known[-1]
                continue
            stamp, found[name] = _read(path, stamp)
            if not unsettled(stamp[1]):
                memo[name] = [*stamp, found[name]]
                changed = True
        if changed:
            text = json.dumps({"folder": folder, "digest": digest([folder, memo]), "files": memo})
            with suppress(MsfpError):
                atomic_write(self._place(folder), text.encode())
        return found

    def _place(self, folder: str) -> Path:
        return self.root / f"{digest(folder)}.json"


def _stamp(path: str) -> list[int]:
    """Size, times of change of content and entry, inode: another one once a file was written."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check that it is there") from error
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _read(path: str, stamp: list[int]) -> tuple[list[int], str]:
    """A file's stamp and digest that belong together: it is read again where it changed meanwhile."""
    for _ in range(TRIES):
        found, after = file_digest(path), _stamp(path)
        if after == stamp:
            return stamp, found
        stamp = after
    raise InputError(f"{path}: is being written; repeat the command when that is done")
