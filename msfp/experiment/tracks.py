"""Stage 4: tracks of a method on a part's detections, from cached features and thresholds."""

import contextlib
from collections.abc import Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.parallel import Bar
from msfp.errors import NotComputable
from msfp.experiment import data, passes
from msfp.experiment.data import Part
from msfp.experiment.features import FEATURE_CODE, feature_inputs, pooled, scene_vectors
from msfp.experiment.heads import (
    ATTENTION,
    BOUNDS,
    Appearance,
    box_inputs,
    embeddings,
    head_inputs,
    train_head,
    train_heads,
)
from msfp.experiment.passes import JOINT, OnDemandPooler, pooler_of
from msfp.experiment.run import Run, stage
from msfp.experiment.selection import Subject, options_for, select_all
from msfp.experiment.thresholds import (
    TRACKERS_OWN,
    Threshold,
    atl_rule,
    atl_settings,
    member,
    per_frame,
    search,
    targets,
)
from msfp.heads.fusion import FusionHead
from msfp.heads.recovery import Cases, RecoveryNet, decide, fit_recovery
from msfp.heads.training import Fitted, embed, predict, restore, restore_head
from msfp.tracking import Tracker, frame_by_frame, gather, gathered, make, recovery, thresholds, track
from msfp.tracking.costs import iou
from msfp.tracking.recovery import HISTORY, PLACE, TOKENS, Decide, Proposals, Recovered
from msfp.types import Detections, GroundTruth, Sequence, Tracks, tlwh_to_xyxy

COPIES = 2  # thinnings of each public detector's boxes
GAP_BEGINS, GAP_FRAMES = 0.04, 8  # a person's detections are dropped so often a frame, for at most so many
SAME = 0.5  # IoU from which a box is a person's
OWN_CODE = tuple(code_digest(name, follow=False) for name in (__name__, "msfp.experiment.passes"))
RECOVERY_CODE = (*OWN_CODE, "msfp.heads.recovery", "msfp.tracking", *FEATURE_CODE)


@dataclass(frozen=True)
class Recovery:
    """Which decision."""

    learn: tuple[Part, ...]
    seed: int = 0  # its appearance's too

    @property
    def look(self) -> Appearance:
        return Appearance(ATTENTION, self.learn, self.seed)


class Expert:
    """Decides by the labels, and writes down what it saw and chose."""

    def __init__(self, truth: GroundTruth) -> None:
        rows = truth.pedestrian
        self.frame, self.id, self.box = truth.frame[rows], truth.id[rows], corners(truth.tlwh[rows])
        self.seen: list[Proposals] = []
        self.chosen: list[NDArray[np.int64]] = []

    def __call__(self, proposals: Proposals) -> NDArray[np.float32]:
        """(K, 2 + NEIGHBOURS) with a 1 at what is right."""
        choice = np.array([self._choice(proposals, k) for k in range(len(proposals))], np.int64)
        self.seen.append(proposals)
        self.chosen.append(choice)
        return np.eye(2 + recovery.NEIGHBOURS, dtype=np.float32)[choice]

    def _choice(self, proposals: Proposals, k: int) -> int:
        here = slice(*np.searchsorted(self.frame, (proposals.last_frame[k], proposals.last_frame[k] + 1)))
        was = iou(proposals.last_box[k][None], self.box[here])[0]
        if not len(was) or was.max() < SAME:
            return recovery.MISSED
        person = self.id[here][was.argmax()]
        now = slice(*np.searchsorted(self.frame, (proposals.frame, proposals.frame + 1)))
        found = self.box[now][self.id[now] == person]
        if not len(found):
            return recovery.MISSED
        predicted = iou(proposals.boxes[k][None], found)[0, 0]
        neighbours = proposals.neighbour_boxes[k]
        beside = np.where(proposals.detection[k] >= 0, iou(neighbours, found)[:, 0], 0.0)
        best = int(beside.argmax())
        if beside[best] >= SAME and (beside[best] >= predicted or proposals.taken[k, best]):
            return recovery.FIRST_NEIGHBOUR + best
        return recovery.AT_PREDICTION if predicted >= SAME else recovery.MISSED


def thinned(found: Detections, truth: GroundTruth, rng: np.random.Generator) -> Detections:
    """Detections without those of some people over some frames."""
    kept = np.ones(len(found), np.bool_)
    boxes, people = corners(found.tlwh), truth.pedestrian
    for person in np.unique(truth.id[people]):
        rows = np.flatnonzero(people & (truth.id == person))
        begins = rng.random(len(rows)) < GAP_BEGINS
        lengths = rng.integers(1, GAP_FRAMES + 1, len(rows))
        for start in np.flatnonzero(begins):
            for row in rows[start : start + lengths[start]]:
                here = slice(*np.searchsorted(found.frame, (truth.frame[row], truth.frame[row] + 1)))
                box = corners(truth.tlwh[row][None])
                kept[here] &= iou(box, boxes[here])[0] < SAME
    return Detections(found.frame[kept], found.tlwh[kept], found.score[kept])


