"""Digests of files, remembered by (size, mtime, ctime, inode) so that thousands of images are read once."""

import contextlib
import json
import os
import time
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
    """Digests of files by folder, kept in one small JSON file per folder.

    Attributes:
        root: folder of the memo's files; None remembers for the life of this object only.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root
        self._folders: dict[str, dict[str, Any]] = {}
        self._files: dict[str, tuple[list[int], str]] = {}

    def file_digest(self, path: str | Path) -> str:
        """Hex digest of a file's bytes, read only when size, times or inode changed.

        Raises:
            InputError: the file is missing or cannot be read.
        """
        known = self._files.get(str(path))  # asked for with every key that is made
        if known is not None and _stamp(Path(path)) == known[0]:
            return known[1]
        place = Path(path).resolve()
        found, stamp = self._digests(place.parent, [place])[place.name], _stamp(place)
        if not unsettled(stamp[1]):
            self._files[str(path)] = stamp, found
        return found

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
            digests = self._digests(Path(folder), [Path(folder, name) for name in names])
            below = Path(folder).relative_to(top).as_posix()
            found |= {name if below == "." else f"{below}/{name}": value for name, value in digests.items()}
        return found

    def _digests(self, folder: Path, paths: list[Path]) -> dict[str, str]:
        memo = self._load(folder)
        changed, found = False, {}
        for path in paths:
            stamp, known = _stamp(path), memo.get(path.name)
            if known is not None and known[:-1] == stamp:
                found[path.name] = known[-1]
                continue
            stamp, found[path.name] = _digested(path, stamp)
            if not unsettled(stamp[1]):
                memo[path.name] = [*stamp, found[path.name]]
                changed = True
        if changed:
            self._save(folder, memo)
        return found

    def _load(self, folder: Path) -> dict[str, Any]:
        if str(folder) not in self._folders:
            memo: dict[str, Any] = {}
            # The memo saves time only: one that is missing, cut off or altered is read as empty.
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads(self._place(self.root, folder).read_text("utf-8")) if self.root else {}
                if kept["digest"] == digest([str(folder), kept["files"]]):
                    memo = kept["files"]
            self._folders[str(folder)] = memo
        return self._folders[str(folder)]

    def _save(self, folder: Path, memo: dict[str, Any]) -> None:
        if self.root is None:
            return
        text = json.dumps({"folder": str(folder), "digest": digest([str(folder), memo]), "files": memo})
        with contextlib.suppress(MsfpError):
            atomic_write(self._place(self.root, folder), text.encode())

    @staticmethod
    def _place(root: Path, folder: Path) -> Path:
        return root / f"{digest(str(folder))}.json"


def _stamp(path: Path) -> list[int]:
    """Size, times of change of content and entry, inode: another one once a file was written."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check that it is there") from error
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _digested(path: Path, stamp: list[int]) -> tuple[list[int], str]:
    """A file's stamp and digest that belong together: it is read again where it changed meanwhile."""
    for _ in range(TRIES):
        found, after = file_digest(path), _stamp(path)
        if after == stamp:
            return stamp, found
        stamp = after
    raise InputError(f"{path}: is being written; repeat the command when that is done")
