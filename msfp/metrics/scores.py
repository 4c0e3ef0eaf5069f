"""The rules of a benchmark, scores as sums that add up over sequences, and TrackEval itself, fed from memory."""

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.types import GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "PersonPath22")
UNPROCESSED = ("MOT15", "DanceTrack")
CLASSES = (*range(1, 14),)
CROWD = 13
EPS = float(np.finfo(np.float64).eps)
INSIDE = 0.95  # share of a track's box within a crowd region from which it is not judged
DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection: a track on one of these is neither right nor wrong."""

Rows = TypeVar("Rows", GroundTruth, Tracks)


@dataclass(frozen=True)
class Rules:
    """TrackEval's rules for one benchmark."""

    benchmark: str
    preprocess: bool  # whether only class 1 counts and tracks on the classes `distractors` are removed
    distractors: tuple[int, ...]
    crowds: bool = False  # whether boxes of class crowd are regions in which no track is judged

    def kept(self, gt: GroundTruth) -> NDArray[np.bool_]:
        """(N,) rows of the truth that count; a flag below 1 is cut to 0, as TrackEval does."""
        flagged = gt.flag.astype(np.int64) != 0
        return flagged & (gt.category == 1) if self.preprocess else flagged

    def regions(self, gt: GroundTruth) -> NDArray[np.bool_]:
        """(N,) rows of the truth that are crowd regions and nobody in particular."""
        return (gt.category == CROWD) if self.crowds else np.zeros(len(gt), np.bool_)


def rules(benchmark: str) -> Rules:
    if benchmark not in BENCHMARKS:
        raise InputError(f"benchmark {benchmark!r}: unknown; choose one of {', '.join(BENCHMARKS)}")
    vehicles = (6,) if benchmark == "MOT20" else ()
    return Rules(benchmark, benchmark not in UNPROCESSED, DISTRACTORS + vehicles, benchmark == "PersonPath22")


def chosen_rows(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    return rows if mask.all() else replace(rows, **{name: column[mask] for name, column in vars(rows).items()})


def within_crowds(tracks: Tracks, regions: GroundTruth, length: int) -> NDArray[np.bool_]:
    """(N,) boxes that lie within a crowd region of their frame by more than `INSIDE` of their area."""
    out = np.zeros(len(tracks), np.bool_)
    begin, first = frame_bounds(tracks.frame, length), frame_bounds(regions.frame, length)
    for t in np.unique(regions.frame) - 1:
        box = tlwh_to_xyxy(tracks.tlwh[begin[t] : begin[t + 1]])[:, None]
        region = tlwh_to_xyxy(regions.tlwh[first[t] : first[t + 1]])[None]
        sides = np.minimum(box[..., 2:], region[..., 2:]) - np.maximum(box[..., :2], region[..., :2])
        area = np.prod(box[..., 2:] - box[..., :2], axis=-1)
        shared = np.prod(np.maximum(sides, 0.0), axis=-1)
        share = np.divide(shared, area, out=np.zeros_like(shared), where=area > EPS)
        out[begin[t] : begin[t + 1]] = (share > INSIDE + EPS).any(axis=1)
    return out


def window(rows: Rows, frames: tuple[int, int] | None) -> Rows:
    """Rows of the frames first..last (both included), numbered from 1 again; all rows where `frames` is None."""
    if frames is None:
        return rows
    first, last = frames
    rows = chosen_rows(rows, (rows.frame >= first) & (rows.frame <= last))
    return replace(rows, frame=rows.frame - np.int32(first - 1))


def window_length(length: int, frames: tuple[int, int] | None) -> int:
    """Number of frames evaluated; an InputError where the window is empty or leaves the sequence."""
    if frames is None:
        return length
    first, last = frames
    if not 1 <= first <= last <= length:
        raise InputError(f"frames {first}-{last}: not within the sequence's frames 1-{length}")
    return last - first + 1


def check_truth(gt: GroundTruth, length: int, chosen: Rules) -> None:
    """Raise InputError as `check_boxes`, or for a class the benchmark lacks."""
    check_boxes(gt, length, "ground truth")
    if chosen.preprocess and len(gt):
        wrong = ~np.isin(gt.category, CLASSES)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"ground truth: class {gt.category[row]} in frame {gt.frame[row]}; {chosen.benchmark} has classes "
                f"{CLASSES[0]} to {CLASSES[-1]}; evaluate with benchmark MOT15 where the labels have no classes"
            )


