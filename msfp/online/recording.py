"""A video followed from end to end, kept in parts as it goes: a stop costs nothing, a crash some seconds.

A later call follows the kept frames again, which needs no network, and goes on behind them.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from msfp.data.motchallenge import write_tracks
from msfp.engine.files import atomic_write, checksum, digest, locked, read_with_checksum, write_error
from msfp.engine.parallel import Bar
from msfp.errors import InputError
from msfp.online.tracker import Image, Look, OnlineTracker
from msfp.online.video import Artist, Film, Source, frames, join
from msfp.tracking.base import TrackerOutput
from msfp.types import Tracks, xyxy_to_tlwh

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


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether a stop was asked for; the second time it is asked, it is at once.

    Outside the main thread, where Python handles no signals, the function is always False.

    Raises:
        KeyboardInterrupt: asked for a second time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


PART = 100
SHOWN_SECONDS = 12  # what trails and the strip of thresholds still show
LONGEST_NAME = 200  # bytes; endings and the names of unfinished files are added, and file systems end at 255
ENDINGS = {"tracks": ".txt", "film": ".mp4", "thresholds": "-tau.csv", "times": "-times.csv", "about": ".json"}
LOCK = ".msfp-track.lock"
Show = Callable[[Image], bool]


@dataclass
class Recording:
    """Where a video's results go, and what of them is there."""

    source: Source  # what is followed
    out: Path  # folder of the results
    state: dict[str, Any]  # what they depend on, of JSON's kinds; parts of another state are not gone on from
    film: bool = True  # whether an annotated film is made
    # identities and boxes so far, frame by frame
    results: list[tuple[int, TrackerOutput]] = field(default_factory=list)
    taus: dict[int, tuple[float, float]] = field(default_factory=dict)  # number -> (tau_high, tau_low) so far
    marred: set[int] = field(default_factory=set)  # numbers of frames that were decoded with errors
    parts: Parts = field(init=False)  # what of it is kept

    def __post_init__(self) -> None:
        self.parts = Parts(self.out, self.state, self.film)

    def add(self, look: Look, output: TrackerOutput) -> None:
        """Take a frame's outcome."""
        self.results.append((look.number, output))
        if look.pair is not None:
            self.taus[look.number] = look.pair

    def finish(self, ended: bool) -> dict[str, Any]:
        """Write the results; `ended`: the source was followed to its end. Gives what came of it, and the files."""
        source = self.source
        seen = {number for number, _ in self.results}
        last = 0 if source.images or source.length is None else source.length if ended else max(seen, default=0)
        told = {
            "source": source.address,
            "frames": len(self.results),
            "people": len({int(i) for _, output in self.results for i in output.ids}),
            "rate": round(source.fps, 3),
            "variable_rate": source.variable,
            "lost": sorted(set(range(1, last + 1)) - seen),
            "marred": sorted(self.marred & seen),
        }
        place = {kind: self.out / f"{source.name}{ending}" for kind, ending in ENDINGS.items()}
        atomic_write(place["about"], json.dumps({**told, "settings": self.state}, indent=1).encode())
        write_tracks(place["tracks"], joined(self.results))
        made = ["tracks"]
        times = {number: f"{number},{source.time_of(number):.6f}" for number, _ in self.results}
        if self.taus:
            made.append("thresholds")
            rows = "".join(f"{times[t]},{high:.6g},{low:.6g}\n" for t, (high, low) in self.taus.items())
            atomic_write(place["thresholds"], f"frame,seconds,tau_high,tau_low\n{rows}".encode())
        elif source.variable:
            made.append("times")
            atomic_write(place["times"], ("frame,seconds\n" + "".join(f"{row}\n" for row in times.values())).encode())
        films = [(part.film, part.start) for part in self.parts.kept if part.film is not None]
        if films:
            made.append("film")
            join([film for film, _ in films], place["film"], [start - films[0][1] for _, start in films])
        self.parts.remove()
        return {**told, **{kind: str(place[kind]) for kind in made}}


def check_room(source: Source, out: Path) -> None:
    """Make sure that the results of one source do not replace another's, nor the source itself."""
    if len(os.fsencode(source.name)) > LONGEST_NAME:
        raise InputError(f"{source.name[:40]}...: a name over {LONGEST_NAME} bytes; rename it")
    try:
        known = json.loads((out / f"{source.name}.json").read_bytes())["source"]
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    there = [path for path in (out / f"{source.name}{ending}" for ending in ENDINGS.values()) if os.path.lexists(path)]
    if there and known != source.address:
        whose = f"belongs to another source ({known})" if known else "does not say which source it belongs to"
        raise InputError(f"{there[0]}: {whose}; name another folder with --out, or move it away")


