"""The files of the MOTChallenge format: detections, ground truth, tracking results.

One row a box, comma-separated, in file coordinates (the first pixel's left edge lies at 1.0):

    det.txt   frame, -1, left, top, width, height, score[, -1, -1, -1]
    gt.txt    frame, id, left, top, width, height, flag, class, visibility      MOT16 and later
              frame, id, left, top, width, height, flag, x, y, z                MOT15 (x, y, z: world, or -1)
    results   frame, id, left, top, width, height, score[, -1, -1, -1]
"""

import io
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.data.rows import Bools, Floats, Rows, parse_rows, plain_text, read_bytes
from msfp.data.sequences import expected, read_sequence
from msfp.engine.files import atomic_write
from msfp.errors import InputError
from msfp.types import Detections, GroundTruth, Sequence, Tracks

__all__ = ["parse_tracks", "read_detections", "read_ground_truth", "read_sequence", "read_tracks", "write_tracks"]

DETECTION = "detections (frame, id, left, top, width, height, score and, if at all, x, y, z)"
TRUTH = "labels (frame, id, left, top, width, height, flag, class and, if at all, visibility)"
TRACK = "tracking results (frame, id, left, top, width, height, score and, if at all, x, y, z)"
# A box beyond the border is a slip of the detector; every tenth one means that labels and image do not belong together.
OUTSIDE_SHARE = 0.1
FLAG = 1e6  # far beyond any flag or confidence
TINY = 2.0  # pixels
CLASSES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non mot vehicle", "static person"),
    *("distractor", "occluder", "occluder on ground", "occluder full", "reflection", "crowd"),
)
"""MOTChallenge's classes, from 1."""
PEDESTRIAN, OCCLUDER = 1, 9
SYNONYMS = {"person": "pedestrian", "people": "pedestrian", "pedestrians": "pedestrian", "human": "pedestrian"}
# VisDrone's columns 8 to 10: category (0 an ignored region, 1 a pedestrian), truncation, occlusion; -1 where unknown.
VISDRONE = (range(12), range(-1, 2), range(-1, 3))
log = logging.getLogger(__name__)


def read_detections(path: Path, sequence: Sequence | None = None, *, strict: bool = False) -> Detections:
    """Public detections, sorted by frame. An empty file holds none.

    Boxes without area, and those wholly outside the image, are left out, and a log message counts them. Boxes partly
    outside are kept. `sequence` gives frames and image; `strict` refuses whatever is not as the format has it.

    InputError names file, line and remedy: see `parse_rows`; frames outside the sequence; more than a tenth of the
    boxes outside the image.
    """
    rows = parse_rows(read_bytes(path, DETECTION), str(path), 6, DETECTION, strict=strict)
    _check_columns(rows, (7, 10))
    frame = _frames(rows, sequence)
    keep = ~_without_area(rows, "are left out")
    if sequence is not None and not _tiny(rows):  # shares of the image lie outside its pixels, which says too little
        keep &= ~_outside(rows, sequence)
    _log(rows)
    return Detections(**_sorted(keep, frame=frame.astype(np.int32), tlwh=rows.values[:, 2:6], score=_scores(rows)))


def read_ground_truth(path: Path, sequence: Sequence | None = None, *, strict: bool = False) -> GroundTruth:
    """Labels of every class, sorted by frame. An empty file holds none.

    MOT16 and later (MOT17, MOT20, DanceTrack) have 9 columns; where visibility is missing or no share it becomes 1.
    With 10 columns the last three are MOT15's world coordinates, and category and visibility become 1; unless the
    eighth column is a class everywhere, as TrackEval reads it, or the three are VisDrone's category, truncation and
    occlusion, of which category 1 counts. Boxes may lie outside the image, as people partly seen are labelled whole,
    and boxes without area are kept, as evaluation counts them. `strict` as of `read_detections`.

    InputError names file, line and remedy: see `parse_rows`; frames outside the sequence; an id twice in one frame, or
    negative where the row counts; classes that are none, or have other names in CVAT's `labels.txt` beside the file.
    """
    rows = parse_rows(read_bytes(path, TRUTH), str(path), 8, TRUTH, strict=strict)
    _check_columns(rows, (9, 10))
    frame = _frames(rows, sequence)
    flag = rows.values[:, 6]
    rows.refuse(~(np.abs(flag) <= FLAG), "flag {6}", "the seventh column is 1 where a row counts, else 0")
    category = _classes(rows, sequence is not None and sequence.dataset == "mot15")
    _check_names(Path(path), category)
    visibility = rows.column(8, 1.0) if rows.values.shape[1] != 10 else np.ones(len(flag))
    shown = (visibility >= 0) & (visibility <= 1)
    rows.tell(~shown, "visibility {8}", "visibility is a share from 0 to 1", "have no visibility, and 1 is taken")
    identity = _ids(rows, frame, (category == PEDESTRIAN) & (flag >= 1))
    _without_area(rows, "are kept, as evaluation counts them")
    _log(rows)
    columns = _sorted(
        np.ones(len(frame), bool),
        frame=frame.astype(np.int32),
        id=identity.astype(np.int32),
        tlwh=rows.values[:, 2:6],
        flag=flag.astype(np.float32),
        category=category.astype(np.int32),
        visibility=np.where(shown, visibility, 1.0).astype(np.float32),
    )
    return GroundTruth(**columns)


