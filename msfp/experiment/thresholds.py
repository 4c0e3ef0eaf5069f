"""Stage 3: thresholds searched on the learning parts (A.2), what ATL is taught by, and what it predicts."""

from collections.abc import Iterator
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msfp.config import AtlSettings
from msfp.engine.code import code_digest
from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part, having
from msfp.experiment.features import scene_vectors
from msfp.experiment.heads import ATTENTION, Appearance, head_inputs, learned_from, together
from msfp.experiment.run import Run, looked_once, one_look, stage
from msfp.experiment.selection import SELECTION_CODE, Options, Subject, inner_split, labelled, options_for
from msfp.heads.threshold import Mode
from msfp.heads.training import Clip, Fitted, fit_surrogate, fit_threshold
from msfp.metrics.oracle import true_identities
from msfp.metrics.scores import DISTRACTORS, chosen_rows
from msfp.tracking import Tracker, make, thresholds, track
from msfp.tracking.lifecycle import buffer_frames
from msfp.tracking.two_stage import TwoStage
from msfp.types import Detections, GroundTruth, Sequence

GRID_CODE = (code_digest(__name__, follow=False), *SELECTION_CODE)
SEARCH_SEED = 0  # the head whose embeddings the grid search tracks with


@dataclass(frozen=True)
class Search:
    """Outcome of a grid search on one sequence."""

    grid: NDArray[np.float32]  # (G, k) searched values: tau, (tau_high, tau_low), or the offset
    hota: NDArray[np.float64]  # (G,) HOTA in [0, 1] on the searched frames
    best: NDArray[np.float32]  # (k,) middle of the first plateau of highest HOTA, as score gaps make HOTA flat in tau

    @property
    def plateau(self) -> tuple[float, float]:
        """Least and greatest of the neighbouring thresholds that are as good as the chosen one."""
        tau = self.grid[:, 0]
        worse = self.hota < self.hota.max() - 1e-12
        below, above = tau[worse & (tau < self.best[0])], tau[worse & (tau > self.best[0])]
        kept = tau[~worse & (tau > below.max(initial=-np.inf)) & (tau < above.min(initial=np.inf))]
        return float(kept.min()), float(kept.max())


def candidates(run: Run, mode: Mode) -> NDArray[np.float32]:
    """(G, k) grid of A.2: tau; pairs with tau_low < tau_high; or offsets."""
    grid = run.settings.atl.grid
    if mode == "dual":
        return np.array([(high, low) for high in grid for low in grid if low < high], np.float32)
    return np.array(grid, np.float32)[:, None]


