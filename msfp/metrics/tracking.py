"""Tracking scores from TrackEval's own HOTA, CLEAR and Identity classes, in memory, without files.

The dataset class is TrackEval's MotChallenge2DBox with the reading replaced, so matching, removal of distractors and
all measures are the official code. `msfp.metrics.fast` gives the same numbers where thousands of evaluations are
needed.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.metrics.rules import Rules, check_boxes, check_truth, chosen_rows, rules, window, window_length
from msfp.metrics.score import Score, SequenceScore
from msfp.types import GroundTruth, Tracks, frame_bounds

Raw = dict[str, Any]
ARRAYS = {name.lower(): name for name in ("HOTA_TP", "HOTA_FN", "HOTA_FP")}
ARRAYS |= {"ass_a": "AssA", "ass_re": "AssRe", "ass_pr": "AssPr", "loc_a": "LocA"}
COUNTS = {name.lower(): name for name in ("IDSW", "MT", "PT", "ML", "Frag", "IDTP", "IDFN", "IDFP")}
COUNTS |= {name.lower(): f"CLR_{name}" for name in ("TP", "FN", "FP", "Frames")}
CLASS_NAMES = (
    "pedestrian person_on_vehicle car bicycle motorbike non_mot_vehicle static_person distractor occluder "
    "occluder_on_ground occluder_full reflection crowd"
)
"""MOTChallenge's classes 1 to 13 in TrackEval's spelling."""


def evaluate(
    gt: GroundTruth, tracks: Tracks, length: int, *, benchmark: str = "MOT17", frames: tuple[int, int] | None = None
) -> SequenceScore:
    """Score one tracker on one sequence with TrackEval.

    Args:
        gt: truth in file coordinates, every class.
        tracks: the tracker's boxes in file coordinates.
        length: frames of the sequence.
        benchmark: whose preprocessing applies: MOT16, MOT17 and MOT20 remove tracks on distractors and keep
            pedestrians; PersonPath22 besides removes tracks within crowds; MOT15 and DanceTrack keep everything that
            is flagged.
        frames: first and last frame to evaluate (validation halves); what lies outside is cut away.

    Raises:
        InputError: unknown benchmark, frames outside the sequence, an identity twice in a frame, unknown classes.
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
    """Combine sequences as TrackEval's COMBINED row does; works from stored scores, without truth or tracks.

    Raises:
        InputError: no scores.
    """
    if not scores:
        raise InputError("scores: nothing to combine; evaluate at least one sequence")
    _, metrics = trackeval_classes()
    names = ARRAYS | COUNTS | {"motp_sum": "MOTP_sum"}
    parts = {
        str(k): {theirs: getattr(s, ours) for ours, theirs in names.items()} for k, s in enumerate(scores.values())
    }
    return Score(dict(scores), _from_results(metric().combine_sequences(parts) for metric in metrics))


def _from_results(results: Iterable[Raw]) -> SequenceScore:
    """TrackEval's result dicts of the three metrics -> score."""
    found: Raw = {name: value for result in results for name, value in result.items()}
    columns: Raw = {ours: np.array(found[theirs], dtype=np.float64) for ours, theirs in ARRAYS.items()}
    columns |= {ours: int(found[theirs]) for ours, theirs in COUNTS.items()}
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