def read_tracks(path: Path, told: list[str] | None = None) -> Tracks:
    """Tracking results, sorted by frame, whatever TrackEval reads. Ids count from 0 or 1 and are kept as they are.

    Rows of another class than pedestrian (1, or -1 where there is none) are left out; boxes without area are kept, as
    TrackEval counts them. Rows of 6 columns have score 1. `told` takes the notes on the file; None: they are logged.

    InputError names file, line and remedy: see `parse_rows`; frames below 1; an id negative or twice in one frame; no
    row of class pedestrian.
    """
    return parse_tracks(read_bytes(path, TRACK), str(path), told)


def parse_tracks(data: bytes, where: str, told: list[str] | None = None) -> Tracks:
    """Tracking results from bytes, as `read_tracks`; `where` names them in messages."""
    rows = parse_rows(data, where, 6, TRACK)
    frame = _frames(rows, None)
    keep = _people(rows)
    identity = _ids(rows, frame, np.ones(len(frame), bool))
    _without_area(rows, "are kept, as TrackEval counts them")
    scores = _scores(rows)
    if told is None:
        _log(rows)
    else:
        told += rows.told
    ids, boxes = identity.astype(np.int32), rows.values[:, 2:6]
    return Tracks(**_sorted(keep, frame=frame.astype(np.int32), id=ids, tlwh=boxes, score=scores))


def format_tracks(tracks: Tracks, where: str = "tracks") -> bytes:
    """Rows of 10 columns; numbers in the shortest form that reads back as the same float.

    Boxes without area or with numbers that are not finite are left out, and a log message counts them. ValueError:
    rows that no reader would accept: frames below 1, ids below 0, an id twice in a frame.
    """
    right = np.isfinite(tracks.tlwh).all(axis=1) & np.isfinite(tracks.score) & (tracks.tlwh[:, 2:] > 0).all(axis=1)
    if not right.all():
        log.warning("%s: %d of %d boxes have no area and are not written", where, int((~right).sum()), len(right))
        tracks = replace(tracks, **{name: column[right] for name, column in vars(tracks).items()})
    if len(tracks) and (tracks.frame.min() < 1 or tracks.id.min() < 0):
        raise ValueError("tracks hold frames below 1 or ids below 0")
    if _repeated(tracks.frame, tracks.id).any():
        raise ValueError("tracks hold an id twice in one frame")
    # float32 has its own shortest form: 0.9, not 0.8999999761581421.
    score = map(str, tracks.score)
    columns = zip(tracks.frame.tolist(), tracks.id.tolist(), tracks.tlwh.tolist(), score, strict=True)
    return "".join(
        f"{frame},{id},{left!r},{top!r},{width!r},{height!r},{score},-1,-1,-1\n"
        for frame, id, (left, top, width, height), score in columns
    ).encode()


def write_tracks(path: Path, tracks: Tracks) -> None:
    """Write tracking results so that the file is whole or absent, and reads back as the same numbers.

    MsfpError: the file cannot be written. ValueError: see `format_tracks`.
    """
    atomic_write(path, format_tracks(tracks, str(path)))