def check_boxes(rows: GroundTruth | Tracks, length: int, what: str) -> None:
    """Raise InputError for the first row outside the frames, identity twice in a frame, or box that is not finite."""
    frame, identity = rows.frame, rows.id
    if not len(frame):
        return
    if frame[0] < 1 or frame[-1] > length:
        outside = frame[0] if frame[0] < 1 else frame[-1]
        raise InputError(f"{what}: frame {outside} lies outside the sequence's frames 1-{length}")
    key = np.sort(frame.astype(np.int64) << 32 | (identity.astype(np.int64) & 0xFFFFFFFF))
    twice = np.flatnonzero(key[1:] == key[:-1])
    if len(twice):
        first = key[twice[0]]
        named = np.int64(first & 0xFFFFFFFF).astype(np.int32)
        raise InputError(f"{what}: identity {named} appears more than once in frame {first >> 32}; keep one box of it")
    finite = np.isfinite(rows.tlwh).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError(f"{what}: box of identity {identity[row]} in frame {frame[row]} is not finite")


ALPHAS = tuple(np.arange(0.05, 0.99, 0.05).tolist())
"""HOTA's 19 localisation thresholds, exactly the floats TrackEval uses."""

COUNTS = ("IDSW", "TP", "FP", "FN", "Frag", "MT", "PT", "ML", "IDTP", "IDFN", "IDFP")

PerAlpha = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SequenceScore:
    """Counts and averages of one sequence (or of several combined), small and picklable."""

    # (19,) each, by localisation threshold: boxes; association accuracy, recall, precision; localisation accuracy
    hota_tp: PerAlpha
    hota_fn: PerAlpha
    hota_fp: PerAlpha
    ass_a: PerAlpha
    ass_re: PerAlpha
    ass_pr: PerAlpha
    loc_a: PerAlpha
    # boxes and identity switches of CLEAR at IoU 0.5
    tp: int
    fn: int
    fp: int
    idsw: int
    # identities tracked in more than 80 %, in 20-80 %, in less than 20 % of their frames
    mt: int
    pt: int
    ml: int
    frag: int  # interruptions of identities
    frames: int  # evaluated; 0 where there is no truth or no track, as TrackEval has it
    motp_sum: float  # sum of the IoU of the CLEAR matches
    # boxes under the best one-to-one map of identities
    idtp: int
    idfn: int
    idfp: int

    @property
    def det_a_alpha(self) -> PerAlpha:
        return self.hota_tp / np.maximum(1, self.hota_tp + self.hota_fn + self.hota_fp)

    @property
    def hota_alpha(self) -> PerAlpha:
        return np.sqrt(self.det_a_alpha * self.ass_a)

    @property
    def hota(self) -> float:
        return float(np.mean(self.hota_alpha))

    @property
    def det_a(self) -> float:
        return float(np.mean(self.det_a_alpha))

    @property
    def assoc_a(self) -> float:
        return float(np.mean(self.ass_a))

    @property
    def localisation(self) -> float:
        """LocA: mean IoU of the matches, averaged over the thresholds."""
        return float(np.mean(self.loc_a))

    @property
    def mota(self) -> float:
        """Multi-object tracking accuracy; 0 where there is no truth to count against, as TrackEval has it."""
        truth = self.tp + self.fn
        return (self.tp - self.fp - self.idsw) / truth if truth else 0.0

    @property
    def motp(self) -> float:
        """Mean IoU of the CLEAR matches."""
        return self.motp_sum / max(1, self.tp)

    @property
    def idf1(self) -> float:
        """F1 of boxes under the best one-to-one map of identities."""
        return self.idtp / max(1.0, self.idtp + 0.5 * self.idfp + 0.5 * self.idfn)

    def row(self) -> dict[str, float | int]:
        """Plain numbers under the names the field prints, fractions not percent."""
        names = {"DetA": "det_a", "AssA": "assoc_a", "LocA": "localisation"}
        shown = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", *COUNTS)
        return {name: getattr(self, names.get(name, name.lower())) for name in shown}


@dataclass(frozen=True, eq=False)
class Score:
    """Scores of sequences by name, and combined: counts summed, association averaged over true positives."""

    sequences: Mapping[str, SequenceScore]
    combined: SequenceScore

    def rows(self) -> list[dict[str, str | float | int]]:
        """One plain dict a sequence, in order, and a last one named `COMBINED`."""
        named = [*self.sequences.items(), ("COMBINED", self.combined)]
        return [{"sequence": name, **score.row()} for name, score in named]


