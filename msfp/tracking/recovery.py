"""Recovery of people whom the detector missed, as a plug-in over any tracker, after BUSCA (Vaquero et al., ECCV 2024).

A track reported in the frame before that finds no detection now is offered a choice: it is at the box that its filter
predicts, it is at a detection nearby, or it is missed. Who decides is given from outside; here lives what the decision
sees (the track's last observations, the proposals, all relative to the predicted box) and what follows from it. A track
that is at the predicted box takes it as if it were detected and stays alive. **This reports boxes that no detector
gave, which the rules for public detections forbid.**

Where this departs from the published module: proposals are the frame's detections, not the neighbouring tracks; the
second learned token ("hallucinated") is left out; appearance is pooled from the tracking detector's own maps.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msfp.tracking.base import FrameContext, Tracker, TrackerOutput
from msfp.tracking.costs import iou
from msfp.tracking.kalman import Floats

HISTORY, NEIGHBOURS = 5, 3
TOKENS = HISTORY + 1 + NEIGHBOURS
PLACE = 9
"""Numbers that place a token: offset, size and time relative to the predicted box, IoU with it, share inside the image,
whether another track has it, score."""
OBSERVED, PREDICTED, DETECTED = 0, 1, 2
MISSED, AT_PREDICTION, FIRST_NEIGHBOUR = 0, 1, 2
REACH = 1.5  # heights of the predicted box within which a detection is a proposal
Look = Callable[[int, Floats], NDArray[np.float32]]


@dataclass(frozen=True)
class Proposals:
    """What is known of K tracks without a detection: HISTORY observations, the predicted box, NEIGHBOURS detections."""

    frame: int  # number of the frame
    look: NDArray[np.float32]  # (K, TOKENS, D) float32 appearance of each token, zero where there is none
    place: NDArray[np.float32]  # (K, TOKENS, PLACE) float32
    there: NDArray[np.bool_]  # (K, TOKENS) False for tokens that are only padding
    boxes: Floats  # (K, 4) predicted xyxy
    detection: NDArray[np.int64]  # (K, NEIGHBOURS) row of each detection proposed, -1 for padding
    neighbour_boxes: Floats  # (K, NEIGHBOURS, 4) their xyxy boxes
    taken: NDArray[np.bool_]  # (K, NEIGHBOURS) detections that another track has
    last_frame: NDArray[np.int64]  # (K,) of the last detection that each track had
    last_box: Floats  # (K, 4)

    def __len__(self) -> int:
        return len(self.boxes)


Decide = Callable[[Proposals], NDArray[np.floating]]
"""Proposals -> (K, 2 + NEIGHBOURS) weights of: missed, at the predicted box, at each detection."""


class Seen(NamedTuple):
    """A frame's N detections: (N, 4) xyxy boxes, (N,) scores, (N, D) appearance."""

    boxes: Floats
    scores: NDArray[np.float32]
    look: NDArray[np.float32]


