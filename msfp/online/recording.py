"""A video followed from end to end, kept in parts as it goes: a stop costs nothing, a crash some seconds.

A later call follows the kept frames again, which needs no network, and goes on behind them.
"""

import contextlib
import io
import logging
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
from msfp.engine.files import atomic_write, checksum, digest, file_digest, locked
from msfp.engine.parallel import Bar
from msfp.errors import InputError
from msfp.features.detector import PERSON
from msfp.online.folders import LOCK, PARTS, STATE, check_room, places, plain, read_object, readable, remove, writing
from msfp.online.tracker import FIRST_PIXEL, Image, Look, OnlineTracker
from msfp.online.video import Artist, Film, Source, frames, join
from msfp.tracking.base import TrackerOutput
from msfp.types import Tracks, xyxy_to_tlwh

PART = 100  # frames
FRAME = ("number", "taus", "memory", "warp", "seconds")
BOX = ("tlwh", "score", "vectors")
SUM = 64  # bytes of a checksum
SHOWN_SECONDS = 12  # what trails and the strip of thresholds still show
JUDGED = 50  # frames after which it is said that there is nobody
SURE, MOST_EMPTY = 0.25, 0.8  # score of a person who is there; share of frames without one that is worth a word
Show = Callable[[Image], bool]
log = logging.getLogger(__name__)


def pack_looks(looks: list[Look], **about: object) -> bytes:
    """Frames as they were seen, what is told of them, and a checksum of both."""
    data = io.BytesIO()
    arrays = {name: np.array([getattr(s, name) for s in looks]) for name in FRAME}
    for name in BOX:
        rows = [getattr(s, name) for s in looks]
        arrays[name] = np.concatenate([r for r in rows if len(r)] or rows[:1])  # a frame's 0 vectors may be 0 wide
    arrays["count"] = np.array([len(s.score) for s in looks])
    np.savez_compressed(data, **arrays, **{name: np.array(value) for name, value in about.items()})  # type: ignore[arg-type]
    return data.getvalue() + checksum(data.getvalue()).encode()


def unpack_looks(data: bytes) -> tuple[list[Look], dict[str, Any]]:
    """The frames that `pack_looks` packed, and what is told of them; ValueError where it is not that."""
    packed, said = data[:-SUM], data[-SUM:]
    if checksum(packed).encode() != said:
        raise ValueError("not whole")
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    ends = np.cumsum(found["count"])
    looks = []
    for t, (end, count) in enumerate(zip(ends, found["count"], strict=True)):
        boxes = {name: found[name][end - count : end] for name in BOX}
        number, seconds = int(found["number"][t]), float(found["seconds"][t])
        rest = {name: found[name][t] for name in ("taus", "memory", "warp")}
        looks.append(Look(number=number, seconds=seconds, **boxes, **rest))
    return looks, {name: value.item() for name, value in found.items() if not value.ndim}


@dataclass(frozen=True)
class Made:
    """The kinds of results that a video gets beside its tracks."""

    film: bool = True  # an annotated MP4
    labels: bool = True  # with the identities written at the boxes
    line_width: int | None = None  # of its boxes and trails in pixels; None: by the height of the frame
    txt: bool = False  # YOLO's label files, one a frame
    crops: bool = False  # a picture of every person in every frame


