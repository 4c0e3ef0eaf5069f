"""The unfinished part of a film: what the networks saw of every hundred frames, and the film drawn of them.

`.parts/` beside the results holds, named by a part's first frame, `.npz` (looks), `.mp4` (film) and `.sha256` (of both,
written last: it says that the part is whole). A part that is cut, altered, alone or of other settings is made again.
"""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msfp.engine.files import atomic_write, checksum, read_with_checksum
from msfp.engine.hashing import digest
from msfp.errors import InputError
from msfp.pipeline.online_tracker import Look

PARTS, STATE = ".parts", "recording.json"
FRAME = ("number", "taus", "memory", "warp", "seconds")
BOX = ("tlwh", "score", "vectors")


@dataclass(frozen=True)
class Part:
    """Frames in a row that are kept: files of what was seen and of the film (if any), seconds of the first frame."""

    looks: Path
    film: Path | None
    start: float


class Parts:
    """The parts of one recording, in order; `kept` are those that are whole, as far as they were gone through."""

    def __init__(self, out: Path, state: dict[str, Any], film: bool) -> None:
        """Take the folder of the results, what the parts depend on, and whether a film is made of each."""
        self.folder = out / PARTS
        self.kept: list[Part] = []
        self._state, self._film = json.loads(json.dumps(state)), film
        self._last = 0

    def begin(self, fresh: bool) -> None:
        """Make the folder this recording's; `fresh`: throw away what is there.

        Raises:
            InputError: it holds another video's parts, or such of other settings.
        """
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        note = self.folder / STATE
        try:
            known = json.loads(note.read_bytes())
        except (OSError, ValueError):
            known = None  # parts say themselves what they belong to
        if isinstance(known, dict) and known != self._state:
            raise InputError(
                f"{self.folder.parent} holds the unfinished results of another video or of other settings; name "
                "another folder with --out, or throw them away with --fresh"
            )
        atomic_write(note, json.dumps(self._state).encode())

    def looks(self) -> Iterator[Look]:
        """Read what earlier calls looked at, in order, one part in memory at a time; the rest of the folder goes."""
        for path in sorted(self.folder.glob("*.npz")):
            found = self._read(path)
            if found is None:
                break
            part, looks = found
            self.kept.append(part)
            self._last = looks[-1].number
            yield from looks
        kept = {path for part in self.kept for path in (part.looks, part.film, part.looks.with_suffix(".sha256"))}
        for path in self.folder.iterdir():
            if path not in kept and path.name != STATE:
                path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)

    def film_for(self, first: int) -> Path:
        """Where the film of the part that begins with a frame goes."""
        return self.folder / f"{first:09d}.mp4"

    def add(self, looks: list[Look], start: float) -> None:
        """Keep frames whose film, if any, is whole."""
        path = self.folder / f"{looks[0].number:09d}.npz"
        film = path.with_suffix(".mp4") if self._film else None
        data = pack_looks(looks, digest(self._state), self._last, start)
        atomic_write(path, data)
        sums = f"{checksum(data)}  {path.name}\n"
        if film is not None:
            sums += f"{read_with_checksum(film)[1]}  {film.name}\n"
        atomic_write(path.with_suffix(".sha256"), sums.encode())
        self.kept.append(Part(path, film, start))
        self._last = looks[-1].number

    def remove(self) -> None:
        """All is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, path: Path) -> tuple[Part, list[Look]] | None:
        """The part that goes on behind the last one; None where it is not whole or not that."""
        film = path.with_suffix(".mp4") if self._film else None
        try:
            lines = path.with_suffix(".sha256").read_text("utf-8").splitlines()
            sums = {name: value for value, name in (line.split("  ") for line in lines)}
            data, found = read_with_checksum(path)
            if found != sums.get(path.name) or (film and read_with_checksum(film)[1] != sums.get(film.name)):
                return None
            looks, state, after, start = unpack_looks(data)
        except (OSError, ValueError, KeyError, EOFError):
            return None
        if state != digest(self._state) or after != self._last:
            return None
        return Part(path, film, start), looks


def pack_looks(looks: list[Look], state: str, after: int, start: float) -> bytes:
    """Frames as they were seen, the state they depend on, the frame before them, and their first one's time."""
    data = io.BytesIO()
    arrays = {name: np.array([getattr(s, name) for s in looks]) for name in FRAME}
    for name in BOX:
        rows = [getattr(s, name) for s in looks]
        arrays[name] = np.concatenate([r for r in rows if len(r)] or rows[:1])  # a frame's 0 vectors may be 0 wide
    arrays["count"] = np.array([len(s.score) for s in looks])
    arrays |= {"state": np.array(state), "after": np.array(after), "start": np.array(start)}
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()


def unpack_looks(data: bytes | memoryview) -> tuple[list[Look], str, int, float]:
    """Read what `pack_looks` wrote.

    Raises:
        ValueError, KeyError, EOFError, OSError: not that.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    ends = np.cumsum(found["count"])
    looks = []
    for t, (end, count) in enumerate(zip(ends, found["count"], strict=True)):
        boxes = {name: found[name][end - count : end] for name in BOX}
        number, seconds = int(found["number"][t]), float(found["seconds"][t])
        rest = {name: found[name][t] for name in ("taus", "memory", "warp")}
        looks.append(Look(number=number, seconds=seconds, **boxes, **rest))
    return looks, str(found["state"]), int(found["after"]), float(found["start"])
