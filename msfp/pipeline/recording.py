"""A video followed from end to end, kept in parts as it goes: a stop costs nothing, a crash some seconds.

Beside the results lies `.parts/`: for every hundred frames (fewer before a stop) what the networks saw (`.npz`) and the
drawn film (`.mp4`), both named by their first frame.
A later call follows the kept frames again, which needs no network, and goes on behind them; the parts go when all is
done.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msfp.datasets.motchallenge import write_tracks
from msfp.engine.files import atomic_write
from msfp.engine.progress import Bar
from msfp.engine.stopping import stopping
from msfp.errors import InputError
from msfp.pipeline.watch import Image, Look, Watcher, taus_of
from msfp.tracking.base import TrackerOutput
from msfp.types import Tracks, xyxy_to_tlwh
from msfp.video.drawing import Artist
from msfp.video.film import Film, join
from msfp.video.source import Source, frames

PART = 100
PARTS, STATE = ".parts", "recording.json"
Show = Callable[[Image], bool]


@dataclass
class Recording:
    """Where a video's results go, and what of them is there.

    Attributes:
        source: what is followed.
        out: folder of the results.
        state: what they depend on; parts of another state are not gone on from.
        film: whether an annotated film is made.
        results: identities and boxes so far, frame by frame.
        taus: (number, tau_high, tau_low) so far.
    """

    source: Source
    out: Path
    state: dict[str, Any]
    film: bool = True
    results: list[tuple[int, TrackerOutput]] = field(default_factory=list)
    taus: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def parts(self) -> Path:
        """Folder of what is unfinished."""
        return self.out / PARTS

    def begin(self, fresh: bool) -> list[Look]:
        """What earlier calls looked at, in order; the folder then is this recording's.

        Args:
            fresh: throw it away.

        Raises:
            InputError: the parts there belong to another video or other settings.
        """
        note = self.parts / STATE
        if fresh or self.source.endless:
            shutil.rmtree(self.parts, ignore_errors=True)
        if note.is_file() and json.loads(note.read_text("utf-8")) != self.state:
            raise InputError(
                f"{self.out} holds the unfinished results of another video or of other settings; name another folder "
                "with --out, or throw them away with --fresh"
            )
        atomic_write(note, json.dumps(self.state).encode())
        found: list[Look] = []
        while (path := self.parts / f"{len(found) + 1:09d}.npz").is_file():
            if self.film and not path.with_suffix(".mp4").is_file():
                break
            found += unpack_looks(path)
        for path in (*self.parts.glob("*.npz"), *self.parts.glob("*.mp4")):
            if int(path.stem) > len(found):
                path.unlink()
        return found

    def add(self, look: Look, output: TrackerOutput) -> None:
        """Take a frame's outcome."""
        self.results.append((look.number, output))
        if not np.isnan(look.taus[0]):
            self.taus.append((look.number, float(look.taus[0]), float(look.taus[1])))

    def finish(self) -> dict[str, Path]:
        """Write the results; kind -> file."""
        base = self.out / self.source.name
        made = {"tracks": base.with_suffix(".txt")}
        write_tracks(made["tracks"], joined(self.results))
        if self.taus:
            made["thresholds"] = self.out / f"{self.source.name}-tau.csv"
            rows = "".join(f"{t},{high:.6g},{low:.6g}\n" for t, high, low in self.taus)
            atomic_write(made["thresholds"], f"frame,tau_high,tau_low\n{rows}".encode())
        films = sorted(self.parts.glob("*.mp4"))
        if self.film and films:
            made["film"] = join(films, base.with_suffix(".mp4"))
        shutil.rmtree(self.parts, ignore_errors=True)
        return made