@dataclass
class Memory:
    """What a track was seen as: its last observations and the last frame in which a detection was among them."""

    seen: deque[tuple[int, Floats, NDArray[np.float32]]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    last_frame: int = 0
    last_box: Floats = field(default_factory=lambda: np.zeros(4))


class Recovered:
    """A tracker that searches again for tracks without a detection; drives like the tracker itself."""

    def __init__(
        self, tracker: Tracker, look: Look, decide: Decide, image: tuple[float, float] | None = None, longest: int = 30
    ) -> None:
        """Wrap a new or reset tracker, from then on driven through this.

        `look`: (frame, (N, 4) xyxy in file coordinates) -> (N, D) appearance. `image`: width and height, for how much
        of a box lies inside; None: unknown, all of it. `longest`: frames in a row that a track may be kept without a
        detection.
        """
        self.tracker, self.look, self.decide = tracker, look, decide
        self.image, self.longest = image, longest
        self.name = f"{tracker.name} with recovery"
        self.reset()

    def reset(self) -> None:
        """Forget every track."""
        self.tracker.reset()
        self._memory: dict[int, Memory] = {}
        self._active: frozenset[int] = frozenset()
        self._frame = 0

    def update(
        self,
        boxes: ArrayLike,
        scores: ArrayLike,
        embeddings: ArrayLike | None = None,
        frame: FrameContext | None = None,
    ) -> TrackerOutput:
        """As `Tracker.update`; recovered tracks come last, with the weight of the decision as score.

        Raises InputError: whatever the tracker refuses.
        """
        out = self.tracker.update(boxes, scores, embeddings, frame)
        self._frame = self._frame + 1 if frame is None or frame.index is None else frame.index
        places = np.asarray(boxes, np.float64).reshape(-1, 4)
        seen = Seen(places, np.asarray(scores, np.float32).reshape(-1), self.look(self._frame, places))
        ids, predicted = self._lost()
        found = self._follow(ids, self._proposals(ids, predicted, seen), seen, out).with_area() if len(ids) else out
        for identity, row in zip(out.ids.tolist(), out.detections.tolist(), strict=True):
            if row >= 0:
                self._note(identity, places[row], seen.look[row], detected=True)
        self._active = frozenset(found.ids.tolist())
        self._memory = {i: m for i, m in self._memory.items() if self._frame - m.last_frame < self.longest}
        return found

    def _note(self, identity: int, box: Floats, look: NDArray[np.float32], detected: bool) -> None:
        """Remember where a track was seen."""
        memory = self._memory.setdefault(identity, Memory())
        memory.seen.append((self._frame, box, look))
        if detected:
            memory.last_frame, memory.last_box = self._frame, box

    def _lost(self) -> tuple[NDArray[np.int32], Floats]:
        """Identities and predicted boxes of the tracks reported in the last frame and without a detection in this."""
        ids, boxes = self.tracker.unmatched()
        known = self._active & self._memory.keys()
        keep = np.isin(ids, [*known]) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return ids[keep], boxes[keep]

    def _proposals(self, ids: NDArray[np.int32], predicted: Floats, seen: Seen) -> Proposals:
        boxes, count = seen.boxes, len(ids)
        look = np.zeros((count, TOKENS, seen.look.shape[1]), np.float32)
        place = np.zeros((count, TOKENS, PLACE), np.float32)
        there = np.zeros((count, TOKENS), np.bool_)
        detection = np.full((count, NEIGHBOURS), -1, np.int64)
        has_owner = np.zeros(len(boxes), np.bool_)
        has_owner[self.tracker.claimed()] = True
        look[:, HISTORY], there[:, HISTORY] = self.look(self._frame, predicted), True
        overlap = iou(predicted, boxes)
        memories = [self._memory[i] for i in ids.tolist()]
        for k, (memory, box) in enumerate(zip(memories, predicted, strict=True)):
            for slot, (frame, was, vector) in enumerate(memory.seen):
                look[k, slot], there[k, slot] = vector, True
                place[k, slot] = self._placed(box, was[None], frame - self._frame)[0]
            place[k, HISTORY] = self._placed(box, box[None], self._frame - memory.last_frame)[0]
            near = neighbours(box, boxes, overlap[k])
            detection[k, : len(near)] = near
            slots = slice(HISTORY + 1, HISTORY + 1 + len(near))
            look[k, slots], there[k, slots] = seen.look[near], True
            place[k, slots] = self._placed(box, boxes[near], 0, has_owner[near], seen.scores[near])
        none = not len(boxes)
        beside = np.zeros((count, NEIGHBOURS, 4)) if none else boxes[detection]
        taken = (detection >= 0) & (none or has_owner[detection])
        last = np.array([m.last_frame for m in memories]), np.array([m.last_box for m in memories])
        return Proposals(self._frame, look, place, there, predicted, detection, beside, taken, *last)

    def _placed(
        self,
        origin: Floats,
        boxes: Floats,
        frames: int,
        taken: NDArray[np.bool_] | float = 0.0,
        scores: NDArray[np.float32] | float = 0.0,
    ) -> NDArray[np.float32]:
        """(N, PLACE) of boxes relative to one."""
        size, own = origin[2:] - origin[:2], np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
        offset = ((boxes[:, :2] + boxes[:, 2:]) - (origin[:2] + origin[2:])) / 2 / size
        out = np.empty((len(boxes), PLACE), np.float32)
        out[:, :2], out[:, 2:4] = offset, np.log(own / size)
        out[:, 4], out[:, 5], out[:, 6] = frames / 10, iou(origin[None], boxes)[0], 1.0
        if self.image is not None:
            low, high = np.maximum(boxes[:, :2], 1.0), np.minimum(boxes[:, 2:], np.asarray(self.image) + 1.0)
            area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
            out[:, 6] = np.maximum(high - low, 0.0).prod(axis=1) / area
        out[:, 7], out[:, 8] = taken, scores
        return np.clip(out, -3.0, 3.0)

    def _follow(self, ids: NDArray[np.int32], proposals: Proposals, seen: Seen, out: TrackerOutput) -> TrackerOutput:
        """Tracks take what was chosen for them; the best first where several want one detection."""
        weights = np.asarray(self.decide(proposals), np.float32)
        choice, trust = weights.argmax(axis=1), weights.max(axis=1)
        taken: set[int] = set()
        kept: list[tuple[int, int]] = []  # position among the proposals, row of a detection or -1
        for k in np.argsort(-trust, kind="stable").tolist():
            row = -1
            if choice[k] >= FIRST_NEIGHBOUR:
                slot = choice[k] - FIRST_NEIGHBOUR
                row = int(proposals.detection[k, slot])
                if row < 0 or proposals.taken[k, slot] or row in taken:
                    continue
                taken.add(row)
            elif choice[k] == MISSED:
                continue
            kept.append((k, row))
        if not kept:
            return out
        kept.sort()
        which = np.array([k for k, _ in kept])
        rows = np.array([row for _, row in kept], np.int64)
        detected = rows >= 0
        places, values = proposals.boxes[which], trust[which].astype(np.float32)
        places[detected], values[detected] = seen.boxes[rows[detected]], seen.scores[rows[detected]]
        self.tracker.resume(ids[which], places, values)
        for k, row, box in zip(which.tolist(), rows.tolist(), places, strict=True):
            look = seen.look[row] if row >= 0 else proposals.look[k, HISTORY]
            self._note(int(ids[k]), box, look, detected=row >= 0)
        keep = ~np.isin(out.ids, ids[which])  # a track in both, which coasts, is taken from what was recovered
        return TrackerOutput(
            np.concatenate([out.ids[keep], ids[which]]),
            np.concatenate([out.boxes[keep], places]),
            np.concatenate([out.scores[keep], values]),
            np.concatenate([out.detections[keep], rows]),
        )


def neighbours(box: Floats, boxes: Floats, overlap: Floats) -> NDArray[np.int64]:
    """Rows of the detections nearest to a predicted box: by IoU, then by distance, at most NEIGHBOURS within REACH."""
    if not len(boxes):
        return np.zeros(0, np.int64)
    height = max(box[3] - box[1], 1e-6)
    apart = np.hypot(*(((boxes[:, :2] + boxes[:, 2:]) - (box[:2] + box[2:])) / 2).T) / height
    order = np.lexsort((apart, -overlap))[:NEIGHBOURS]
    return order[apart[order] <= REACH]
