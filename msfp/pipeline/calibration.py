"""Public scores as probabilities (`scores: calibrated`): one map a detector, learned where training may look.

Scenes come back with det.txt files of the same boxes whose scores are calibrated, so that every later stage reads them
as it reads raw ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from msfp.datasets.motchallenge import read_detections, read_ground_truth
from msfp.datasets.states import is_unchanged
from msfp.errors import NotComputable
from msfp.metrics.calibration import Calibration, fit, outcomes
from msfp.metrics.rules import rules, window
from msfp.pipeline.detection_source import own_state, rescored
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.types import Scene, Sequence

CODE = ("msfp.metrics.calibration",)


@dataclass(frozen=True)
class Stretch:
    """Frames `first` to `last` of a labelled training scene, and whose evaluation rules apply there."""

    scene: Scene
    first: int
    last: int
    benchmark: str


Known = list[tuple[Stretch, Sequence]]


def calibrated(run: Run, found: tuple[Scene, ...], learn: Callable[[Scene], tuple[Stretch, ...]]) -> tuple[Scene, ...]:
    """Scenes with calibrated scores; `learn` gives what may be learned from for a scene, never what is evaluated."""
    made = tuple(_calibrated(run, scene, learn(scene)) for scene in found)
    if all(is_unchanged(s) for scene in made for s in scene.sequences):
        return made
    _calibrated.cache_clear()  # a file of boxes was altered or removed: it is written again
    return tuple(_calibrated(run, scene, learn(scene)) for scene in found)


@lru_cache(maxsize=256)
def _calibrated(run: Run, scene: Scene, learn: tuple[Stretch, ...]) -> Scene:
    made = []
    for sequence in scene.sequences:
        if sequence.det_path is not None:
            found, mapped = read_detections(sequence.det_path, sequence), calibration(run, sequence.detector, learn)
            path = rescored(run, sequence, replace(found, score=mapped(found.score)))
            sequence = own_state(replace(sequence, det_path=path))
        made.append(sequence)
    return replace(scene, sequences=tuple(made))


@lru_cache(maxsize=64)
def calibration(run: Run, detector: str, learn: tuple[Stretch, ...]) -> Calibration:
    """The map of one detector's scores to P(true positive)."""
    known = [(p, s) for p in learn for s in p.scene.sequences if s.detector == detector and s.det_path is not None]
    if not known:
        raise NotComputable(f"scores of {detector} boxes cannot be calibrated: no labelled training frames have any")
    made = _fit(run, known)
    dataset = known[0][0].scene.pixels.dataset
    run.note(
        f"Scores of {detector} boxes of {dataset} are P(true positive), calibrated on {len(known)} sequences with "
        f"{made.true} true and {made.false} false boxes; Brier score {made.before:.3f} before, {made.after:.3f} after."
    )
    return made


def _inputs(run: Run, known: Known) -> dict[str, object]:
    files = [(run.detections_digest(s), run.labels_digest(p.scene), p.first, p.last, p.benchmark) for p, s in known]
    return {"learn": files}


@stage("calibration", _inputs, CODE)
def _fit(run: Run, known: Known) -> Calibration:
    score, hit = [], []
    for part, sequence in known:
        frames = (part.first, part.last)
        truth = window(read_ground_truth(part.scene.pixels.gt_path, part.scene.pixels), frames)  # type: ignore[arg-type]
        boxes = read_detections(sequence.det_path, sequence)  # type: ignore[arg-type]
        keep = slice(*np.searchsorted(boxes.frame, [part.first, part.last + 1]))
        boxes = type(boxes)(boxes.frame[keep] - np.int32(part.first - 1), boxes.tlwh[keep], boxes.score[keep])
        judged = outcomes(truth, boxes, rules(part.benchmark))
        score.append(boxes.score[judged >= 0])
        hit.append(judged[judged >= 0])
    return fit(np.concatenate(score), np.concatenate(hit))