@dataclass
class Recording:
    """Where a video's results go, and what of them is there.

    A part is kept under the number of its first frame: its film, if any, then what was seen with the film's digest.
    """

    source: Source
    out: Path
    state: dict[str, Any]  # what they depend on, of JSON's kinds; parts of another state are not gone on from
    made: Made = Made()
    results: list[tuple[int, TrackerOutput]] = field(default_factory=list)  # (number, identities and boxes) so far
    taus: dict[int, tuple[float, float]] = field(default_factory=dict)  # number -> (tau_high, tau_low) so far
    marred: set[int] = field(default_factory=set)  # numbers of frames that were decoded with errors
    kept: list[int] = field(default_factory=list)  # first frames of the parts that are whole, in order
    last: int = 0  # last frame of these
    new: list[Look] = field(default_factory=list)  # frames of the part that is being made
    writer: Film | None = None  # of its film

    def __post_init__(self) -> None:
        self.state = plain(self.state)

    @property
    def folder(self) -> Path:
        """Where the parts are."""
        return self.out / PARTS

    def begin(self, fresh: bool) -> None:
        """Make the folder this recording's; `fresh`: throw away what is there. InputError: it holds another's parts."""
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        note = self.folder / STATE
        known = read_object(note)  # parts say themselves what they belong to
        if known is not None and known != self.state:
            raise InputError(
                f"{self.out} holds the unfinished results of another video or of other settings; name "
                "another folder with --out, or throw them away with --fresh"
            )
        atomic_write(note, readable(self.state))

    def artist(self) -> Artist:
        """The one that draws its film."""
        source, made = self.source, self.made
        return Artist(source.width, source.height, source.fps, made.labels, made.line_width)

    def looks(self) -> Iterator[Look]:
        """Read what earlier calls looked at, in order, one part in memory at a time; the rest of the folder goes."""
        for path in sorted(self.folder.glob("*.npz")):
            found = self._read(path)
            if not found:
                break
            self.kept.append(found[0].number)
            self.last = found[-1].number
            yield from found
        kept = {STATE, *(self._path(first, ending).name for first in self.kept for ending in (".npz", ".mp4"))}
        for path in self.folder.iterdir():
            if path.name not in kept:
                remove(path)

    def _path(self, first: int, ending: str) -> Path:
        return self.folder / f"{first:09d}{ending}"

    def _read(self, path: Path) -> list[Look]:
        """The frames of the part that goes on behind the last one; none where it is not whole or not that."""
        try:
            looks, about = unpack_looks(path.read_bytes())
            film = file_digest(path.with_suffix(".mp4")) if self.made.film else ""
        except (OSError, ValueError, InputError):
            return []
        expected = {"state": digest(self.state), "after": self.last, "film": film}
        return looks if about == expected and path == self._path(looks[0].number, ".npz") else []

    def add(self, look: Look, output: TrackerOutput) -> None:
        """Take a frame's outcome."""
        self.results.append((look.number, output))
        if look.pair is not None:
            self.taus[look.number] = look.pair

    def keep(self, look: Look, drawn: Image | None) -> None:
        """Take a frame into the part that is being made."""
        source = self.source
        self.new.append(look)
        first = self.new[0].number
        if self.made.film and drawn is not None:
            height, width = drawn.shape[:2]
            self.writer = self.writer or Film(self._path(first, ".mp4"), source.fps, width, height, source.variable)
            self.writer.add(drawn, source.time_of(look.number) - source.time_of(first))
        if len(self.new) == PART:
            self.close_part()

    def close_part(self) -> None:
        """Keep the part that is being made: it counts once what was seen is there, behind its film."""
        if not self.new:
            return
        if self.writer is not None:
            self.writer.close()
        film = "" if self.writer is None else file_digest(self.writer.path)
        first = self.new[0].number
        data = pack_looks(self.new, state=digest(self.state), after=self.last, film=film)
        atomic_write(self._path(first, ".npz"), data)
        self.kept.append(first)
        self.last, self.new, self.writer = self.new[-1].number, [], None

    def crop(self, number: int, pixels: Image, output: TrackerOutput) -> None:
        """Write the picture of every person of a frame: NAME-crops/IDENTITY/FRAME.jpg."""
        import cv2

        folder = places(self.out, self.source)["crops"]
        for who, xyxy in zip(output.ids.tolist(), output.boxes - FIRST_PIXEL, strict=True):
            left, top, right, bottom = np.clip(xyxy.round().astype(int), 0, np.tile(pixels.shape[1::-1], 2))
            if right > left and bottom > top:
                picture = cv2.imencode(".jpg", pixels[top:bottom, left:right, ::-1])[1]
                place = folder / f"{who}" / f"{number:06d}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(picture.tobytes())

    def _write_labels(self) -> None:
        """Write NAME-labels/NAME_FRAME.txt: class, centre, extent (shares of the frame), identity; YOLO's format."""
        folder = places(self.out, self.source)["labels"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        extent = np.tile([self.source.width, self.source.height], 2)
        for number, output in self.results:
            xyxy = np.clip(output.boxes - FIRST_PIXEL, 0, extent)
            rows = np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], 1) / extent
            lines = [
                f"{PERSON} {' '.join(f'{v:.6f}' for v in row)} {who}\n"
                for row, who in zip(rows.tolist(), output.ids.tolist(), strict=True)
            ]
            (folder / f"{self.source.name}_{number:06d}.txt").write_text("".join(lines), encoding="utf-8")

    def finish(self, ended: bool) -> dict[str, Any]:
        """Write the results; `ended`: the source was followed to its end. Gives what came of it, and the files."""
        source, place = self.source, places(self.out, self.source)
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
        atomic_write(place["about"], readable({**told, "whole": ended, "settings": self.state}))
        write_tracks(place["tracks"], joined(self.results))
        taus, times = self.taus, {number: f"{number},{source.time_of(number):.6f}" for number, _ in self.results}
        rows = {
            "thresholds": [f"{times[t]},{high:.6g},{low:.6g}\n" for t, (high, low) in taus.items()],
            "times": [f"{row}\n" for row in times.values()] if source.variable and not taus else [],
        }
        for kind, head in (("thresholds", "frame,seconds,tau_high,tau_low\n"), ("times", "frame,seconds\n")):
            if rows[kind]:
                atomic_write(place[kind], "".join([head, *rows[kind]]).encode())
        filmed = self.made.film and bool(self.kept)
        if filmed:
            starts = [source.time_of(first) - source.time_of(self.kept[0]) for first in self.kept]
            join([self._path(first, ".mp4") for first in self.kept], place["film"], starts)
        if self.made.txt:
            self._write_labels()
        there = {"tracks": True, **{kind: bool(some) for kind, some in rows.items()}, "film": filmed}
        there |= {"labels": self.made.txt, "crops": self.made.crops}
        for kind in (kind for kind, made in there.items() if not made):  # of a recording that this one replaces
            remove(place[kind])
        shutil.rmtree(self.folder, ignore_errors=True)
        return {**told, **{kind: str(place[kind]) for kind, made in there.items() if made}}


