"""Stage 4: tracks of a method on a part's detections, from cached features and thresholds."""

import contextlib
from collections.abc import Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.heads.apply import predict
from msfp.pipeline import data
from msfp.pipeline.bounds import BOUNDS
from msfp.pipeline.camera import part_warps, scene_warps
from msfp.pipeline.data import Part
from msfp.pipeline.embeddings import embeddings
from msfp.pipeline.features import pooled, scene_vectors
from msfp.pipeline.heads import Appearance, box_inputs, head_inputs
from msfp.pipeline.joint import JOINT, embedding_inputs, joint_embeddings, seen
from msfp.pipeline.on_demand_pooler import pooler_of
from msfp.pipeline.recovery import Recovery, decider, train_recovery, wrap
from msfp.pipeline.run import Run
from msfp.pipeline.search import member, per_frame, search, targets
from msfp.pipeline.selection import Subject, options_for, select_all
from msfp.pipeline.stage import stage
from msfp.pipeline.thresholds import TRACKERS_OWN, atl_rule, atl_settings
from msfp.pipeline.thresholds import Threshold as Threshold
from msfp.pipeline.thresholds import atl_state as atl_state
from msfp.tracking import make, thresholds, track
from msfp.tracking.run import frame_by_frame, gather, gathered
from msfp.types import Detections, Sequence, Tracks

TRACK_CODE = ("msfp.tracking",)
SAME_ASSOCIATION = {"msfp-track": "msfp-attention"}
"""Trackers that differ in thresholds alone, so that one selection serves both and a table compares thresholds only."""


@dataclass(frozen=True)
class Method:
    """One row of a tracking table."""

    label: str  # the row's name
    tracker: str  # registered tracker
    look: Appearance | None = None  # its embedding; None for motion only
    threshold: Threshold = TRACKERS_OWN  # its thresholds
    options: tuple[tuple[str, object], ...] = ()  # tracker settings beyond the defaults, as (name, value)
    camera: str = "none"  # how camera motion is compensated: `none`, `ecc` or `sparse-flow`
    # what is tracked: `public` detections, or those of the jointly trained network (private ones)
    boxes: Literal["public", "joint"] = "public"
    # the decision that looks again for tracks without a detection, which adds boxes; None: none
    recovery: Recovery | None = None
    # learning parts on which settings that the paper leaves open are selected; empty: all are as released
    learn: tuple[Part, ...] = ()


Item = tuple[Sequence, Method, NDArray[np.float32] | None]


def subject_of(method: Method) -> Subject:
    """For whom the method's open settings are selected: rows that differ in thresholds or recovery share them."""
    tracker = SAME_ASSOCIATION.get(method.tracker, method.tracker)
    rule = method.threshold.policy
    own = thresholds.policies()[rule].options if rule else ()  # they go with the threshold
    fixed = tuple(pair for pair in method.options if pair not in own)
    return Subject(tracker, method.look, method.camera, fixed, method.learn)


def settled(run: Run, method: Method) -> Method:
    """The method with all settings of its tracker as the run's `tuning` has them."""
    if not method.learn or method.boxes == JOINT:
        return method
    found = {**dict(options_for(run, subject_of(method))), **dict(method.options)}
    return replace(method, options=tuple(sorted(found.items())), learn=())


def settled_as(run: Run, methods: Iterable[Method], model: Method) -> list[Method]:
    """Methods with the settings that are selected for another one, so that an ablation changes one thing alone.

    Where those cannot be selected, neither can the methods' own on the same learning parts: their cells then say why.
    """
    given = list(methods)
    select_all(run, [subject_of(model)])
    try:
        options = settled(run, model).options
    except NotComputable:
        return [replace(m, learn=model.learn) for m in given]
    return [replace(m, options=tuple(sorted({**dict(options), **dict(m.options)}.items())), learn=()) for m in given]


def tracks(run: Run, part: Part, sequence: Sequence, method: Method) -> Tracks:
    """Tracks of one sequence's part, frames numbered from the part's first."""
    return _track(run, part, *_item(run, part, sequence, method))


def recover_all(part: Part, run: Run, methods: Iterable[Method]) -> None:
    """Tracks of methods with recovery on all sequences of a part in one pass over its frames; then in the store."""
    todo = []
    for method in methods:
        for sequence in data.sequences(part):
            with contextlib.suppress(NotComputable):  # whoever needs it says so in its cells
                item = _item(run, part, sequence, method)
                if not _track.is_stored(run, part, *item):
                    todo.append(item)
    if todo:
        for item, found in zip(todo, _recover_together(run, part, todo), strict=True):
            _track.keep(run, lambda found=found: found, part, *item)  # type: ignore[misc]


def _item(run: Run, part: Part, sequence: Sequence, method: Method) -> Item:
    """A sequence, how it is tracked, and the thresholds of its frames."""
    method = settled(run, method)
    if sequence.det_path is None:
        raise NotComputable(f"{sequence.name} has no det/det.txt")
    if method.look is not None and method.look.strategy not in BOUNDS:
        data.need_pixels((part, *method.look.learn))
    return sequence, method, frame_thresholds(run, part, sequence, method)