def identical(a: SequenceScore, b: SequenceScore, atol: float = 0.0) -> bool:
    """Whether two scores agree: integers exactly, floats within `atol`."""
    pairs = {column.name: (getattr(a, column.name), getattr(b, column.name)) for column in fields(SequenceScore)}
    exact = [name for name, (x, _) in pairs.items() if isinstance(x, int) or name.startswith("hota_")]
    return all(np.allclose(x, y, rtol=0, atol=0 if name in exact else atol) for name, (x, y) in pairs.items())


Floats = NDArray[np.float64]
A = len(ALPHAS)
WIDTH = 4 * A + 7
NAMES = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")


def contributions(scores: Iterable[SequenceScore]) -> Floats:
    """(S, WIDTH) per sequence: true positives, misses, false ones and AssA x true positives of every localisation
    threshold; then CLEAR's tp, fn, fp, switches and Identity's idtp, idfn, idfp."""
    rows = [
        np.concatenate(
            [s.hota_tp, s.hota_fn, s.hota_fp, s.ass_a * s.hota_tp, [s.tp, s.fn, s.fp, s.idsw, s.idtp, s.idfn, s.idfp]]
        )
        for s in scores
    ]
    return np.array(rows, np.float64).reshape(-1, WIDTH)


def measure(total: Floats, name: str) -> Floats:
    """(...,) a combined measure of summed contributions (..., WIDTH), fractions in percent."""
    tp, fn, fp, associated = (total[..., k * A : (k + 1) * A] for k in range(4))
    clear_tp, clear_fn, clear_fp, switches, idtp, idfn, idfp = np.moveaxis(total[..., 4 * A :], -1, 0)
    detection = tp / np.maximum(1, tp + fn + fp)
    association = associated / np.maximum(1, tp)
    if name == "HOTA":
        return 100 * np.sqrt(detection * association).mean(axis=-1)
    if name == "AssA":
        return 100 * association.mean(axis=-1)
    if name == "DetA":
        return 100 * detection.mean(axis=-1)
    if name == "IDF1":
        return 100 * idtp / np.maximum(1, idtp + 0.5 * idfp + 0.5 * idfn)
    if name == "MOTA":
        return 100 * (clear_tp - clear_fp - switches) / np.maximum(1, clear_tp + clear_fn)
    if name == "IDSW":
        return switches
    raise InputError(f"measure {name!r}: there are {', '.join(NAMES)}")


Raw = dict[str, Any]
ARRAYS = {name.lower(): name for name in ("HOTA_TP", "HOTA_FN", "HOTA_FP")}
ARRAYS |= {"ass_a": "AssA", "ass_re": "AssRe", "ass_pr": "AssPr", "loc_a": "LocA"}
TRACKEVAL_NAMES = {name.lower(): name for name in ("IDSW", "MT", "PT", "ML", "Frag", "IDTP", "IDFN", "IDFP")}
TRACKEVAL_NAMES |= {name.lower(): f"CLR_{name}" for name in ("TP", "FN", "FP", "Frames")}
CLASS_NAMES = (
    "pedestrian person_on_vehicle car bicycle motorbike non_mot_vehicle static_person distractor occluder "
    "occluder_on_ground occluder_full reflection crowd"
)
"""MOTChallenge's classes 1 to 13 in TrackEval's spelling."""


def evaluate(
    gt: GroundTruth, tracks: Tracks, length: int, *, benchmark: str = "MOT17", frames: tuple[int, int] | None = None
) -> SequenceScore:
    """Score one tracker on one sequence with TrackEval; truth (every class) and tracks in file coordinates.

    `benchmark`: whose preprocessing applies: MOT16, MOT17 and MOT20 remove tracks on distractors and keep pedestrians;
    PersonPath22 besides removes tracks within crowds; MOT15 and DanceTrack keep everything that is flagged. `frames`:
    first and last frame to evaluate (validation halves); what lies outside is cut away.
    Raises InputError: unknown benchmark, frames outside the sequence, an identity twice in a frame, unknown classes.
    """
    chosen = rules(benchmark)
    span = window_length(length, frames)
    gt, tracks = window(gt, frames), window(tracks, frames)
    check_truth(gt, span, chosen)
    check_boxes(tracks, span, "tracks")
    # Frames without any box change no count but that of the frames, and there may be a million of them.
    filled = np.union1d(gt.frame, tracks.frame)
    gt = replace(gt, frame=(np.searchsorted(filled, gt.frame) + 1).astype(np.int32))
    tracks = replace(tracks, frame=(np.searchsorted(filled, tracks.frame) + 1).astype(np.int32))
    dataset_classes, metrics = trackeval_classes()
    dataset = dataset_classes[chosen.crowds](gt, tracks, len(filled), chosen)
    raw = dataset.get_raw_seq_data("tracks", "sequence")
    data = dataset.get_preprocessed_seq_data(raw, "pedestrian")
    score = _from_results(metric().eval_sequence(data) for metric in metrics)
    return replace(score, frames=span if score.frames else 0)


