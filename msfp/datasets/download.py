"""Fetching one large file over HTTP: a cut connection is taken up where it broke, and what arrives is checked."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msfp.errors import InputError, MsfpError

Progress = Callable[[int], None]
CHUNK = 1 << 16  # what a cut may cost
TRIES = 6
PATIENCE = 30.0
# A server that is busy or broken for the moment; anything else of 400 and above will not change by waiting.
PASSING = (429, 500, 502, 503, 504)


class _Interrupted(Exception):
    """The transfer broke; what arrived is kept."""


def remote_size(url: str) -> int | None:
    """Bytes of a file as its server tells; None where it does not.

    Raises:
        InputError: the server cannot be reached, or does not have the file.
    """
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


def fetch(url: str, target: Path, sha256: str = "", progress: Progress | None = None, wait: float = 2.0) -> Path:
    """Fetch a file; a part of it left by an earlier try is completed, a whole one is kept as it is.

    Args:
        target: where it goes; until it is whole it lies beside it as `.<name>.part`.
        sha256: what it has to be; empty where not known.
        progress: called with bytes as they come, those already there first.
        wait: seconds before the second try; doubled for each further one without progress.

    Raises:
        InputError: the file is not to be had, or is not what it has to be; names address and remedy.
        MsfpError: the transfer broke again and again, or the disk is full; what arrived is kept.
    """
    if target.is_file() and (not sha256 or file_sha256(target) == sha256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    transfer = _Transfer(url, target.with_name(f".{target.name}.part"), progress or (lambda _: None))
    failures = 0
    while True:
        before = transfer.size()
        try:
            transfer.attempt()
            break
        except _Interrupted as error:
            failures = 1 if transfer.size() > before else failures + 1
            if failures >= TRIES:
                raise MsfpError(
                    f"{url}: the transfer broke {failures} times without progress ({error}); "
                    f"{transfer.size():,} bytes are kept, the same command goes on from there"
                ) from None
            time.sleep(wait * 2 ** (failures - 1))
    transfer.note.unlink(missing_ok=True)
    if sha256 and (found := file_sha256(transfer.part)) != sha256:
        transfer.part.unlink()
        raise InputError(
            f"{url}: the file's checksum is not the published one ({found}, not {sha256}); fetch it again, and if that "
            "does not help the file there has changed"
        )
    os.replace(transfer.part, target)
    return target


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Transfer:
    """A file that grows by requests for what is missing; a note beside it keeps the server's mark of its version."""

    def __init__(self, url: str, part: Path, progress: Progress) -> None:
        self.url, self.part, self.progress = url, part, progress
        self.note = part.with_name(part.name + ".json")
        self.told = 0

    def size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def attempt(self) -> None:
        """Request the rest once."""
        import requests

        have, mark = self.size(), ""
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                mark = str(json.loads(self.note.read_text("utf-8"))["mark"])
            if mark:
                headers["If-Range"] = mark  # another file than the one begun is sent whole
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=PATIENCE) as answer:
                if answer.status_code == 416:  # nothing is left to send, or the file there is shorter than ours
                    if answer.headers.get("Content-Range", "").rpartition("/")[2] != str(have):
                        self.part.unlink(missing_ok=True)
                        raise _Interrupted("what was begun is longer than the file there; begun anew")
                    return
                if answer.status_code in PASSING:
                    raise _Interrupted(f"the server answered {answer.status_code}")
                _refuse(self.url, answer.status_code)
                self._receive(answer, have)
        except requests.RequestException as error:
            raise _Interrupted(type(error).__name__) from None

    def _receive(self, answer: Any, have: int) -> None:
        start, total = 0, answer.headers.get("Content-Length", "")
        if answer.status_code == 206:
            span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            first = span.partition("-")[0]
            if not first.isdigit():
                raise _Interrupted("the server sent a part without saying which")
            start = int(first)
        if start not in (0, have):
            raise _Interrupted(f"the server sent from byte {start} on, asked was {have}")
        mark = answer.headers.get("ETag", "")
        if not mark or mark.startswith("W/"):  # a weak mark may not be used for ranges
            mark = answer.headers.get("Last-Modified", "")
        self.note.write_text(json.dumps({"mark": mark}), "utf-8")
        self._tell(start)
        try:
            with self.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    self._tell(file.tell())
                file.truncate()
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError) or error.errno is None:
                raise _Interrupted(type(error).__name__) from None
            raise MsfpError(
                f"{self.part}: cannot be written ({error.strerror}); free some space or choose another folder "
                "with --to; what arrived is kept"
            ) from error
        size = self.size()
        if total.isdigit() and size != int(total):
            if size > int(total):
                self.part.unlink()
            raise _Interrupted(f"{size:,} of {int(total):,} bytes came")

    def _tell(self, reached: int) -> None:
        if reached > self.told:
            self.progress(reached - self.told)
            self.told = reached


def _refuse(url: str, status: int) -> None:
    if status >= 400:
        raise InputError(
            f"{url}: the server answered {status}; look whether the data set's home page names another address, "
            "fetch the file by hand and put it into the folder, or name a copy elsewhere with --mirror"
        )
