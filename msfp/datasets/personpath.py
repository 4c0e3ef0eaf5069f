"""PersonPath22 in the MOTChallenge layout.

Its labels are JSON, one file a video, of key frames only (about five a second). A tracker is judged on those frames, so
they become the sequence: numbered from 1 in order, their pictures written out of the video, the rate theirs. Boxes are
0-based there and 1-based here.

What each kind of person counts as is told by its labels. People that a tracker is to find count; those that it may or
may not find (hidden almost whole, far in the background, inside a vehicle) are distractors; reflections and crowds are
what TrackEval's PersonPath22 rules take them for.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msfp.datasets.rows import parse_rows, read_bytes
from msfp.errors import InputError
from msfp.video.decoding import decode, pixels_of
from msfp.video.videos import open_video

PEDESTRIAN, DISTRACTOR, REFLECTION, CROWD = 1, 8, 12, 13
KINDS = {
    "reflection": REFLECTION,
    "crowd": CROWD,
    "severly_occluded_person": DISTRACTOR,  # spelt so in the labels
    "severely_occluded_person": DISTRACTOR,
    "person_in_background": DISTRACTOR,
    "person_in_vehicle": DISTRACTOR,
}
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Video:
    """One labelled video.

    Attributes:
        name: `uid_vid_00000`.
        fps: of the video.
        width, height: of its frames.
        keys: labelled frames of the video, from 0, ascending.
        rows: (N, 9) of gt.txt: key frame's number from 1, identity, left, top, width, height, flag, class, visibility.
    """

    name: str
    fps: float
    width: int
    height: int
    keys: tuple[int, ...]
    rows: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def rate(self) -> float:
        """Key frames a second."""
        gaps = np.diff(self.keys)
        return self.fps / float(np.median(gaps)) if len(gaps) else self.fps


def category(labels: Mapping[str, object] | Iterable[str]) -> int:
    """MOTChallenge class of a box with these labels."""
    found = {KINDS[label] for label in labels if label in KINDS}
    return next((kind for kind in (CROWD, REFLECTION, DISTRACTOR) if kind in found), PEDESTRIAN)


def read_video(path: Path) -> Video:
    """One video's labels.

    Raises:
        InputError: not such a file; names it and what is missing.
    """
    try:
        entry = json.loads(path.read_text("utf-8"))
        meta, entities = entry["metadata"], entry["entities"]
        size = meta["resolution"]
        keys = tuple(sorted({int(e["blob"]["frame_idx"]) for e in entities}))
        number = {key: t for t, key in enumerate(keys, start=1)}
        identities = {name: i for i, name in enumerate(dict.fromkeys(str(e["id"]) for e in entities), start=1)}
        rows = [
            (number[int(e["blob"]["frame_idx"])], identities[str(e["id"])], *_box(e["bb"]), category(e["labels"]))
            for e in entities
        ]
        name, fps = path.name.removesuffix(".json").removesuffix(".mp4"), float(meta["fps"])
        width, height = int(size["width"]), int(size["height"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not the labels of a PersonPath22 video ({type(error).__name__}: {error}); "
            "fetch anno_visible.zip again"
        ) from None
    table = np.array([(t, i, x, y, w, h, kind == PEDESTRIAN, kind, 1.0) for t, i, x, y, w, h, kind in rows], np.float64)
    table = table.reshape(-1, 9)
    table = table[(table[:, 4] > 0) & (table[:, 5] > 0)]
    return Video(name, fps, width, height, keys, table[np.argsort(table[:, 0], kind="stable")])


def _box(bb: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, width, height = (float(v) for v in bb)
    return left + 1.0, top + 1.0, width, height


def convert(folder: Path, bar: Bar) -> list[Path]:
    """Write sequence folders from what was unpacked; those that are there already are left.

    Args:
        folder: holds the label files, splits.json, and the videos and detections as far as they are there.
        bar: from a label and a number of videos, a context that gives a progress function.

    Returns:
        The sequence folders, in order of name.

    Raises:
        InputError: splits.json or the label files are missing or wrong.
    """
    splits = _splits(folder)
    labels = {p.name.removesuffix(".json").removesuffix(".mp4"): p for p in sorted(folder.rglob("uid_vid_*.json"))}
    if not labels:
        raise InputError(f"{folder}: no uid_vid_*.json; unpack anno_visible.zip there")
    written = []
    with bar("writing sequences", len(labels)) as tick:
        for name, path in labels.items():
            target = folder / splits.get(name, "test") / name
            if not (target / "seqinfo.ini").is_file():
                video = read_video(path)
                _write(video, target, _first(folder, f"{name}.mp4"), _first(folder, f"{name}*.txt"))
            written.append(target)
            tick(1)
    return sorted(written)


def _splits(folder: Path) -> dict[str, str]:
    """Video -> `train` or `test`."""
    path = _first(folder, "splits.json")
    if path is None:
        raise InputError(f"{folder}: no splits.json; it says which videos train")
    try:
        found = json.loads(path.read_text("utf-8"))
        return {Path(str(v)).stem: ("train" if k == "train" else "test") for k, names in found.items() for v in names}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: not a list of videos for each split ({error}); fetch it again") from None


def _first(folder: Path, pattern: str) -> Path | None:
    inside = (p for p in sorted(folder.rglob(pattern)) if p.parent.name not in ("gt", "det") and p.is_file())
    return next(inside, None)


def _write(video: Video, target: Path, pixels: Path | None, detections: Path | None) -> None:
    """One sequence folder; seqinfo.ini last, as it says that the rest is whole."""
    for kind in ("gt", "img1", "det"):
        (target / kind).mkdir(parents=True, exist_ok=True)
    np.savetxt(target / "gt" / "gt.txt", video.rows, "%d,%d,%.2f,%.2f,%.2f,%.2f,%d,%d,%g")
    if detections is not None:
        _write_detections(video, detections, target / "det" / "det.txt")
    if pixels is not None:
        _write_frames(video, pixels, target / "img1")
    keys = {
        "name": video.name,
        "imDir": "img1",
        "frameRate": f"{video.rate:g}",
        "seqLength": max(1, len(video.keys)),
        "imWidth": video.width,
        "imHeight": video.height,
        "imExt": ".jpg",
    }
    text = "".join(f"{key}={value}\n" for key, value in keys.items())
    (target / "seqinfo.ini").write_text(f"[Sequence]\n{text}", "utf-8")


def _write_detections(video: Video, source: Path, path: Path) -> None:
    """Public detections of the key frames, numbered as those are."""
    rows = parse_rows(read_bytes(source, "detections"), str(source), 7, "detections").values
    place = np.full(max(int(rows[:, 0].max(initial=0)), max(video.keys, default=0) + 1) + 1, -1)
    place[np.array(video.keys, np.int64) + 1] = np.arange(1, len(video.keys) + 1)
    number = place[rows[:, 0].astype(np.int64)]
    kept = np.column_stack([number, rows[:, 1:7]])[number > 0]
    np.savetxt(path, kept, "%d,%d,%.2f,%.2f,%.2f,%.2f,%.6g")


def _write_frames(video: Video, source: Path, folder: Path) -> None:
    import cv2

    number = {key: t for t, key in enumerate(video.keys, start=1)}
    for at, frame in decode(open_video(source)):
        if at - 1 in number:
            place = folder / f"{number[at - 1]:06d}.jpg"
            cv2.imwrite(str(place), pixels_of(frame)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        if at > max(video.keys, default=-1):
            break