def record(
    recording: Recording, watcher: Watcher, *, limit: int | None = None, fresh: bool = False, show: Show | None = None
) -> dict[str, Any]:
    """Follow a video to its end, its limit, or until `show` returns False.

    Args:
        recording: where to, and what is there already.
        watcher: how.
        limit: last frame.
        fresh: begin anew.
        show: called with every drawn frame.

    Returns:
        frames, people, frames_per_second (of this call's own frames), and the files made.

    Raises:
        InputError: see `Recording.begin`; a frame that cannot be read.
        KeyboardInterrupt: stopped by a signal; every frame until then is kept. A camera's recording ends by it instead.
    """
    source = recording.source
    artist = Artist(source.width, source.height, source.fps) if recording.film or show else None
    kept = recording.begin(fresh)
    blank = np.zeros((source.height, source.width, 3), np.uint8)
    recent = len(kept) - int(12 * source.fps)  # what trails and strip still show
    for look in kept:
        output = watcher.resume(look)
        recording.add(look, output)
        if artist is not None and look.number > recent:
            artist.draw(blank, output.ids, output.boxes, taus_of(look))
    begun, done = time.perf_counter(), 0
    end = limit or source.length
    left = end and max(0, end - len(kept))
    with stopping() as asked, Bar(left, source.name) as bar, _parts(recording, artist) as keep:
        for number, pixels in frames(source, len(kept) + 1):
            if limit and number > limit:
                break
            look = watcher.look(number, pixels)
            output = watcher.follow(look)
            recording.add(look, output)
            drawn = None if artist is None else artist.draw(pixels, output.ids, output.boxes, taus_of(look))
            keep(look, drawn)
            done += 1
            bar.update()
            if (show is not None and drawn is not None and not show(drawn)) or asked():
                break
        stopped = asked() and not source.endless  # a camera is ended by hand, a film is gone on from where it was
    if stopped:
        raise KeyboardInterrupt
    spent = time.perf_counter() - begun
    people = {int(i) for _, output in recording.results for i in output.ids}
    return {
        "frames": len(recording.results),
        "people": len(people),
        "frames_per_second": round(done / spent, 2) if done else None,
        **{kind: str(path) for kind, path in recording.finish().items()},
    }


@contextlib.contextmanager
def _parts(recording: Recording, artist: Artist | None) -> Iterator[Callable[[Look, Image | None], None]]:
    """Keeps frames part by part; a part counts once both of its files are whole.

    A call that ends by an error leaves the last part unfinished and out.
    """
    looks: list[Look] = []
    film: Film | None = None

    def close() -> None:
        nonlocal film, looks
        if film is not None:
            film.close()
        if looks:
            pack_looks(recording.parts / f"{looks[0].number:09d}.npz", looks)
        film, looks = None, []

    def keep(look: Look, drawn: Image | None) -> None:
        nonlocal film
        looks.append(look)
        if recording.film and drawn is not None and artist is not None:
            if film is None:
                path = recording.parts / f"{look.number:09d}.mp4"
                film = Film(path, recording.source.fps, artist.width, artist.height)
            film.add(drawn)
        if len(looks) == PART:
            close()

    yield keep
    close()


def pack_looks(path: Path, looks: list[Look]) -> None:
    """Write what was seen of some frames."""
    import io

    data = io.BytesIO()
    np.savez_compressed(
        data,
        number=np.array([s.number for s in looks]),
        count=np.array([len(s.score) for s in looks]),
        tlwh=np.concatenate([s.tlwh for s in looks]),
        score=np.concatenate([s.score for s in looks]),
        vectors=np.concatenate([s.vectors for s in looks]),
        taus=np.stack([s.taus for s in looks]),
        memory=np.stack([s.memory for s in looks]),
        warp=np.stack([s.warp for s in looks]),
    )
    atomic_write(path, data.getvalue())


def unpack_looks(path: Path) -> list[Look]:
    """Read what `pack_looks` wrote.

    Raises:
        InputError: a file that is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {name: data[name] for name in data.files}
        ends = np.cumsum(found["count"])
        rows = [slice(end - count, end) for end, count in zip(ends, found["count"], strict=True)]
        return [
            Look(
                int(found["number"][t]), found["tlwh"][at], found["score"][at], found["vectors"][at],
                found["taus"][t], found["memory"][t], found["warp"][t],
            )
            for t, at in enumerate(rows)
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}); call again with --fresh") from None


def joined(results: list[tuple[int, TrackerOutput]]) -> Tracks:
    """Outputs of frames as one sequence's tracks."""
    counts = [len(output) for _, output in results]
    boxes = np.concatenate([np.zeros((0, 4)), *(o.boxes for _, o in results)])
    return Tracks(
        np.repeat(np.array([t for t, _ in results], np.int32), counts),
        np.concatenate([np.zeros(0, np.int32), *(o.ids for _, o in results)]),
        np.asarray(xyxy_to_tlwh(boxes), np.float64),
        np.concatenate([np.zeros(0, np.float32), *(o.scores for _, o in results)]),
    )