def record(
    recording: Recording,
    watcher: OnlineTracker,
    *,
    limit: int | None = None,
    fresh: bool = False,
    show: Show | None = None,
) -> dict[str, Any]:
    """Follow a video to its end, its limit, or until `show` returns False.

    Args:
        recording: where to, and what is there already.
        watcher: how.
        limit: number of frames after which it ends.
        fresh: begin anew.
        show: called with every drawn frame.

    Returns:
        source, frames, people, rate (frames of the video a second), variable_rate, lost and marred (numbers of frames
        that could not be decoded, or with errors only), frames_per_second (of this call's own frames), and the files.

    Raises:
        KeyboardInterrupt: stopped by a signal; every frame until then is kept. A camera's recording ends by it instead.
    """
    with _writing(recording.out), locked(recording.out / LOCK, lambda: _taken(recording.out)):
        check_room(recording.source, recording.out)
        recording.parts.begin(fresh or recording.source.endless)
        return _record(recording, watcher, limit, show)


def _record(recording: Recording, watcher: OnlineTracker, limit: int | None, show: Show | None) -> dict[str, Any]:
    source = recording.source
    artist = Artist(source.width, source.height, source.fps) if recording.film or show else None
    last = _go_over(recording, watcher, artist)
    begun, done, ended = time.perf_counter(), 0, True
    end = limit if source.length is None else min(limit or source.length, source.length)
    left = end and max(0, end - len(recording.results))
    # The camera's motion is that since the last kept frame, so this frame is read once more.
    first = 1 if last is None else last.number if watcher.recalls else last.number + 1
    with stopping() as asked, Bar(left, source.name) as bar, _parts(recording, artist) as keep:
        for number, pixels in frames(source, first, recording.marred):
            if last is not None and number == last.number:
                watcher.recall(last, pixels)
                continue
            if limit and len(recording.results) >= limit:
                ended = False
                break
            seconds = source.time_of(number) if source.variable else np.nan
            look = watcher.look(number, pixels, seconds=seconds)
            output = watcher.follow(look)
            recording.add(look, output)
            drawn = None if artist is None else artist.draw(pixels, output.ids, output.boxes, look.pair)
            keep(look, drawn)
            done += 1
            bar.update()
            if (show is not None and drawn is not None and not show(drawn)) or asked():
                ended = False
                break
        stopped = asked() and not source.endless  # a camera is ended by hand, a film is gone on from where it was
    if stopped:
        raise KeyboardInterrupt
    spent = time.perf_counter() - begun
    return {**recording.finish(ended), "frames_per_second": round(done / spent, 2) if done else None}


def _go_over(recording: Recording, watcher: OnlineTracker, artist: Artist | None) -> Look | None:
    """Follow what earlier calls looked at; the last of it, None where there is nothing."""
    source, last = recording.source, None
    shown: deque[tuple[TrackerOutput, tuple[float, float] | None]] = deque(maxlen=int(SHOWN_SECONDS * source.fps) + 1)
    for look in recording.parts.looks():
        output = watcher.resume(look)
        recording.add(look, output)
        shown.append((output, look.pair))
        last = look
    if artist is not None:
        blank = np.zeros((source.height, source.width, 3), np.uint8)
        for output, taus in shown:
            artist.draw(blank, output.ids, output.boxes, taus)
    return last


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Turn what the system refuses into a message for a person."""
    from av.error import FFmpegError

    try:
        yield
    except (OSError, FFmpegError) as error:
        known = error if isinstance(error, OSError) else OSError(getattr(error, "errno", 0), str(error))
        raise write_error(out, known) from error


def _taken(out: Path) -> None:
    raise InputError(f"{out}: another `msfp track` is writing here; wait for it, or name another folder with --out")


@contextlib.contextmanager
def _parts(recording: Recording, artist: Artist | None) -> Iterator[Callable[[Look, Image | None], None]]:
    """Keep frames part by part; a call that ends by an error leaves the last part out."""
    looks: list[Look] = []
    film: Film | None = None
    source, start = recording.source, 0.0

    def close() -> None:
        nonlocal film, looks
        if film is not None:
            film.close()
        if looks:
            recording.parts.add(looks, start)
        film, looks = None, []

    def keep(look: Look, drawn: Image | None) -> None:
        nonlocal film, start
        now = source.time_of(look.number)
        if not looks:
            start = now
        looks.append(look)
        if recording.film and drawn is not None and artist is not None:
            if film is None:
                path = recording.parts.film_for(look.number)
                film = Film(path, source.fps, artist.width, artist.height, source.variable)
            film.add(drawn, now - start)
        if len(looks) == PART:
            close()

    yield keep
    close()


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