@contextlib.contextmanager
def stopping(idle: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """A function that tells whether a stop was asked for, which waits for the frame at hand, unless `idle`.

    A second signal stops at once, by KeyboardInterrupt. Outside the main thread, where Python handles no signals, it is
    always False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set() or idle():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def record(
    recording: Recording,
    watcher: OnlineTracker,
    *,
    limit: int | None = None,
    fresh: bool = False,
    show: Show | None = None,
    told_every: float | None = 0.0,
) -> dict[str, Any]:
    """Follow a video to its end, to `limit` frames, or until `show`, called with every drawn frame, returns False.

    `fresh`: begin anew. `told_every`: seconds between lines of progress where there is no terminal; 0: none, None: no
    bar either. Returns source, frames, people, rate (frames of the video a second), variable_rate, lost and
    marred (numbers of frames that could not be decoded, or with errors only), frames_per_second (of this call's own
    frames), and the files. A signal raises KeyboardInterrupt, all frames until then kept; it ends a camera's recording.
    """
    source, out = recording.source, recording.out

    def taken() -> None:
        raise InputError(f"{out}: another `msfp track` is writing here; wait for it, or name another folder with --out")

    with writing(out), locked(out / LOCK, taken):
        check_room(source, out)
        recording.begin(fresh or source.endless)
        artist, blind = recording.artist() if recording.made.film or show else None, Blindness(source.name)
        last = _go_over(recording, watcher, artist, limit)
        begun, done, ended = time.perf_counter(), 0, True
        end = limit if source.length is None else min(limit or source.length, source.length)
        shown = 0 if told_every is None else end and max(0, end - len(recording.results))
        # The camera's motion is that since the last kept frame, so this frame is read once more.
        first = 1 if last is None else last.number if watcher.recalls else last.number + 1
        bar = Bar(shown, f"{source.name}, frames", told_every or 0)
        with stopping(lambda: not (done or recording.new)) as asked, bar:
            try:
                for number, pixels in frames(source, first, recording.marred):
                    if last is not None and number == last.number:
                        watcher.recall(last, pixels)
                        continue
                    if limit and len(recording.results) >= limit:
                        ended = False
                        break
                    look, drawn = _follow(recording, watcher, artist, number, pixels)
                    blind.note(look)
                    done += 1
                    bar.update()
                    ended = not ((show is not None and drawn is not None and not show(drawn)) or asked())
                    if not ended:
                        break
            except BaseException:
                if source.endless:  # it cannot be followed again: what was seen of it is its result
                    recording.close_part()
                    recording.finish(False)
                raise
            stopped = asked() and not source.endless  # a camera is ended by hand, a film is gone on from where it was
            recording.close_part()
        blind.tell()
        if stopped:
            raise KeyboardInterrupt
        pace = round(done / (time.perf_counter() - begun), 2) if done else None
        return {**recording.finish(ended), "frames_per_second": pace}


def _follow(
    recording: Recording, watcher: OnlineTracker, artist: Artist | None, number: int, pixels: Image
) -> tuple[Look, Image | None]:
    """Look at a frame, follow everybody into it, and keep it; the drawn frame where one is wanted."""
    source = recording.source
    look = watcher.look(number, pixels, seconds=source.time_of(number) if source.variable else np.nan)
    output = watcher.follow(look)
    recording.add(look, output)
    if recording.made.crops:
        recording.crop(number, pixels, output)
    drawn = None if artist is None else artist.draw(pixels, output.ids, output.boxes, look.pair)
    recording.keep(look, drawn)
    return look, drawn


@dataclass
class Blindness:
    """Says once, after the first frames, that the detector finds hardly anybody in a video."""

    name: str  # of the video
    seen: int = 0  # frames looked at
    empty: int = 0  # of these without a person of whom the detector is fairly sure
    told: bool = False

    def note(self, look: Look) -> None:
        """Count a frame."""
        self.seen += 1
        self.empty += not len(look.score) or float(look.score.max()) < SURE
        if self.seen == JUDGED:
            self.tell()

    def tell(self) -> None:
        """Warn, unless most frames have people, or it was said."""
        if not self.told and self.empty > MOST_EMPTY * self.seen:
            self.told = True
            log.warning(
                "%s: nobody is found in %d of %d frames; unless nobody is there, the weights do not know "
                "such pictures: name a detector that learned from photographs (--weights yolov8n.pt), or a larger "
                "input for small people (--imgsz 1280)",
                self.name, self.empty, self.seen,
            )  # fmt: skip


def _go_over(recording: Recording, watcher: OnlineTracker, artist: Artist | None, limit: int | None) -> Look | None:
    """Follow what earlier calls looked at; the last of it, None where there is nothing, and no picture is kept then."""
    source, last = recording.source, None
    shown: deque[tuple[TrackerOutput, tuple[float, float] | None]] = deque(maxlen=int(SHOWN_SECONDS * source.fps) + 1)
    for look in recording.looks():
        output = watcher.resume(look)
        recording.add(look, output)
        shown.append((output, look.pair))
        last = look
    if last is None:
        remove(places(recording.out, source)["crops"])
    if limit and (there := len(recording.results)) > limit:
        log.warning("%s: an earlier call followed %d frames already, which are kept", recording.out, there)
    if artist is not None:
        blank = np.zeros((source.height, source.width, 3), np.uint8)
        for output, taus in shown:
            artist.draw(blank, output.ids, output.boxes, taus)
    return last


def joined(results: list[tuple[int, TrackerOutput]]) -> Tracks:
    counts = [len(output) for _, output in results]
    boxes = np.concatenate([np.zeros((0, 4)), *(o.boxes for _, o in results)])
    return Tracks(
        np.repeat(np.array([t for t, _ in results], np.int32), counts),
        np.concatenate([np.zeros(0, np.int32), *(o.ids for _, o in results)]),
        np.asarray(xyxy_to_tlwh(boxes), np.float64),
        np.concatenate([np.zeros(0, np.float32), *(o.scores for _, o in results)]),
    )
