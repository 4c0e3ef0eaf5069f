"""Stage 3b: ATL taught by searched thresholds or otherwise, and what it predicts (section 3.3, A.2, A.5)."""

from collections.abc import Sequence as ListLike

import numpy as np
from numpy.typing import NDArray

from msfp.config import AtlSettings
from msfp.engine.code import code_digest
from msfp.errors import NotComputable
from msfp.heads.threshold import Mode
from msfp.heads.training import Fitted, fit_threshold
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import feature_inputs, scene_vectors
from msfp.pipeline.heads import together
from msfp.pipeline.run import Run
from msfp.pipeline.search import GRID_CODE, detectors_of, having, search_inputs, targets
from msfp.pipeline.stage import stage
from msfp.pipeline.supervision import SUPERVISION_CODE, Supervision, clips, consistency_target, statistics_target

ATL_CODE = ("msfp.heads.threshold", "msfp.heads.training", "msfp.tracking.thresholds.rules")
TAUGHT_CODE = (*SUPERVISION_CODE, "msfp.pipeline.supervision")
Changes = tuple[tuple[str, object], ...]  # settings of ATL other than the run's


def atl_settings(run: Run, changes: Changes = ()) -> AtlSettings:
    """The run's settings of ATL with changes, checked."""
    if not changes:
        return run.settings.atl
    return AtlSettings.model_validate({**run.settings.atl.model_dump(), **dict(changes)})


def of_training(changes: Changes) -> Changes:
    """Those of the changes that training depends on: how an offset is read is not among them."""
    return tuple((name, value) for name, value in changes if name != "offset")


def atl_training_set(
    run: Run, learn: ListLike[Part], detector: str, mode: Mode, supervision: Supervision = "grid"
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """(T, C) scene vectors of the learning frames and (T, k) target of each frame's sequence (eq. 9)."""
    chosen = sequence_targets(run, learn, detector, mode, supervision)
    if not chosen:
        raise _unlearned(learn, detector)
    scene = [scene_vectors(run, part) for part in chosen]
    target = [np.repeat(best[None], part.length, axis=0) for part, best in chosen.items()]
    return np.concatenate(scene), np.concatenate(target)


def _unlearned(learn: ListLike[Part], detector: str) -> NotComputable:
    """Say why ATL cannot be had for a detector, and what to do."""
    there = ", ".join(detectors_of(learn)) or "none"
    remedy = "or take a threshold that is not learned, such as `--threshold default`"
    if detector == "public":
        ending = next((name for name in detectors_of(learn) if name != "public"), "SDP")
        return NotComputable(
            "ATL is learned for each detector apart, and the sequence's name does not end in one; learned are: "
            f"{there}. Rename its folder to NAME-{ending} where those are its boxes, {remedy}"
        )
    return NotComputable(
        f"ATL is learned for each detector apart, and no learning sequence's name ends in -{detector}; learned are: "
        f"{there}. Add sequences NAME-{detector} with labels to learn from, {remedy}"
    )


def sequence_targets(
    run: Run, learn: ListLike[Part], detector: str, mode: Mode, supervision: Supervision
) -> dict[Part, NDArray[np.float32]]:
    """(k,) target of each learning part that has this detector: searched with labels, or from scores or tracks."""
    if supervision == "grid":
        return {part: outcome.best for part, outcome in targets(run, learn, detector, mode).items()}
    found = {}
    for part, sequence in having(learn, detector):
        boxes = data.window(data.detections(sequence), part)
        if supervision == "statistics":
            value = statistics_target(run.settings.atl, boxes)
        else:
            value = consistency_target(run.settings.atl, boxes, part.length, sequence.fps)
        found[part] = np.array([value], np.float32)
    return found


def atl_inputs(
    run: Run,
    learn: tuple[Part, ...],
    detector: str,
    mode: Mode,
    seeds: tuple[int, ...],
    supervision: Supervision,
    changes: Changes,
) -> dict[str, object]:
    """List what a trained ATL depends on: beside its settings all that its grid search depends on."""
    taught: dict[str, object] = {"code": code_digest(*ATL_CODE, *(GRID_CODE if supervision == "grid" else TAUGHT_CODE))}
    if supervision == "grid":
        taught["search"] = search_inputs(run, learn)
    else:
        taught["learn"] = [(feature_inputs(run, p.scene, ""), p.first, p.last) for p in learn]
        taught["training"] = run.settings.training
    return {
        "supervision": supervision,
        "detector": detector,
        "detections": [run.detections_digest(s) for _, s in having(learn, detector)],
        "mode": mode,
        "seeds": seeds,
        "atl": atl_settings(run, changes).model_dump(exclude={"beta", "temporal", "offset"}),
        **taught,
    }


@stage("atl", atl_inputs, ATL_CODE, memory=512)
def _train_seeds(
    run: Run,
    learn: tuple[Part, ...],
    detector: str,
    mode: Mode,
    seeds: tuple[int, ...],
    supervision: Supervision,
    changes: Changes,
) -> list[Fitted]:
    atl, training = atl_settings(run, changes), run.settings.training
    if supervision == "idf1":
        from msfp.heads.surrogate import fit_surrogate

        stretches = [clip for part, sequence in having(learn, detector) for clip in clips(run, part, sequence)]
        if not stretches:
            raise _unlearned(learn, detector)
        return [fit_surrogate(stretches, atl, training, one) for one in seeds]
    scene, target = atl_training_set(run, learn, detector, mode, supervision)
    joint = mode == "offset" and supervision == "grid" and not changes
    return fit_threshold(mode, scene, target, atl, training, seeds, joint=joint)


def train_atl(
    run: Run,
    learn: tuple[Part, ...],
    detector: str,
    mode: Mode,
    seed: int,
    supervision: Supervision = "grid",
    changes: Changes = (),
) -> Fitted:
    """ATL for one public detector, as each detector's scores have a range of their own.

    Searched offsets, MSFP-Track's thresholds, are fine-tuned jointly right after: `Fitted.joint`.
    """
    data.need_pixels(learn)
    seeds = together(run, seed)
    return _train_seeds(run, learn, detector, mode, seeds, supervision, changes)[seeds.index(seed)]
