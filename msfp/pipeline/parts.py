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


@dataclass(frozen=True)
class Part:
    """Frames in a row that are kept.

    Attributes:
        looks: file of what was seen.
        film: file of the film; None where none is made.
        start: seconds of its first frame.
    """

    looks: Path
    film: Path | None
    start: float


class Parts:
    """The parts of one recording, in order.

    Attributes:
        folder: where they lie.
        kept: those that are whole, as far as they have been gone through.
    """

    def __init__(self, out: Path, state: dict[str, Any], film: bool) -> None:
        """Take the folder of the results, what the parts depend on, and whether a film is made of each."""
        self.folder = out / PARTS
        self.kept: list[Part] = []
        self._state, self._film = json.loads(json.dumps(state)), film
        self._last = 0

    def begin(self, fresh: bool) -> None:
        """Make the folder this recording's.

        Args:
            fresh: throw away what is there.

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
        sums = [(checksum(data), path.name)]
        if film is not None:
            sums.append((read_with_checksum(film)[1], film.name))
        atomic_write(path.with_suffix(".sha256"), "".join(f"{value}  {name}\n" for value, name in sums).encode())
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
    width = max(s.vectors.shape[1] for s in looks)  # a frame without people may have vectors without entries
    np.savez_compressed(
        data,
        number=np.array([s.number for s in looks]),
        count=np.array([len(s.score) for s in looks]),
        tlwh=np.concatenate([s.tlwh for s in looks]),
        score=np.concatenate([s.score for s in looks]),
        vectors=np.concatenate([s.vectors if len(s.score) else np.zeros((0, width), np.float32) for s in looks]),
        taus=np.stack([s.taus for s in looks]),
        memory=np.stack([s.memory for s in looks]),
        warp=np.stack([s.warp for s in looks]),
        seconds=np.array([s.seconds for s in looks]),
        state=np.array(state),
        after=np.array(after),
        start=np.array(start),
    )
    return data.getvalue()


def unpack_looks(data: bytes | memoryview) -> tuple[list[Look], str, int, float]:
    """Read what `pack_looks` wrote.

    Raises:
        ValueError, KeyError, EOFError, OSError: not that.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    ends = np.cumsum(found["count"])
    rows = [slice(end - count, end) for end, count in zip(ends, found["count"], strict=True)]
    looks = [
        Look(
            int(found["number"][t]), found["tlwh"][at], found["score"][at], found["vectors"][at], found["taus"][t],
            found["memory"][t], found["warp"][t], float(found["seconds"][t]),
        )
        for t, at in enumerate(rows)
    ]  # fmt: skip
    return looks, str(found["state"]), int(found["after"]), float(found["start"])