def combine(scores: Mapping[str, SequenceScore]) -> Score:
    """Combine stored scores as TrackEval's COMBINED row does. Raises InputError: no scores."""
    if not scores:
        raise InputError("scores: nothing to combine; evaluate at least one sequence")
    _, metrics = trackeval_classes()
    names = ARRAYS | TRACKEVAL_NAMES | {"motp_sum": "MOTP_sum"}
    numbered = enumerate(scores.values())
    parts = {str(k): {theirs: getattr(s, ours) for ours, theirs in names.items()} for k, s in numbered}
    return Score(dict(scores), _from_results(metric().combine_sequences(parts) for metric in metrics))


def _from_results(results: Iterable[Raw]) -> SequenceScore:
    """TrackEval's result dicts of the three metrics -> score."""
    found: Raw = {name: value for result in results for name, value in result.items()}
    columns: Raw = {ours: np.array(found[theirs], dtype=np.float64) for ours, theirs in ARRAYS.items()}
    columns |= {ours: int(found[theirs]) for ours, theirs in TRACKEVAL_NAMES.items()}
    return SequenceScore(**columns, motp_sum=float(found["MOTP_sum"]))


@cache
def trackeval_classes() -> tuple[dict[bool, Callable[..., Any]], tuple[Callable[[], Any], ...]]:
    """In-memory data sets, without and with crowd regions, and constructors of HOTA, CLEAR and Identity.

    Imported at first use, quietly.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        from trackeval.datasets import MotChallenge2DBox, PersonPath22
        from trackeval.metrics import CLEAR as Clear
        from trackeval.metrics import HOTA as Hota
        from trackeval.metrics import Identity

    class InMemory:
        """Data held in arrays: no folders, the rest is TrackEval's."""

        def __init__(self, gt: GroundTruth, tracks: Tracks, length: int, chosen: Rules) -> None:
            everything: Raw = self.get_default_dataset_config()  # type: ignore[attr-defined]
            self.config = everything | {"BENCHMARK": chosen.benchmark, "PRINT_CONFIG": False}
            self.benchmark = chosen.benchmark
            self.do_preproc = chosen.preprocess
            self.class_name_to_class_id = {name: k for k, name in enumerate(CLASS_NAMES.split(), start=1)}
            self.valid_class_numbers = list(self.class_name_to_class_id.values())
            regions = chosen.regions(gt)
            self.rows = chosen_rows(gt, ~regions), chosen_rows(gt, regions), tracks
            self.length = length

        def _load_raw_file(self, tracker: str, seq: str, is_gt: bool) -> Raw:
            gt, regions, tracks = self.rows  # identities are numbered densely, their order kept
            raw: Raw = {"num_timesteps": self.length, "seq": seq}
            if not is_gt:
                cut = _cutter(tracks.frame, self.length)
                return raw | {
                    "tracker_ids": cut(np.unique(tracks.id, return_inverse=True)[1]),
                    "tracker_classes": cut(np.ones(len(tracks), dtype=np.int64)),
                    "tracker_dets": cut(tracks.tlwh),
                    "tracker_confidences": cut(tracks.score.astype(np.float64)),
                }
            cut = _cutter(gt.frame, self.length)
            return raw | {
                "gt_ids": cut(np.unique(gt.id, return_inverse=True)[1]),
                "gt_classes": cut(gt.category.astype(np.int64)),
                "gt_dets": cut(gt.tlwh),
                "gt_extras": [{"zero_marked": flags} for flags in cut(gt.flag.astype(np.int64))],
                "gt_crowd_ignore_regions": _cutter(regions.frame, self.length)(regions.tlwh),
            }

    quiet = {"PRINT_CONFIG": False}
    datasets: dict[bool, Callable[..., Any]] = {
        False: type("Mot", (InMemory, MotChallenge2DBox), {}),
        True: type("Pp", (InMemory, PersonPath22), {}),
    }
    return datasets, (lambda: Hota(), lambda: Clear(dict(quiet)), lambda: Identity(dict(quiet)))


def _cutter(frame: NDArray[np.int32], length: int) -> Callable[[NDArray[Any]], list[NDArray[Any]]]:
    """Function that cuts a column into one array a frame."""
    bounds = frame_bounds(frame, length)
    return lambda column: [column[bounds[t] : bounds[t + 1]] for t in range(length)]