def corners(tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 4) xyxy, contiguous as the kernels want it."""
    return np.ascontiguousarray(tlwh_to_xyxy(tlwh), np.float64)


def wrap(run: Run, part: Part, tracker: Tracker, look: OnDemandPooler, choose: Decide) -> Recovered:
    """A tracker with recovery on a part."""
    size = part.scene.pixels.width, part.scene.pixels.height
    return Recovered(tracker, look, choose, size, run.settings.recovery.longest)


def _case_inputs(run: Run, part: Part) -> dict[str, object]:
    config = run.settings.recovery
    return {
        **feature_inputs(run, part.scene, ""),
        "detections": [run.detections_digest(s) for s in data.sequences(part)],  # their scores, too
        "part": (part.first, part.last),
        "cases": config.cases,
        "longest": config.longest,
    }


@stage("recovery-cases", _case_inputs, RECOVERY_CODE)
def part_cases(run: Run, part: Part) -> Cases:
    """Cases of a learning part over all its public detectors, `cases` drawn of each; looks (N, TOKENS, C) float16."""
    truth = data.window(data.labels(part.scene), part)
    experts: list[Expert] = []
    with pooler_of(run, part) as look, Bar(part.length, f"recovery cases of {part.scene.name}") as progress:
        streams = []
        for number, sequence in enumerate(data.sequences(part)):
            for copy in range(COPIES):
                found = data.window(data.detections(sequence), part)
                found = thinned(found, truth, np.random.default_rng([number, copy]))
                experts.append(Expert(truth))
                tracker = wrap(run, part, make("bytetrack", fps=sequence.fps), look, experts[-1])
                streams.append(frame_by_frame(tracker, gather(tracker, found, part.length), 1))
        for _ in zip(*streams, strict=True):
            progress.update()
    drawn = []
    for number, expert in enumerate(experts):
        if expert.seen:
            seen, place, there = (
                np.concatenate([getattr(p, name) for p in expert.seen]) for name in ("look", "place", "there")
            )
            choice = np.concatenate(expert.chosen)
            rows = np.sort(np.random.default_rng(number).permutation(len(choice))[: run.settings.recovery.cases])
            # They were rounded so when they were pooled.
            drawn.append(Cases(seen[rows].astype(np.float16), place[rows], there[rows], choice[rows]))
    return joined(drawn)


def joined(parts: list[Cases]) -> Cases:
    """All cases; parts without any have no width and fall out."""
    look, place = np.zeros((0, TOKENS, 1), np.float32), np.zeros((0, TOKENS, PLACE), np.float32)
    none = Cases(look, place, np.zeros((0, TOKENS), np.bool_), np.zeros(0, np.int64))
    found = [c for c in parts if len(c.choice)] or [none]
    return Cases(*(np.concatenate([getattr(c, name) for c in found]) for name in ("look", "place", "there", "choice")))


def _recovery_inputs(run: Run, recovery: Recovery) -> dict[str, object]:
    return {
        "head": head_inputs(run, recovery.look),
        "cases": [part_cases.key(run, p) for p in recovery.learn],
        "epochs": run.settings.recovery.epochs,
        "seed": recovery.seed,
    }


def train_all(run: Run, recoveries: Iterable[Recovery]) -> None:
    """Train many decisions into the store, fanned out over workers."""
    missing = [r for r in dict.fromkeys(recoveries) if not train_recovery.is_stored(run, r)]
    run.do(part_cases.jobs(run, [(part,) for r in missing for part in r.learn]), "recovery cases")
    train_heads(run, [r.look for r in missing])
    run.do(train_recovery.jobs(run, [(r,) for r in missing]), "training recovery")


@stage("recovery", _recovery_inputs, RECOVERY_CODE)
def train_recovery(run: Run, recovery: Recovery) -> Fitted:
    """The decision, trained on the learning parts."""
    data.need_pixels(recovery.learn)
    cases = joined([part_cases(run, p) for p in recovery.learn])
    if len(cases.choice):
        cases = replace(cases, look=embedded(run, _head(run, recovery), cases.look, cases.there))
    with Bar(run.settings.recovery.epochs, f"training recovery, seed {recovery.seed}") as progress:
        return fit_recovery(cases, HISTORY, run.settings.recovery.epochs, recovery.seed, progress.update)


@lru_cache(maxsize=8)
def decider(run: Run, recovery: Recovery) -> Decide:
    """The trained decision as `Recovered` asks for it."""
    head = _head(run, recovery)
    state = train_recovery(run, recovery).state
    net = restore(RecoveryNet(state["look.weight"].shape[1], PLACE, HISTORY), state)

    def choose(proposals: Proposals) -> NDArray[np.float32]:
        look = embedded(run, head, proposals.look, proposals.there)
        return decide(net, Cases(look, proposals.place, proposals.there, np.zeros(0, np.int64)))

    return choose


def _head(run: Run, recovery: Recovery) -> FusionHead:
    state = train_head(run, recovery.look).state
    return restore_head(ATTENTION, dict(run.backbone().channels), state, run.settings.fusion)


def embedded(run: Run, head: FusionHead, look: NDArray[np.floating], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(K, T, C) pooled vectors -> (K, T, D) unit embeddings, zero for padding."""
    backbone = run.backbone()
    cuts = np.cumsum([backbone.channels[k] for k in backbone.layers])[:-1]
    rows = np.split(look[there].astype(np.float16), cuts, axis=1)
    vectors = embed(head, dict(zip(backbone.layers, rows, strict=True)))
    out = np.zeros((*there.shape, vectors.shape[1]), np.float32)
    out[there] = vectors
    return out


