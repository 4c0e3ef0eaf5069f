"""A finished run as the widgets see it: its sequences and methods, frames, labels, tracks, and how heads see boxes."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msfp.data.frames import Image, read_frame
from msfp.errors import MsfpError, NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.heads import part_vectors, train_head
from msfp.experiment.run import Run, open_run
from msfp.experiment.scores import affordable
from msfp.experiment.tracks import Method, frame_thresholds, material, settled, tracks
from msfp.heads.fusion import Attention
from msfp.heads.training import attention, embed, restore_head
from msfp.metrics import hota
from msfp.metrics.oracle import COUNT_FIRST, true_identities
from msfp.metrics.scores import SequenceScore
from msfp.metrics.switches import Switches, find_switches
from msfp.paper.measure import heads_for
from msfp.paper.methods import TABLE_1
from msfp.tracking import make, track
from msfp.tracking.costs import assign_maximum, iou
from msfp.types import Detections, GroundTruth, Sequence, Tracks, tlwh_to_xyxy

FULL = "MSFP-Track"


@dataclass(frozen=True, eq=False)
class Result:
    """A method's result on a sequence; without score and switches where the labels are not at hand."""

    tracks: Tracks  # frames from 1, the clip's first
    score: SequenceScore | None
    switches: Switches | None


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of one sequence. Frames are counted from 1, the stretch's first; `shown` gives the scene's number."""

    run: Run
    part: Part
    sequence: Sequence  # whose detections are tracked
    methods: dict[str, Method]  # label of a row of Table 1 -> method; MSFP-Track first

    @property
    def length(self) -> int:
        return self.part.length

    def shown(self, frame: int) -> int:
        """Number of a frame in the scene, as its files have it."""
        return self.part.first + frame - 1

    @cached_property
    def detections(self) -> Detections:
        """Public detections, sorted by frame."""
        return data.window(data.detections(self.sequence), self.part)

    @cached_property
    def truth(self) -> GroundTruth | None:
        """Labels; None where nobody here has them."""
        try:
            return data.window(data.truth(self.part.scene), self.part)
        except NotComputable:
            return None

    @cached_property
    def atl(self) -> NDArray[np.float32]:
        """(T, 2) tau_high and tau_low that ATL predicts; NotComputable where frames that it learns from are missing."""
        taus = frame_thresholds(self.run, self.part, self.sequence, self.methods[FULL])
        assert taus is not None
        return taus

    def result(self, label: str, adapted: bool = False) -> Result:
        """Tracks of a method as the run has them, `adapted` with ATL's thresholds; NotComputable: what lacks."""
        method = self.methods[label]
        return self._result(replace(method, threshold=self.methods[FULL].threshold) if adapted else method)

    @lru_cache(maxsize=64)  # noqa: B019  clips live as long as their notebook
    def _result(self, method: Method) -> Result:
        return self._judged(tracks(self.run, self.part, self.sequence, method))

    def retrack(self, label: str, high: float, low: float) -> Result:
        """The method with fixed thresholds, tracked now; nothing is stored."""
        taus = np.tile(np.array([high, low], np.float32), (self.length, 1))
        found, vectors, warps = self._material(label)
        method = settled(self.run, self.methods[label])
        tracker = make(method.tracker, fps=self.sequence.fps, **dict(method.options))
        return self._judged(track(tracker, found, self.length, vectors, taus, warps=warps))

    @lru_cache(maxsize=16)  # noqa: B019
    def _material(self, label: str) -> tuple[Detections, NDArray[np.float32] | None, NDArray[np.float64] | None]:
        return material(self.run, self.part, self.sequence, self.methods[label])

    @lru_cache(maxsize=128)  # noqa: B019
    def image(self, frame: int) -> Image:
        """(H, W, 3) uint8 RGB."""
        return read_frame(self.part.scene.pixels, self.shown(frame))

    @cached_property
    def _prepared(self) -> hota.PreparedTruth | None:
        benchmark = data.benchmark(self.part.scene)
        return None if self.truth is None else hota.prepare(self.truth, self.length, benchmark=benchmark)

    def _judged(self, found: Tracks) -> Result:
        if self._prepared is None:
            return Result(found, None, None)
        return Result(found, hota.score(self._prepared, found), find_switches(self._prepared, found))


def rows_in(rows: Tracks | Detections, frame: int) -> slice:
    """Rows of one frame."""
    return slice(*np.searchsorted(rows.frame, [frame, frame + 1]).tolist())


class NoRun(MsfpError):
    """Nothing was run yet; a notebook shows the message alone."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: what stands in place of the traceback."""
        return [str(self)]