def plateau_middle(grid: NDArray[np.float32], hota: NDArray[np.float64]) -> NDArray[np.float32]:
    """Middle (the lower of two) of the first run of grid points that all reach the highest value."""
    best = hota >= hota.max() - 1e-12
    first = int(np.argmax(best))
    rest = best[first:]
    length = len(rest) if rest.all() else int(np.argmin(rest))
    return grid[first + (length - 1) // 2]


def _inputs(
    run: Run, part: Part, sequence: Sequence, mode: Mode, look: Appearance | None, tracker: str, options: Options
) -> dict[str, object]:
    return {
        "detections": run.detections_digest(sequence),
        "labels": data.truth_digest(run, part.scene),
        "part": (part.first, part.last),
        "mode": mode,
        "grid": candidates(run, mode),
        "base": (run.settings.atl.base_high, run.settings.atl.base_low),
        "benchmark": data.benchmark(part.scene),
        "tracker": tracker,
        "options": dict(options),
        "look": head_inputs(run, look) if look else None,
        "pixels": run.pixels_digest(part.scene) if look else None,
    }


@stage("grid", _inputs, GRID_CODE)
def search(
    run: Run, part: Part, sequence: Sequence, mode: Mode, look: Appearance | None, tracker: str, options: Options
) -> Search:
    """Track a labelled part with every candidate and keep the one of highest HOTA (A.2), by its benchmark's rules."""
    follower, one = make(tracker, fps=sequence.fps, **dict(options)), labelled(run, part, sequence, look)
    grid = candidates(run, mode)
    hota = np.empty(len(grid))
    known: dict[tuple[float, ...], float] = {}
    for i, value in enumerate(grid):
        taus = per_frame(run, mode, np.repeat(value[None], part.length, axis=0), warn=False)
        key = parted(follower, one.found.score, *taus[0])
        if key not in known:
            known[key] = one.score(follower, taus).hota
        hota[i] = known[key]
    return Search(grid, hota, plateau_middle(grid, hota))


def parted(tracker: Tracker, scores: NDArray[np.float32], high: np.float32, low: np.float32) -> tuple[float, ...]:
    """Count the scores on each side of two thresholds, by which alone a two-stage tracker tells thresholds apart."""
    if not isinstance(tracker, TwoStage):
        return float(high), float(low)
    born = high + np.float32(tracker.settings.new_track_margin)
    sides = ((scores > high), (scores < high), (scores > low), (scores >= born))
    return tuple(float(np.count_nonzero(side)) for side in sides)


def per_frame(
    run: Run, mode: Mode, raw: NDArray[np.float32], center: float = 0.0, warn: bool = True
) -> NDArray[np.float32]:
    """(T, 2) tau_high and tau_low from what a mode predicts: (T, 1) tau or offset, or (T, 2) both."""
    if mode == "single":
        return thresholds.single(raw[:, 0])
    if mode == "dual":
        return thresholds.dual(raw)
    atl = run.settings.atl
    return thresholds.offset(raw[:, 0], atl.base_high, atl.base_low, center, warn=warn)


def detectors_of(parts: ListLike[Part]) -> tuple[str, ...]:
    return tuple(sorted({s.detector for p in parts for s in data.sequences(p)}))


def member(part: Part, detector: str) -> Sequence:
    """The part's sequence with a detector's boxes; NotComputable where there is none."""
    for _, sequence in having([part], detector):
        return sequence
    raise NotComputable(f"{part.scene.name} has no {detector} detections")


def searched(run: Run, learn: ListLike[Part], part: Part) -> tuple[Part, Appearance]:
    """On which frames the target of a learning part is searched, and with a head that did not learn from them.

    The crowded data set: the main one's head (A.2). Else held-out scenes: a head of the rest, and the rest a head of
    the held-out ones; a single scene's second half: a head of its first.
    """
    if heads := _heads_of_main(run, learn):
        return part, Appearance(ATTENTION, heads, SEARCH_SEED)
    names = sorted({p.scene.name for p in learn})
    if len(names) == 1:
        middle = (part.first + part.last) // 2
        own = Appearance(ATTENTION, (replace(part, last=middle),), SEARCH_SEED)
        return replace(part, first=middle + 1), own
    held = {p.scene.name for p in inner_split(run, learn)[1]}
    if held == set(names):  # too few scenes to hold out whole ones: every other scene
        held = set(names[1::2])
    others = tuple(p for p in learn if (p.scene.name in held) != (part.scene.name in held))
    return part, Appearance(ATTENTION, others, SEARCH_SEED)


def searching_looks(run: Run, learn: ListLike[Part]) -> tuple[Appearance, ...]:
    """The embeddings that grid searches on the learning parts track with."""
    with one_look():
        return tuple(dict.fromkeys(searched(run, learn, part)[1] for part in learn))


def searching_subject(run: Run, learn: ListLike[Part]) -> Subject:
    """Whose selected settings a grid search tracks with: MSFP (attention)'s."""
    heads = _heads_of_main(run, learn) or tuple(learn)
    return Subject("msfp-attention", Appearance(ATTENTION, heads, SEARCH_SEED), "none", (), tuple(learn))


@looked_once
def _heads_of_main(run: Run, learn: ListLike[Part]) -> tuple[Part, ...]:
    """Parts that the heads of the crowded data set learned from; empty for parts of other data sets."""
    crowded = run.settings.data.crowded
    if crowded is None or {p.scene.pixels.dataset for p in learn} != {crowded}:
        return ()
    return data.all_learning(run, run.settings.data.main)


@looked_once
def search_inputs(run: Run, learn: ListLike[Part]) -> dict[str, object]:
    """What the targets of the learning parts depend on, beside their files."""
    return {
        "looks": [head_inputs(run, look) for look in searching_looks(run, learn)],
        "options": dict(options_for(run, searching_subject(run, learn))),
    }


def target(run: Run, learn: tuple[Part, ...], part: Part, detector: str, mode: Mode) -> Search:
    """Grid search on one learning part, tracked with the settings selected for MSFP (attention)."""
    frames, look = searched(run, learn, part)
    options = options_for(run, searching_subject(run, learn))
    return search(run, frames, member(frames, detector), mode, look, "msfp-attention", options)


def targets(run: Run, learn: ListLike[Part], detector: str, mode: Mode) -> dict[Part, Search]:
    """Grid search on every learning part that has this detector; no head saw the frames it is searched on."""
    return {part: target(run, tuple(learn), part, detector, mode) for part, _ in having(learn, detector)}


Supervision = Literal["grid", "idf1", "statistics", "consistency"]
TRACK_SECONDS = 0.5  # a track that lasts this long is taken for a person
BUFFER = 30  # frames at 30 a second, the trackers' default


def statistics_target(atl: AtlSettings, found: Detections) -> float:
    """The threshold that 85 % of the part's scores exceed, held to the bounds."""
    rule = thresholds.make_policy("percentile", low=atl.tau_min, high=atl.tau_max, memory=1)
    return float(rule.update(found.score)[0])


def consistency_target(atl: AtlSettings, found: Detections, length: int, fps: float) -> float:
    """The threshold that best separates boxes of ByteTrack's lasting tracks from all others; no label is read.

    Boxes of tracks seen for half a second stand in for true ones. With C(tau) of them and D(tau) of all detections
    above tau, it is the grid's tau of highest F1 = 2 C(tau) / (C(lowest) + D(tau)), the middle of the first plateau.
    """
    tracker = make("bytetrack", fps=fps)
    made = track(tracker, found, length, None, thresholds.fixed(atl.tau_min, atl.tau_min, length))
    _, row, seen = np.unique(made.id, return_inverse=True, return_counts=True)
    lasting = made.score[seen[row] >= TRACK_SECONDS * fps] if len(made) else made.score
    grid = np.array(atl.grid, np.float32)
    true = (lasting[None] > grid[:, None]).sum(axis=1)
    above = (found.score[None] > grid[:, None]).sum(axis=1)
    return float(plateau_middle(grid[:, None], 2 * true / np.maximum(len(lasting) + above, 1))[0])


def clips(run: Run, part: Part, sequence: Sequence) -> Iterator[Clip]:
    """Stretches of `atl.batch` frames with what the surrogate of IDF1 needs; boxes on distractors take no part."""
    found, truth = data.window(data.detections(sequence), part), data.window(data.labels(part.scene), part)
    person = true_identities(truth, found)
    counts = (person >= 0) | (true_identities(distractors(truth), found) < 0)
    scene = scene_vectors(run, part)
    size = run.settings.atl.batch
    for start in range(0, part.length, size):
        end = min(start + size, part.length)
        rows = counts & (found.frame > start) & (found.frame <= end)
        yield Clip(
            scene=scene[start:end],
            frame=found.frame[rows].astype(np.int64) - start - 1,
            score=found.score[rows],
            person=person[rows].astype(np.int64),
            truth=int((truth.pedestrian & (truth.frame > start) & (truth.frame <= end)).sum()),
            buffer=max(buffer_frames(BUFFER, sequence.fps), 1),
        )


def distractors(truth: GroundTruth) -> GroundTruth:
    """Rows that evaluation neither rewards nor punishes, as if they were people to be matched."""
    kept = chosen_rows(truth, np.isin(truth.category, DISTRACTORS))
    return replace(kept, category=np.ones_like(kept.category), flag=np.ones_like(kept.flag))


ATL_CODE = ("msfp.heads.threshold", "msfp.heads.training", "msfp.tracking.thresholds.rules")
TAUGHT_CODE = ("msfp.heads.training", "msfp.metrics.oracle", "msfp.tracking", "msfp.experiment.thresholds")
Changes = tuple[tuple[str, object], ...]  # settings of ATL other than the run's


@dataclass(frozen=True)
class Threshold:
    """Which thresholds a method applies."""

    # the tracker's own; fixed; the searched optimum of the scene's learning part, or of the evaluated frames themselves
    # (an upper bound); ATL's; a registered rule that sees only scores
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
    own = run.settings.atl
    return AtlSettings.model_validate({**own.model_dump(), **dict(changes)}) if changes else own


def _unlearned(learn: ListLike[Part], detector: str) -> NotComputable:
    """Say why ATL cannot be had for a detector, and what to do."""
    there = detectors_of(learn)
    why = f"no learning sequence's name ends in -{detector}"
    todo = f"Add sequences NAME-{detector} with labels to learn from"
    if detector == "public":
        ending = next((name for name in there if name != "public"), "SDP")
        why = "the sequence's name does not end in one"
        todo = f"Rename its folder to NAME-{ending} where those are its boxes"
    return NotComputable(
        f"ATL is learned for each detector apart, and {why}; learned are: {', '.join(there) or 'none'}. {todo}, or "
        "take a threshold that is not learned, such as `--threshold default`"
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
    """What a trained ATL depends on: beside its settings all that its grid search depends on."""
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
    return {**inputs, "learn": learned_from(run, rule.learn), "training": run.settings.training}


@stage("atl", atl_inputs, ATL_CODE, memory=512)
def train_atl(run: Run, rule: Threshold, detector: str) -> list[Fitted]:
    """ATL of all seeds that train with the rule's, for one public detector: each one's scores have their own range.

    Searched offsets, MSFP-Track's thresholds, are fine-tuned jointly right after: `Fitted.joint`.
    """
    if not (known := having(rule.learn, detector)):
        raise _unlearned(rule.learn, detector)
    atl, training, seeds = atl_settings(run, rule.changes), run.settings.training, together(run, rule.seed)
    if rule.supervision == "idf1":
        stretches = [clip for part, sequence in known for clip in clips(run, part, sequence)]
        return [fit_surrogate(stretches, atl, training, one) for one in seeds]
    chosen = sequence_targets(run, rule, detector)
    scene = np.concatenate([scene_vectors(run, part) for part in chosen])
    target = np.concatenate([np.repeat(best[None], part.length, axis=0) for part, best in chosen.items()])  # eq. 9
    joint = rule.mode == "offset" and rule.supervision == "grid" and not rule.changes
    return fit_threshold(rule.mode, scene, target, atl, training, seeds, joint=joint)


def taught(run: Run, rule: Threshold) -> Threshold:
    """ATL's rule as it is trained: what the encoder predicts, for all seeds, less what only its use depends on."""
    centered = rule.mode == "offset" and atl_settings(run, rule.changes).offset == "centered"
    mode: Mode = "single" if centered else rule.mode
    alone = Threshold("atl", mode=mode, learn=rule.learn, seed=together(run, rule.seed)[0])
    if rule.joint and alone.mode == "offset":  # joint fine-tuning is that of the run's settings
        return alone
    changes = tuple((name, value) for name, value in rule.changes if name != "offset")
    return replace(alone, supervision=rule.supervision, changes=changes)


def atl_rule(run: Run, rule: Threshold, detector: str) -> tuple[Mode, float, dict[str, NDArray[np.float32]]]:
    """What the encoder predicts, what a centred offset is relative to, and the encoder's state, alone or joint."""
    alone, center = taught(run, rule), 0.0
    if alone.mode != rule.mode:
        center = float(np.mean([s.best[0] for s in targets(run, rule.learn, detector, alone.mode).values()]))
    data.need_pixels(rule.learn)
    found = train_atl(run, alone, detector)[together(run, rule.seed).index(rule.seed)]
    if rule.joint and alone.mode == "offset":
        assert found.joint is not None, "searched offsets are fine-tuned"
        found = found.joint
    return alone.mode, center, found.state