def _inputs(
    run: Run, part: Part, sequence: Sequence, method: Method, taus: NDArray[np.float32] | None
) -> dict[str, object]:
    own = method.boxes == JOINT
    inputs: dict[str, object] = {
        "detections": seen.key(run, part) if own else run.detections_digest(sequence),
        "part": (part.first, part.last),
        "fps": sequence.fps,
        "tracker": method.tracker,
        "options": dict(method.options),
        "thresholds": taus,
        "look": None,
    }
    if method.look is not None and own:
        inputs["look"] = embedding_inputs(run, method.look)
    elif method.look is not None:
        features = box_inputs(run, part.scene, method.look)
        inputs["look"] = {"head": head_inputs(run, method.look), "joint": method.look.joint, "features": features}
    if method.camera != "none":
        data.need_pixels((part,))
        inputs["camera"] = scene_warps.key(run, part.scene, method.camera)
    if method.recovery is not None:
        data.need_pixels((part, *method.recovery.learn))
        inputs["recovery"] = {
            "decision": train_recovery.key(run, method.recovery),
            "features": pooled.key(run, part.scene),
            "longest": run.settings.recovery.longest,
        }
    return inputs


def _recover_together(run: Run, part: Part, items: ListLike[Item]) -> list[Tracks]:
    """Several methods with recovery, frame by frame, so that they share each frame's maps."""
    with pooler_of(run, part) as look:
        streams = []
        for sequence, method, taus in items:
            assert method.recovery is not None
            found, vectors, warps = material(run, part, sequence, method)
            tracker = make(method.tracker, fps=sequence.fps, **dict(method.options))
            driven = wrap(run, part, tracker, look, decider(run, method.recovery))
            given = gather(driven, found, part.length, vectors, taus, warps=warps)
            streams.append(frame_by_frame(driven, given, 1))
        frames = list(zip(*streams, strict=True))
    return [gathered([outputs[i] for outputs in frames]) for i in range(len(items))]


@stage("tracks", _inputs, TRACK_CODE)
def _track(run: Run, part: Part, sequence: Sequence, method: Method, taus: NDArray[np.float32] | None) -> Tracks:
    if method.recovery is not None:
        return _recover_together(run, part, [(sequence, method, taus)])[0]
    found, vectors, warps = material(run, part, sequence, method)
    tracker = make(method.tracker, fps=sequence.fps, **dict(method.options))
    return track(tracker, found, part.length, vectors, taus, warps=warps)


def material(
    run: Run, part: Part, sequence: Sequence, method: Method
) -> tuple[Detections, NDArray[np.float32] | None, NDArray[np.float64] | None]:
    """What a method tracks: a part's detections, their embeddings, camera motion; None what it does not use."""
    if method.boxes == JOINT:
        found = seen(run, part).detections
        vectors = joint_embeddings(run, part, method.look) if method.look else None
    else:
        found = data.window(data.detections(sequence), part)
        vectors = embeddings(run, part, sequence.detector, method.look) if method.look else None
    warps = None if method.camera == "none" else part_warps(run, part, method.camera)
    return found, vectors, warps


def frame_thresholds(run: Run, part: Part, sequence: Sequence, method: Method) -> NDArray[np.float32] | None:
    """(T, 2) tau_high and tau_low of each frame; None leaves the tracker's own."""
    rule = method.threshold
    if rule.kind == "default":
        return None
    if rule.kind == "fixed":
        return thresholds.fixed(rule.high, rule.low, part.length)
    if rule.kind == "policy":
        atl = run.settings.atl
        policy = thresholds.make_policy(rule.policy, low=atl.tau_min, high=atl.tau_max)
        return thresholds.follow(policy, data.window(data.detections(sequence), part), part.length)
    if rule.kind == "atl":
        return atl_thresholds(run, part, sequence.detector, rule)
    if rule.kind == "oracle":
        look = method.look and replace(method.look, joint=False)
        best = search(run, part, sequence, rule.mode, look, method.tracker, method.options).best
        return per_frame(run, rule.mode, np.repeat(best[None], part.length, axis=0))
    same = next((p for p in rule.learn if p.scene.name == part.scene.name), None)  # `grid`
    if same is None:
        raise NotComputable(f"{part.scene.name} has no learning part to search on")
    if method.look is None:
        found = member(same, sequence.detector)
        best = search(run, same, found, rule.mode, None, method.tracker, method.options).best
    else:
        best = targets(run, rule.learn, sequence.detector, rule.mode)[same].best
    return per_frame(run, rule.mode, np.repeat(best[None], part.length, axis=0))


def atl_thresholds(run: Run, part: Part, detector: str, rule: Threshold) -> NDArray[np.float32]:
    """(T, 2) thresholds that ATL predicts on a part (eqs. 6-8), of the encoder trained for this detector."""
    atl = atl_settings(run, rule.changes)
    mode, center, state = atl_rule(run, rule, detector)
    raw = predict(mode, scene_vectors(run, part), state, atl)
    return per_frame(run, rule.mode, thresholds.smooth(raw, rule.temporal or atl.temporal, atl.beta), center)