def write_submission(path: Path, tracks: Mapping[str, Tracks], dataset: str) -> None:
    """Write the zip that a benchmark's server takes, from sequence name -> its tracks; equal results, equal bytes.

    InputError: a sequence of the data set is missing or another one is there, or frames and ids the server refuses.
    """
    wanted = expected(dataset, "test")
    problems = [f": {name}.txt is no result file of the data set; remove it" for name in tracks if name not in wanted]
    if lacking := [name for name in wanted if name not in tracks]:
        problems.append(f": {len(lacking)} of {len(wanted)} sequences are missing: {', '.join(lacking)}; add them")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, found in sorted(tracks.items()):
            entry = zipfile.ZipInfo(f"{name}.txt")  # without a time of its own
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, format_tracks(found))
            length, last = wanted.get(name), found.frame.max(initial=0)
            if length is not None and last > length:
                problems.append(f":{name}.txt: frame {last} of a sequence of {length} frames; remove rows beyond it")
            if np.any(found.id < 1):
                problems.append(f":{name}.txt: id {found.id.min()}; the server's ids count from 1: add 1 to every id")
    if problems:
        raise InputError(str(path) + problems[0] + (f" (and {len(problems) - 1} more)" if problems[1:] else ""))
    atomic_write(path, buffer.getvalue())


def _log(rows: Rows) -> None:
    for text in rows.told:
        log.warning("%s: %s", rows.where, text)


