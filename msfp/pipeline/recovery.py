"""Recovery of missed people as a stage: cases from the learning parts, a decision trained on them, and its use.

Cases come from ByteTrack on detections thinned out at random, driven by an expert who knows the labels: it keeps a
track while its predicted box still covers its person, so that later frames of a long recovery are met as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.progress import Bar
from msfp.heads.apply import embed, restore, restore_head
from msfp.heads.fusion import FusionHead
from msfp.heads.recovery import Cases, RecoveryNet, decide, fit_recovery
from msfp.heads.training import Fitted
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import FEATURE_CODE, feature_inputs
from msfp.pipeline.heads import ATTENTION, Appearance, head_inputs, train_head, train_heads
from msfp.pipeline.on_demand_pooler import OnDemandPooler, pooler_of
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.tracking import Tracker, make
from msfp.tracking.iou import iou
from msfp.tracking.recovery import (
    AT_PREDICTION,
    FIRST_NEIGHBOUR,
    HISTORY,
    MISSED,
    NEIGHBOURS,
    PLACE,
    TOKENS,
    Decide,
    Proposals,
    Recovered,
)
from msfp.tracking.run import frame_by_frame, gather
from msfp.types import Detections, GroundTruth, tlwh_to_xyxy

COPIES = 2  # thinnings of each public detector's boxes
GAP_BEGINS, GAP_FRAMES = 0.04, 8  # a person's detections are dropped so often a frame, for at most so many
SAME = 0.5  # IoU from which a box is a person's
OWN_CODE = tuple(code_digest(name, follow=False) for name in (__name__, "msfp.pipeline.on_demand_pooler"))
RECOVERY_CODE = (*OWN_CODE, "msfp.heads.recovery", "msfp.tracking", *FEATURE_CODE)


@dataclass(frozen=True)
class Recovery:
    """Which decision: what it learned from, and its seed, which is its appearance's too."""

    learn: tuple[Part, ...]
    seed: int = 0

    @property
    def look(self) -> Appearance:
        """The embedding that it compares by."""
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
        return np.eye(2 + NEIGHBOURS, dtype=np.float32)[choice]

    def _choice(self, proposals: Proposals, k: int) -> int:
        here = slice(*np.searchsorted(self.frame, (proposals.last_frame[k], proposals.last_frame[k] + 1)))
        was = iou(proposals.last_box[k][None], self.box[here])[0]
        if not len(was) or was.max() < SAME:
            return MISSED
        person = self.id[here][was.argmax()]
        now = slice(*np.searchsorted(self.frame, (proposals.frame, proposals.frame + 1)))
        found = self.box[now][self.id[now] == person]
        if not len(found):
            return MISSED
        predicted = iou(proposals.boxes[k][None], found)[0, 0]
        neighbours = proposals.neighbour_boxes[k]
        beside = np.where(proposals.detection[k] >= 0, iou(neighbours, found)[:, 0], 0.0)
        best = int(beside.argmax())
        if beside[best] >= SAME and (beside[best] >= predicted or proposals.taken[k, best]):
            return FIRST_NEIGHBOUR + best
        return AT_PREDICTION if predicted >= SAME else MISSED


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
    pixels = part.scene.pixels
    longest = run.settings.recovery.longest
    return Recovered(tracker, look, choose, (pixels.width, pixels.height), longest)


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


def _inputs(run: Run, recovery: Recovery) -> dict[str, object]:
    return {
        "head": head_inputs(run, recovery.look),
        "cases": [part_cases.key(run, p) for p in recovery.learn],
        "epochs": run.settings.recovery.epochs,
        "seed": recovery.seed,
    }


def train_all(run: Run, recoveries: Iterable[Recovery]) -> None:
    """Train many decisions, fanned out over workers; they are then in the store."""
    missing = [r for r in dict.fromkeys(recoveries) if not train_recovery.is_stored(run, r)]
    run.do(part_cases.jobs(run, [(part,) for r in missing for part in r.learn]), "recovery cases")
    train_heads(run, [r.look for r in missing])
    run.do(train_recovery.jobs(run, [(r,) for r in missing]), "training recovery")


@stage("recovery", _inputs, RECOVERY_CODE)
def train_recovery(run: Run, recovery: Recovery) -> Fitted:
    """The decision trained on the learning parts, whose labels it needs; never on what is evaluated."""
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
    channels = dict(run.backbone().channels)
    return restore_head(ATTENTION, channels, train_head(run, recovery.look).state, run.settings.fusion)


def embedded(run: Run, head: FusionHead, look: NDArray[np.floating], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(K, T, C) pooled vectors -> (K, T, D) unit embeddings, zero for padding."""
    channels = run.backbone().channels
    rows = look[there].astype(np.float16)
    cuts = np.cumsum([channels[k] for k in run.backbone().layers])[:-1]
    vectors = embed(head, dict(zip(run.backbone().layers, np.split(rows, cuts, axis=1), strict=True)))
    out = np.zeros((*there.shape, vectors.shape[1]), np.float32)
    out[there] = vectors
    return out