# Trackers that differ in thresholds alone: one selection serves both, and a table compares thresholds only.
SAME_ASSOCIATION = {"msfp-track": "msfp-attention"}


@dataclass(frozen=True)
class Method:
    """One row of a tracking table."""

    label: str  # the row's name
    tracker: str  # registered tracker
    look: Appearance | None = None  # its embedding; None for motion only
    threshold: Threshold = TRACKERS_OWN
    options: tuple[tuple[str, object], ...] = ()  # tracker settings beyond the defaults, as (name, value)
    camera: str = "none"  # how camera motion is compensated: `none`, `ecc` or `sparse-flow`
    boxes: Literal["public", "joint"] = "public"  # tracked: detections, or the jointly trained network's own
    recovery: Recovery | None = None  # looks again for tracks without a detection, which adds boxes
    learn: tuple[Part, ...] = ()  # on which settings that the paper leaves open are selected; empty: as released


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
    """Methods with the settings selected for another one, so that an ablation changes one thing alone.

    Where those cannot be selected, neither can the methods' own on the same parts: their cells then say why.
    """
    given = list(methods)
    select_all(run, [subject_of(model)])
    try:
        options = settled(run, model).options
    except NotComputable:
        return [replace(m, learn=model.learn) for m in given]
    return [replace(m, options=tuple(sorted({**dict(options), **dict(m.options)}.items())), learn=()) for m in given]


def tracks(run: Run, part: Part, sequence: Sequence, method: Method) -> Tracks:
    """Tracks of a part's sequence, frames numbered from the part's first."""
    return _track(run, part, *_item(run, part, sequence, method))


def recover_all(part: Part, run: Run, methods: Iterable[Method]) -> None:
    """Tracks of methods with recovery on all sequences of a part, in one pass over its frames, into the store."""
    todo = []
    for method in methods:
        for sequence in data.sequences(part):
            with contextlib.suppress(NotComputable):  # whoever needs it says so in its cells
                item = _item(run, part, sequence, method)
                if not _track.is_stored(run, part, *item):
                    todo.append(item)
    for item, found in zip(todo, _recover_together(run, part, todo) if todo else [], strict=True):
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
    own, look = method.boxes == JOINT, method.look
    inputs: dict[str, object] = {
        "detections": passes.seen.key(run, part) if own else run.detections_digest(sequence),
        "part": (part.first, part.last),
        "fps": sequence.fps,
        "tracker": method.tracker,
        "options": dict(method.options),
        "thresholds": taus,
    }
    if look is not None and own:
        inputs["look"] = passes.joint_inputs(run, part, look)
    elif look is not None:
        features = box_inputs(run, part.scene, look)
        inputs["look"] = {"head": head_inputs(run, look), "joint": look.joint, "features": features}
    if method.camera != "none":
        data.need_pixels((part,))
        inputs["camera"] = passes.scene_warps.key(run, part.scene, method.camera)
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


@stage("tracks", _inputs, ("msfp.tracking",))
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
        found = passes.seen(run, part).detections
        vectors = passes.joint_embeddings(run, part, method.look) if method.look else None
    else:
        found = data.window(data.detections(sequence), part)
        vectors = embeddings(run, part, sequence.detector, method.look) if method.look else None
    warps = None if method.camera == "none" else passes.part_warps(run, part, method.camera)
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
        found = search(run, part, sequence, rule.mode, look, method.tracker, method.options)
    else:  # `grid`
        same = next((p for p in rule.learn if p.scene.name == part.scene.name), None)
        if same is None:
            raise NotComputable(f"{part.scene.name} has no learning part to search on")
        if method.look is None:
            own = member(same, sequence.detector)
            found = search(run, same, own, rule.mode, None, method.tracker, method.options)
        else:
            found = targets(run, rule.learn, sequence.detector, rule.mode)[same]
    return per_frame(run, rule.mode, np.repeat(found.best[None], part.length, axis=0))


def atl_thresholds(run: Run, part: Part, detector: str, rule: Threshold) -> NDArray[np.float32]:
    """(T, 2) thresholds that ATL predicts on a part (eqs. 6-8), of the encoder trained for this detector."""
    atl = atl_settings(run, rule.changes)
    mode, center, state = atl_rule(run, rule, detector)
    raw = predict(mode, scene_vectors(run, part), state, atl)
    return per_frame(run, rule.mode, thresholds.smooth(raw, rule.temporal or atl.temporal, atl.beta), center)