def _sorted(keep: Bools, **columns: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The kept rows of the columns, stably sorted by `frame`."""
    order = np.flatnonzero(keep)[np.argsort(columns["frame"][keep], kind="stable")]
    return {name: np.ascontiguousarray(column[order]) for name, column in columns.items()}


def _check_columns(rows: Rows, usual: tuple[int, ...]) -> None:
    width = rows.values.shape[1]
    if len(rows.values) and width not in usual:
        rows.form(f"{width} columns; the format has {' or '.join(map(str, usual))}", quiet=True)


def _frames(rows: Rows, sequence: Sequence | None) -> Floats:
    """(N,) frames; fractions are cut off, as TrackEval does."""
    written = rows.values[:, 0]
    frame: Floats = np.trunc(written)
    first = "frames are numbered 1, 2, 3, ..."
    rows.refuse(frame < 1, "frame {0}", first + (": add 1 to each" if np.all(frame >= 0) else ""))
    rows.tell(frame != written, "frame {0}", first, "have a fraction of a frame, which is cut off")
    if sequence is not None:
        what = f"frame {{0}} of a sequence of {sequence.length} frames"
        remedy = f"correct seqLength in {sequence.path / 'seqinfo.ini'} or remove the row"
        rows.refuse(frame > sequence.length, what, remedy)
    return frame


def _scores(rows: Rows) -> NDArray[np.float32]:
    """(N,) scores; 1 where there is none."""
    if rows.values.shape[1] < 7 and len(rows.values):
        rows.form("6 columns, so there is no score; every score is taken as 1")
    limit = float(np.finfo(np.float32).max)
    return np.clip(rows.column(6, 1.0), -limit, limit).astype(np.float32)


def _ids(rows: Rows, frame: Floats, counts: Bools) -> Floats:
    """(N,) ids; fractions are cut off, as TrackEval does."""
    written, remedy = rows.values[:, 1], "ids are whole numbers from 0 or 1"
    identity: Floats = np.trunc(written)
    rows.refuse((identity < 0) & counts, "id {1}", remedy)
    rows.tell(identity != written, "id {1}", remedy, "have a fraction of an id, which is cut off")
    repeated = _repeated(frame, identity)
    rows.refuse(repeated, "id {1} a second time in frame {0}", "an id marks one box a frame: remove one of the rows")
    return identity


def _repeated(frame: NDArray[Any], identity: NDArray[Any]) -> Bools:
    """(N,) rows whose frame and id an earlier row has already."""
    order = np.lexsort((identity, frame))
    same = (np.diff(frame[order]) == 0) & (np.diff(identity[order]) == 0)
    out = np.zeros(len(frame), bool)
    out[order[1:][same]] = True
    return out


def _tiny(rows: Rows) -> bool:
    """Every box is so small that it seems to be given in shares of the image."""
    return bool(0 < rows.values[:, 4].max(initial=0) < TINY and 0 < rows.values[:, 5].max(initial=0) < TINY)


def _without_area(rows: Rows, done: str) -> Bools:
    """(N,) boxes of no positive width and height."""
    if _tiny(rows):
        rows.form(
            "every box is smaller than two pixels, as shares of the image from 0 to 1 are: multiply left and width by "
            "the image's width, top and height by its height"
        )
    empty: Bools = np.any(rows.values[:, 4:6] <= 0, axis=1)
    remedy = "width and height are positive: remove or mend the row"
    rows.tell(empty, "box of size {4} x {5}", remedy, f"have no area and {done}")
    return empty


def _outside(rows: Rows, sequence: Sequence) -> Bools:
    """(N,) boxes without a pixel of the image; the image spans [1, width + 1) x [1, height + 1)."""
    left, top, width, height = rows.values[:, 2:6].T
    beyond = (left >= sequence.width + 1) | (top >= sequence.height + 1)
    outside: Bools = np.asarray(beyond | (left + width <= 1) | (top + height <= 1), bool)
    count, image = int(outside.sum()), f"wholly outside the {sequence.width}x{sequence.height} image"
    if count > OUTSIDE_SHARE * len(outside):
        remedy = "boxes and imWidth, imHeight in seqinfo.ini have to be of the same image size"
        rows.refuse(outside, f"box {image}", remedy)
    if count:
        line = rows.line(int(np.argmax(outside)))
        rows.told.append(f"{count} of {len(outside)} boxes lie {image} and are left out (first: line {line})")
    return outside


def _people(rows: Rows) -> Bools:
    """(N,) result rows of class pedestrian, or without a class (0, -1, world coordinates); the others are noted."""
    kind = rows.column(7, -1.0)
    other: Bools = (kind >= PEDESTRIAN + 1) & bool(np.all(kind % 1 == 0))
    if not other.any():
        return ~other
    held = f"{rows.where}: column 8 holds classes {', '.join(f'{k:g}' for k in np.unique(kind)[:8])}"
    if (kind == 0).any():
        raise InputError(f"{held}, which seem to count from 0; keep the people only, as 1")
    if other.all():
        raise InputError(
            f"{held} in all {len(other)} rows, and only pedestrians (class 1, or -1 where there is no class) are "
            "scored; write 1 where these are people"
        )
    rows.tell(other, "class {7}", "results are of pedestrians, class 1", "are of other classes than 1 and are left out")
    return ~other


def _classes(rows: Rows, world: bool) -> Floats:
    """(N,) classes of labels; 1 where the table has none, `world`: as columns 8 to 10 are world coordinates."""
    kind = rows.column(7, -1.0)
    ones = np.ones(len(kind))
    ten = rows.values.shape[1] == 10
    if not len(kind) or (world and ten):
        return ones
    if ten:
        whole = bool(np.all(kind % 1 == 0))
        columns = zip(rows.values[:, 7:10].T, VISDRONE, strict=True)
        if whole and kind.max() > 1 and all(np.isin(column, values).all() for column, values in columns):
            what = "category {7}, with truncation {8} and occlusion {9} after it, as VisDrone has them"
            remedy = "MOTChallenge's class and visibility come there: export the labels again"
            done = "are of another category than pedestrian and do not count"
            rows.tell(kind != PEDESTRIAN, what, remedy, done)
            return np.where(kind != PEDESTRIAN, OCCLUDER, ones)
        if not whole or kind.min() < 1:
            return ones
        what, remedy = "class {7} in a table of 10 columns", "tables with classes have 9"
        rows.tell(kind != PEDESTRIAN, what, remedy, "are of other classes")
    if np.all(kind == -1):
        rows.form("column 8 is -1 in every row; the class is taken as 1, pedestrian")
        return ones
    found: Floats = np.trunc(kind)
    remedy = "MOTChallenge classes are whole numbers from 1"
    rows.refuse(found < 1, "class {7}", remedy)
    rows.tell(found != kind, "class {7}", remedy, "have a fraction of a class, which is cut off")
    return found


def _check_names(path: Path, category: Floats) -> None:
    """Hold the classes of gt.txt to the names that CVAT lists in `labels.txt` beside it, where that is there."""
    listed = path.with_name("labels.txt")
    if not listed.is_file():
        return
    text = plain_text(read_bytes(listed, "names of classes"), str(listed)).decode("utf-8", "replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for number in np.unique(category.astype(int)):
        if not 1 <= number <= len(names):
            continue
        plain = names[number - 1].casefold().replace("_", " ").replace("-", " ")
        known = CLASSES[number - 1] if number <= len(CLASSES) else ""
        if SYNONYMS.get(plain, plain) != known:
            raise InputError(
                f"{listed}: class {number} is {names[number - 1]!r}, while MOTChallenge's class {number} is "
                f"{known or 'none'!r}; give the rows of {path.name} MOTChallenge's classes (pedestrian 1, car 3, ...)"
            )
