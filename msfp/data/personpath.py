"""PersonPath22 in the MOTChallenge layout.

Its labels are JSON, one file a video, of key frames only (about five a second). A tracker is judged on those frames, so
they become the sequence: numbered from 1 in order, their pictures written out of the video, the rate theirs. Boxes are
0-based there and 1-based here.

Its labels tell each kind of person. People that a tracker is to find count; those that it may or may not find (hidden
almost whole, far in the background, inside a vehicle) are distractors; reflections and crowds are what TrackEval's
PersonPath22 rules take them for.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from msfp.data.rows import parse_rows, read_bytes
from msfp.data.video import decode, open_video, pixels_of
from msfp.errors import InputError

PEDESTRIAN, DISTRACTOR, REFLECTION, CROWD = 1, 8, 12, 13
# MOTChallenge class of a label; of several labels the first class here counts.
KINDS = {
    "crowd": CROWD,
    "reflection": REFLECTION,
    "severly_occluded_person": DISTRACTOR,  # spelt so in the labels
    "severely_occluded_person": DISTRACTOR,
    "person_in_background": DISTRACTOR,
    "person_in_vehicle": DISTRACTOR,
}
INI = "[Sequence]\nname={}\nimDir=img1\nframeRate={:g}\nseqLength={}\nimWidth={}\nimHeight={}\nimExt=.jpg\n"
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def convert(folder: Path, bar: Bar) -> list[Path]:
    """Write sequence folders from what was unpacked; those that are there already are left.

    `folder` holds the label files, splits.json, and the videos and detections as far as they are there; `bar` gives a
    progress function from a label and a number of videos. InputError: splits.json or the labels are missing or wrong.
    """
    listed = _first(folder, "splits.json")
    if listed is None:
        raise InputError(f"{folder}: no splits.json; it says which videos train")
    try:
        train = {Path(str(name)).stem for name in json.loads(listed.read_text("utf-8")).get("train", ())}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{listed}: not a list of videos for each split ({error}); fetch it again") from None
    labels = {p.name.removesuffix(".json").removesuffix(".mp4"): p for p in sorted(folder.rglob("uid_vid_*.json"))}
    if not labels:
        raise InputError(f"{folder}: no uid_vid_*.json; unpack anno_visible.zip there")
    written = []
    with bar("writing sequences", len(labels)) as tick:
        for name, path in labels.items():
            target = folder / ("train" if name in train else "test") / name
            if not (target / "seqinfo.ini").is_file():
                _write(path, target, _first(folder, f"{name}.mp4"), _first(folder, f"{name}*.txt"))
            written.append(target)
            tick(1)
    return sorted(written)


def _first(folder: Path, pattern: str) -> Path | None:
    inside = (p for p in sorted(folder.rglob(pattern)) if p.parent.name not in ("gt", "det") and p.is_file())
    return next(inside, None)


def _write(labels: Path, target: Path, pixels: Path | None, detections: Path | None) -> None:
    """One sequence folder; seqinfo.ini last, as it says that the rest is whole."""
    keys, rows, fps, width, height = _read(labels)
    for kind in ("gt", "img1", "det"):
        (target / kind).mkdir(parents=True, exist_ok=True)
    np.savetxt(target / "gt" / "gt.txt", rows, "%d,%d,%.2f,%.2f,%.2f,%.2f,%d,%d,%g")
    if detections is not None:
        found = parse_rows(read_bytes(detections, "detections"), str(detections), 7, "detections").values
        frame = found[:, 0].astype(np.int64) - 1
        at = np.searchsorted(keys, frame)
        table = np.column_stack([at + 1, found[:, 1:7]])[np.append(keys, -1)[at] == frame]
        np.savetxt(target / "det" / "det.txt", table, "%d,%d,%.2f,%.2f,%.2f,%.2f,%.6g")
    if pixels is not None:
        _write_frames(keys, pixels, target / "img1")
    rate = fps / float(np.median(np.diff(keys))) if len(keys) > 1 else fps
    text = INI.format(target.name, rate, max(1, len(keys)), width, height)
    (target / "seqinfo.ini").write_text(text, "utf-8")


def _read(path: Path) -> tuple[list[int], np.ndarray[Any, np.dtype[np.float64]], float, int, int]:
    """One video's key frames (from 0, ascending), (N, 9) rows of gt.txt, frames a second, width and height."""
    try:
        entry = json.loads(path.read_text("utf-8"))
        meta, entities = entry["metadata"], entry["entities"]
        fps, width, height = float(meta["fps"]), int(meta["resolution"]["width"]), int(meta["resolution"]["height"])
        keys = sorted({int(e["blob"]["frame_idx"]) for e in entities})
        number = {key: t for t, key in enumerate(keys, start=1)}
        identities = {name: i for i, name in enumerate(dict.fromkeys(str(e["id"]) for e in entities), start=1)}
        rows = []
        for e in entities:
            left, top, wide, high = (float(v) for v in e["bb"])
            kind = next((kind for label, kind in KINDS.items() if label in e["labels"]), PEDESTRIAN)
            t, who = number[int(e["blob"]["frame_idx"])], identities[str(e["id"])]
            rows.append((t, who, left + 1, top + 1, wide, high, kind == PEDESTRIAN, kind, 1.0))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not the labels of a PersonPath22 video ({type(error).__name__}: {error}); "
            "fetch anno_visible.zip again"
        ) from None
    table = np.array(rows, np.float64).reshape(-1, 9)
    table = table[(table[:, 4] > 0) & (table[:, 5] > 0)]
    return keys, table[np.argsort(table[:, 0], kind="stable")], fps, width, height


def _write_frames(keys: list[int], source: Path, folder: Path) -> None:
    import cv2

    number = {key: t for t, key in enumerate(keys, start=1)}
    for at, frame in decode(open_video(source)):
        if at - 1 in number:
            place = folder / f"{number[at - 1]:06d}.jpg"
            cv2.imwrite(str(place), pixels_of(frame)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        if not keys or at > keys[-1]:
            break