def open_clips(
    profile: str = "demo",
    *,
    dataset: str = "",
    root: str = "",
    weights: str = "",
    device: str = "",
    settings: str = "",
    home: str | Path = "..",
) -> dict[str, Clip]:
    """Name -> sequence, of those that the run's tracking tables evaluate and whose frames are there.

    `dataset` is one of the run's, empty its main one; the other options are those that the run was made with. Methods
    that the run leaves out, as their ReID network would have to run first, are not among a clip's. NoRun: this profile
    has not been run; NotComputable: not one sequence has its frames.
    """
    run = open_run(profile, root=root, weights=weights, device=device, home=home, overrides=settings)
    if not (run.store.root / "tracks").is_dir():
        options = f" --root {root}" if root else ""
        raise NoRun(f"There is no run in {run.out} yet. Make one first: msfp reproduce --profile {profile}{options}")
    named = run.settings.data
    dataset = dataset or named.main
    found, missing = {}, []
    for fold in data.judged_folds(run, dataset)[0]:
        learn = fold.learn if dataset == named.main else heads_for(run, fold)
        # The crowded data set has an ATL of its own beside the main one's heads, as in Table 2.
        own = fold.learn if dataset == named.crowded else ()
        methods = {row.row: row.configured(learn, run.settings.seeds[0], own, own) for row in reversed(TABLE_1)}
        for part in fold.evaluate:
            if reason := data.missing_pixels(part):
                missing.append(reason)
                continue
            for sequence in data.sequences(part):
                there = {label: method for label, method in methods.items() if affordable(run, method)}
                found[sequence.name] = Clip(run, part, sequence, there)
    if not found:
        raise NotComputable("; ".join(missing) or f"{dataset} has no sequence with detections")
    return dict(sorted(found.items()))


Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Looks:
    """The head of MSFP-Track on a clip's N detections, rows as in `clip.detections`."""

    frame: NDArray[np.int32]  # (N,) from 1
    layers: tuple[int, ...]  # tapped layers, in the order of the columns of `weights`
    weights: NDArray[np.float32]  # (N, L) attention weights, rows sum to 1 (eq. 3).
    vectors: NDArray[np.float32]  # (N, D) unit embeddings
    person: NDArray[np.int32]  # (N,) labelled person that a box shows, -1 where it shows none or there are no labels

    def similarity(self, row: int) -> NDArray[np.float32]:
        """(N,) cosine similarity of every box with one."""
        return self.vectors @ self.vectors[row]

    def nearest(self, row: int, among: NDArray[np.bool_], count: int, apart: int, one_each: bool = False) -> Rows:
        """The most similar boxes, best first.

        `among`: (N,) boxes to choose from. `apart`: least distance in frames from the box and, for one person, between
        two answers; neighbouring frames show the same picture again.
        """
        near = np.abs(self.frame - self.frame[row]) < apart
        candidates = np.flatnonzero(among & ~near)
        order = candidates[np.argsort(-self.similarity(row)[candidates], kind="stable")]
        chosen: list[int] = []
        for one in order:
            same = [c for c in chosen if self.person[c] == self.person[one] >= 0]
            close = any(abs(int(self.frame[c]) - int(self.frame[one])) < apart for c in same)
            if close or (one_each and same):
                continue
            chosen.append(int(one))
            if len(chosen) == count:
                break
        return np.array(chosen, np.int64)

    def over_time(self, row: int, own: NDArray[np.bool_], length: int) -> tuple[NDArray, NDArray]:
        """(T,) similarity with the (N,) own boxes of each frame, and with the best other; NaN where there is none."""
        similarity = self.similarity(row)
        curves = np.full((2, length), -np.inf)
        for curve, mine in zip(curves, (own, ~own), strict=True):
            np.maximum.at(curve, self.frame[mine] - 1, similarity[mine])
        curves[np.isneginf(curves)] = np.nan
        return curves[0], curves[1]


@lru_cache(maxsize=8)
def looks_of(clip: Clip) -> Looks:
    """Run the head on a clip's boxes; NotComputable where frames that it learned from are missing."""
    run, look, boxes = clip.run, clip.methods[FULL].look, clip.detections
    assert look is not None
    layers = part_vectors(run, clip.part, clip.sequence.detector, look)
    state = train_head(run, look).state
    head = restore_head(look.strategy, {k: v.shape[1] for k, v in layers.items()}, state, run.settings.fusion)
    assert isinstance(head, Attention)
    person = np.full(len(boxes), -1, np.int32)
    if clip.truth is not None:
        person = true_identities(clip.truth, boxes)
    return Looks(boxes.frame, tuple(head.channels), attention(head, layers), embed(head, layers), person)


def detections_of(clip: Clip, found: Tracks) -> Rows:
    """(M,) detection that each row of the tracks took, -1 where it took none.

    A track carries the score of its detection; its box is the filter's. Of the ways to give the tracks of a frame one
    detection each, of their score, that of greatest overlap is meant.
    """
    boxes, rows = clip.detections, np.full(len(found), -1, np.int64)
    for frame in np.unique(found.frame):
        mine, theirs = rows_in(found, int(frame)), rows_in(boxes, int(frame))
        tracked, seen = (np.asarray(tlwh_to_xyxy(b), np.float64) for b in (found.tlwh[mine], boxes.tlwh[theirs]))
        overlap = iou(tracked, seen)
        may = (overlap > 0) & (found.score[mine, None] == boxes.score[None, theirs])
        column = assign_maximum(np.where(may, COUNT_FIRST + overlap, 0.0))
        held = np.flatnonzero(column >= 0)
        held = held[may[held, column[held]]]
        rows[mine.start + held] = theirs.start + column[held]
    return rows
