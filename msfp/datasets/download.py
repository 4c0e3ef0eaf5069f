"""Fetching one large file over HTTP: a cut connection is taken up where it broke, and what arrives is checked."""

import contextlib
import json
import logging
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
        raise _unreachable(url, error) from None
    if answer.status_code in (403, 405, 501):  # servers that answer GET only
        return None
    _refuse(url, answer.status_code)
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not answer.headers.get("Content-Encoding") else None


def fetch(url: str, target: Path, sha256: str = "", progress: Progress | None = None, wait: float = 2.0) -> Path:
    """Fetch a file; a part of it left by an earlier try is completed, a whole one is kept as it is.

    Args:
        url: of the file.
        target: where it goes; until it is whole it lies beside it as `.<name>.part`.
        sha256: what it has to be; empty where not known.
        progress: called with bytes as they come, those already there first.
        wait: seconds before the second try; doubled for each further one without progress.

    Raises:
        InputError: the file is not to be had, or is not what it has to be; names address and remedy.
        MsfpError: the transfer broke again and again, or the disk is full; what arrived is kept.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        kept = pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=target.name,
            path=target.parent,
            downloader=Resuming(target.with_name(f".{target.name}.part"), progress, wait),
        )
    except ValueError as error:  # pooch's word for a hash that differs; it has thrown the file away
        raise InputError(
            f"{url}: the file's checksum is not the published one ({error}); fetch it again, and if that does not help "
            "the file there has changed"
        ) from None
    return Path(kept)


class Resuming:
    """A downloader for pooch that asks only for what is missing.

    Attributes:
        part: the file that grows.
    """

    def __init__(self, part: Path, progress: Progress | None = None, wait: float = 2.0) -> None:
        self.part = part
        self._note = part.with_name(part.name + ".json")
        self._progress = progress or (lambda _: None)
        self._wait = wait
        self._told = 0

    def __call__(self, url: str, output_file: str, _pooch: Any, check_only: bool = False) -> None:
        """Complete the part file and move it to `output_file`."""
        failures = 0
        while True:
            before = self._size()
            try:
                self._attempt(url)
                break
            except _Interrupted as error:
                failures = 1 if self._size() > before else failures + 1
                if failures >= TRIES:
                    raise MsfpError(
                        f"{url}: the transfer broke {failures} times without progress ({error}); "
                        f"{self._size():,} bytes are kept, the same command goes on from there"
                    ) from None
                time.sleep(self._wait * 2 ** (failures - 1))
        os.replace(self.part, output_file)
        self._note.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _attempt(self, url: str) -> None:
        """One request for the rest."""
        import requests

        have = self._size()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if mark := self._mark():
                headers["If-Range"] = mark  # another file than the one begun is sent whole
        try:
            with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
                if answer.status_code == 416:  # nothing is left to send, or the file there is shorter than ours
                    self._settle(answer.headers.get("Content-Range", ""), have)
                    return
                if answer.status_code in PASSING:
                    raise _Interrupted(f"the server answered {answer.status_code}")
                _refuse(url, answer.status_code)
                self._receive(answer, have)
        except requests.RequestException as error:
            raise _Interrupted(type(error).__name__) from None

    def _receive(self, answer: Any, have: int) -> None:
        start, total = _span(answer)
        if start not in (0, have):
            raise _Interrupted(f"the server sent from byte {start} on, asked was {have}")
        self._remember(answer.headers)
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
        if total is not None and self._size() != total:
            if self._size() > total:
                self.part.unlink()
            raise _Interrupted(f"{self._size():,} of {total:,} bytes came")

    def _settle(self, content_range: str, have: int) -> None:
        total = content_range.rpartition("/")[2]
        if total != str(have):
            self.part.unlink(missing_ok=True)
            raise _Interrupted("what was begun is longer than the file there; begun anew")

    def _mark(self) -> str:
        """What the server called the version that was begun."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(self._note.read_text("utf-8"))["mark"])
        return ""

    def _remember(self, headers: Any) -> None:
        mark = headers.get("ETag", "")
        if mark.startswith("W/"):  # a weak mark may not be used for ranges
            mark = ""
        self._note.write_text(json.dumps({"mark": mark or headers.get("Last-Modified", "")}), "utf-8")

    def _tell(self, reached: int) -> None:
        if reached > self._told:
            self._progress(reached - self._told)
            self._told = reached


def _span(answer: Any) -> tuple[int, int | None]:
    """First byte that an answer holds, and bytes of the whole file where told."""
    if answer.status_code == 206:
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        first = span.partition("-")[0]
        if not first.isdigit():
            raise _Interrupted("the server sent a part without saying which")
        return int(first), int(total) if total.isdigit() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _refuse(url: str, status: int) -> None:
    if status >= 400:
        raise InputError(
            f"{url}: the server answered {status}; look whether the data set's home page names another address, "
            "fetch the file by hand and put it into the folder, or name a copy elsewhere with --mirror"
        )


def _unreachable(url: str, error: Exception) -> InputError:
    return InputError(
        f"{url}: the server cannot be reached ({type(error).__name__}); look to the network, or name a copy elsewhere "
        "with --mirror"
    )
