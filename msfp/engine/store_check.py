"""Whether the cells of a fan-out see the folder that their results go through, wherever they run."""

import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msfp.engine import files
from msfp.errors import MsfpError

MARK = "identity"
REMEDY = (
    "results have nowhere to go. Bring it back, or mount it under this path on every worker, and repeat the command: "
    "what was stored is kept"
)


class FolderLost(MsfpError):
    """A folder of results cannot be used where a cell runs; no other cell can do better there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)


@dataclass(frozen=True)
class SharedFolder:
    """A folder and the mark that tells it from another one under the same path.

    Attributes:
        path: of the folder.
        mark: what its file `identity` holds; None where it could not be marked, which a full store allows: nothing
            need be written there.
    """

    path: Path
    mark: str | None

    def check(self) -> None:
        """Look whether this process sees the same folder; some microseconds.

        Raises:
            FolderLost: it is gone, or another folder lies there.
        """
        if self.mark is None:
            return
        try:
            found = (self.path / MARK).read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise self._lost(f"is gone or not mounted ({error.strerror})") from None
        if found != self.mark:
            raise self._lost("is another one than where this run began")

    def probe(self) -> None:
        """`check`, and write a byte: what a read-only or full disk refuses fails every cell.

        Raises:
            FolderLost: as `check`, or the byte was refused.
        """
        self.check()
        trial = self.path / f".{secrets.token_hex(8)}{files.TEMPORARY}"
        try:
            files.atomic_write(trial, b"?", durable=False)
            trial.unlink(missing_ok=True)
        except MsfpError as error:
            raise FolderLost(f"{error} (on {socket.gethostname()})") from None

    def _lost(self, what: str) -> FolderLost:
        return FolderLost(f"{self.path}: this folder {what} on {socket.gethostname()}; {REMEDY}")


def shared(path: Path) -> SharedFolder:
    """Mark a folder, or read the mark it has; makes the folder where there is none."""
    place = path / MARK
    try:
        with files.locked(path / "locks" / f"{MARK}.lock"):
            if not (place.is_file() and re.fullmatch(rb"[0-9a-f]{32}", place.read_bytes())):
                files.atomic_write(place, secrets.token_hex(16).encode())
        return SharedFolder(path, place.read_text(encoding="ascii"))
    except (MsfpError, OSError):
        return SharedFolder(path, None)
