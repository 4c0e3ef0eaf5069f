"""Stage 3b: ATL taught by searched thresholds or otherwise, and what it predicts (section 3.3, A.2, A.5)."""

from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from typing import Literal

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


@dataclass(frozen=True)
class Threshold:
    """Which thresholds a method applies."""

    # `default` (the tracker's own), `fixed`, `grid` (the searched optimum of the same scene's learning part), `oracle`
    # (searched on the evaluated frames themselves; an upper bound), `atl`, or `policy` (a registered rule that sees
    # only scores)
    kind: Literal["default", "fixed", "grid", "oracle", "atl", "policy"] = "default"
    high: float = 0.6  # of `fixed`; equal for a single threshold
    low: float = 0.1
    mode: Mode = "single"  # of `grid`, `oracle` and `atl`
    temporal: Literal["ema", "frame", "sequence"] | None = None  # smoothing of `atl`; None: the run's setting
    learn: tuple[Part, ...] = ()  # learning parts of `grid` and `atl`
    seed: int = 0  # of `atl`
    joint: bool = False  # take ATL from joint fine-tuning (offset mode only)
    policy: str = ""  # name of the rule of `policy`
    supervision: Supervision = "grid"  # what taught `atl`
    changes: Changes = ()  # settings of `atl` that differ from the run's, as (name, value)


TRACKERS_OWN = Threshold()


def atl_settings(run: Run, changes: Changes = ()) -> AtlSettings:
    """The run's settings of ATL with changes, checked."""
    if not changes:
        return run.settings.atl
    return AtlSettings.model_validate({**run.settings.atl.model_dump(), **dict(changes)})


def of_training(changes: Changes) -> Changes:
    """Those of the changes that training depends on: how an offset is read is not among them."""
    return tuple((name, value) for name, value in changes if name != "offset")


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


def sequence_targets(run: Run, rule: Threshold, detector: str) -> dict[Part, NDArray[np.float32]]:
    """(k,) target of each learning part that has this detector: searched with labels, or from scores or tracks."""
    if rule.supervision == "grid":
        return {part: outcome.best for part, outcome in targets(run, rule.learn, detector, rule.mode).items()}
    found = {}
    for part, sequence in having(rule.learn, detector):
        boxes = data.window(data.detections(sequence), part)
        if rule.supervision == "statistics":
            value = statistics_target(run.settings.atl, boxes)
        else:
            value = consistency_target(run.settings.atl, boxes, part.length, sequence.fps)
        found[part] = np.array([value], np.float32)
    return found


def atl_inputs(run: Run, rule: Threshold, detector: str) -> dict[str, object]:
    """List what a trained ATL depends on: beside its settings all that its grid search depends on."""
    searched = rule.supervision == "grid"
    inputs: dict[str, object] = {
        "code": code_digest(*ATL_CODE, *(GRID_CODE if searched else TAUGHT_CODE)),
        "supervision": rule.supervision,
        "detector": detector,
        "detections": [run.detections_digest(s) for _, s in having(rule.learn, detector)],
        "mode": rule.mode,
        "seeds": together(run, rule.seed),
        "atl": atl_settings(run, rule.changes).model_dump(exclude={"beta", "temporal", "offset"}),
    }
    if searched:
        return {**inputs, "search": search_inputs(run, rule.learn)}
    learn = [(feature_inputs(run, p.scene, ""), p.first, p.last) for p in rule.learn]
    return {**inputs, "learn": learn, "training": run.settings.training}


@stage("atl", atl_inputs, ATL_CODE, memory=512)
def train_atl(run: Run, rule: Threshold, detector: str) -> list[Fitted]:
    """ATL of all seeds that train with the rule's, for one public detector: each one's scores have their own range.

    Searched offsets, MSFP-Track's thresholds, are fine-tuned jointly right after: `Fitted.joint`.
    """
    atl, training, seeds = atl_settings(run, rule.changes), run.settings.training, together(run, rule.seed)
    if rule.supervision == "idf1":
        from msfp.heads.surrogate import fit_surrogate

        stretches = [clip for part, sequence in having(rule.learn, detector) for clip in clips(run, part, sequence)]
        if not stretches:
            raise _unlearned(rule.learn, detector)
        return [fit_surrogate(stretches, atl, training, one) for one in seeds]
    chosen = sequence_targets(run, rule, detector)
    if not chosen:
        raise _unlearned(rule.learn, detector)
    scene = np.concatenate([scene_vectors(run, part) for part in chosen])
    target = np.concatenate([np.repeat(best[None], part.length, axis=0) for part, best in chosen.items()])  # eq. 9
    joint = rule.mode == "offset" and rule.supervision == "grid" and not rule.changes
    return fit_threshold(rule.mode, scene, target, atl, training, seeds, joint=joint)


def atl_state(run: Run, rule: Threshold, detector: str, mode: Mode) -> Fitted:
    """The encoder that predicts `mode`, as trained alone, or after joint fine-tuning."""
    data.need_pixels(rule.learn)
    joint, seeds = rule.joint and mode == "offset", together(run, rule.seed)
    taught = Threshold("atl", mode=mode, learn=rule.learn, seed=seeds[0])
    if not joint:
        taught = replace(taught, supervision=rule.supervision, changes=of_training(rule.changes))
    found = train_atl(run, taught, detector)[seeds.index(rule.seed)]
    if not joint:
        return found
    assert found.joint is not None, "searched offsets are fine-tuned"
    return found.joint


def atl_rule(run: Run, rule: Threshold, detector: str) -> tuple[Mode, float, dict[str, NDArray[np.float32]]]:
    """What the encoder predicts, what a centred offset is relative to, and the encoder's state."""
    mode, center = rule.mode, 0.0
    if mode == "offset" and atl_settings(run, rule.changes).offset == "centered":
        mode = "single"
        center = float(np.mean([s.best[0] for s in targets(run, rule.learn, detector, "single").values()]))
    return mode, center, atl_state(run, rule, detector, mode).state
