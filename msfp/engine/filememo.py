"""Digests of files, remembered by (size, mtime, inode) so that thousands of images are read once."""

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


class FileMemo:
    """Digests of files by folder, kept in one small JSON file per folder.

    Attributes:
        root: folder of the memo's files; None remembers for the life of this object only.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root
        self._folders: dict[str, dict[str, Any]] = {}

    def file_digest(self, path: str | Path) -> str:
        """Hex digest of a file's bytes, read only when size, mtime or inode changed.

        Raises:
            InputError: the file is missing or cannot be read.
        """
        path = Path(path).resolve()
        return self._digests(path.parent, [path])[path.name]

    def folder_digest(self, path: str | Path) -> str:
        """Hex digest of the relative names and contents of all files below a folder.

        Raises:
            InputError: the folder is missing or a file in it cannot be read.
        """
        top = Path(path).resolve()
        if not top.is_dir():
            raise InputError(f"{path}: no such folder; check the path")
        found: dict[str, str] = {}
        for folder, _, names in os.walk(top):
            digests = self._digests(Path(folder), [Path(folder, name) for name in names])
            found |= {Path(folder, name).relative_to(top).as_posix(): value for name, value in digests.items()}
        return digest(found)

    def _digests(self, folder: Path, paths: list[Path]) -> dict[str, str]:
        memo = self._load(folder)
        now, changed, found = time.time_ns(), False, {}
        for path in paths:
            try:
                stat = path.stat()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror}); check that it is there") from error
            stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            known = memo.get(path.name)
            if known is not None and known[:3] == stamp:
                found[path.name] = known[3]
                continue
            found[path.name] = file_digest(path)
            if now - stat.st_mtime_ns > SETTLED_NS:
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


def folder_digest(path: str | Path) -> str:
    """`FileMemo.folder_digest` without a memory."""
    return FileMemo().folder_digest(path)
