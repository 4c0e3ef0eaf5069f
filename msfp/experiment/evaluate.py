"""Trackers on clips: one row a sequence, seed and method in a tidy frame, combined as TrackEval combines."""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.errors import InputError, NotComputable
from msfp.experiment.clip import Clip, as_detections, tracks_frame
from msfp.experiment.trained import Trained
from msfp.metrics import additive_scores, statistics, tracking
from msfp.metrics.score import SequenceScore
from msfp.metrics.statistics import Sample
from msfp.pipeline import scores
from msfp.pipeline.camera import default_camera, part_warps
from msfp.pipeline.data import Part
from msfp.pipeline.heads import ATTENTION, TRAINING_FREE, Appearance, appearance
from msfp.pipeline.run import Run
from msfp.pipeline.search import member
from msfp.pipeline.tracks import Method as Configured
from msfp.pipeline.tracks import Threshold, frame_thresholds, settled
from msfp.tracking import make
from msfp.tracking import track as follow

MEASURES = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
ATL_RULE = "atl"
LEADING = ("row", "seed", "scene", "detector")


@dataclass(frozen=True)
class Method:
    """A row of a tracking table.

    Attributes:
        row: its label.
        tracker: registered tracker, see `msfp list trackers`.
        embedding: a fusion strategy, `reid` (the separate network) or a trained head; None: motion only.
        thresholds: (high, low), or "atl": the scene's own, of ATL's offsets; None: the tracker's.
        camera: how camera motion is compensated: `none`, `ecc`, `sparse-flow`; None: as the tracker was released.
        options: settings of the tracker. What is left open is selected on the learning part, as `tuning` says.
    """

    row: str
    tracker: str
    embedding: str | Trained | None = None
    thresholds: tuple[float, float] | str | None = None
    camera: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def configured(self, learn: tuple[Part, ...], seed: int) -> Configured:
        """The method as the pipeline runs it; a head of one's own is replaced by the paper's, whose settings it gets.

        Raises:
            InputError: thresholds that are neither two numbers nor `atl`.
        """
        strategy = ATTENTION if isinstance(self.embedding, Trained) else self.embedding
        look = None if strategy is None else appearance(strategy, learn, seed)
        return Configured(
            self.row,
            self.tracker,
            look,
            self._rule(learn, seed),
            tuple(sorted(self.options.items())),
            default_camera(self.tracker) if self.camera is None else self.camera,
            learn=learn,
        )

    def _rule(self, learn: tuple[Part, ...], seed: int) -> Threshold:
        if self.thresholds is None:
            return Threshold()
        if self.thresholds == ATL_RULE:
            return Threshold("atl", mode="offset", learn=learn, seed=seed)
        if isinstance(self.thresholds, str) or len(self.thresholds) != 2:
            raise InputError(f"{self.row}: thresholds {self.thresholds!r}; give (high, low), 'atl', or None")
        high, low = self.thresholds
        return Threshold("fixed", float(high), float(low))


def evaluate(run: Run, methods: Iterable[Method], clips: ListLike[Clip], learn: tuple[Part, ...]) -> pd.DataFrame:
    """Every method on every public detector's boxes of every clip, once a seed where something is random.

    Returns:
        A tidy frame: row, seed, scene, detector; HOTA, AssA, DetA, IDF1, MOTA in percent and IDSW; `score`, the sums
        from which `combine` combines them; `reason` where there is no score.
    """
    rows: list[dict[str, object]] = []
    methods = list(methods)
    registered: dict[Configured, tuple[str, int]] = {}
    for method in methods:
        if isinstance(method.embedding, Trained):
            for clip in clips:
                for detector in clip.detectors:
                    found, reason = None, ""
                    try:
                        found = _of_own(run, method, method.embedding, clip, detector, learn)
                    except NotComputable as error:
                        reason = str(error)
                    rows.append(_row(method.row, method.embedding.seed, clip.name, detector, found, reason))
            continue
        free = method.embedding in (None, *TRAINING_FREE) and method.thresholds != ATL_RULE
        for seed in run.settings.seeds[:1] if free else run.settings.seeds:
            registered[method.configured(learn, seed)] = method.row, seed
    for one in scores.measure(run, registered, [clip.part for clip in clips], "tracking"):
        label, seed = registered[one.method]
        rows.append(_row(label, seed, one.part.scene.name, one.sequence.detector, one.score, one.reason))
    order = {method.row: place for place, method in enumerate(methods)}
    rows.sort(key=lambda row: order[str(row["row"])])
    return pd.DataFrame(rows, columns=[*LEADING, *MEASURES, "score", "reason"])


def _of_own(
    run: Run, method: Method, head: Trained, clip: Clip, detector: str, learn: tuple[Part, ...]
) -> SequenceScore:
    """Score of a head of one's own, tracked with the settings that are selected for the paper's.

    Raises:
        InputError: the method asks for ATL.
        NotComputable: frames are missing, or settings cannot be selected.
    """
    if method.thresholds == ATL_RULE:
        raise InputError(f"{method.row}: ATL is learned with the paper's heads; give (high, low) beside your own")
    chosen = settled(run, method.configured(learn, head.seed))
    sequence = member(clip.part, detector)
    taus = frame_thresholds(run, clip.part, sequence, chosen)
    warps = None if chosen.camera == "none" else part_warps(run, clip.part, chosen.camera)
    tracker = make(chosen.tracker, fps=clip.fps, **dict(chosen.options))
    found = as_detections(clip.detections(detector))
    return clip.score(
        tracks_frame(follow(tracker, found, clip.length, head.embed(clip.part, detector), taus, warps=warps))
    )


def _row(
    label: str, seed: int, scene: str, detector: str, score: SequenceScore | None, reason: str = ""
) -> dict[str, object]:
    known: dict[str, object] = {} if score is None else dict(zip(MEASURES, measures(score), strict=True))
    return {"row": label, "seed": seed, "scene": scene, "detector": detector, **known, "score": score, "reason": reason}


def measures(score: SequenceScore) -> pd.Series:
    """HOTA, AssA, DetA, IDF1 and MOTA in percent, and identity switches."""
    return pd.Series(scores.percents(score))


def combine(evaluated: pd.DataFrame, by: ListLike[str] | str = ("row", "seed")) -> pd.DataFrame:
    """Combine the sequences of each group as TrackEval's COMBINED row does: sums are added, ratios taken of the sums.

    Args:
        evaluated: of `run.evaluate`.
        by: columns that make a group.

    Raises:
        InputError: no such column, or no sums.
        NotComputable: a sequence has no score; says why.
    """
    keys = [by] if isinstance(by, str) else list(by)
    if missing := [name for name in (*keys, "score") if name not in evaluated]:
        raise InputError(f"column {missing[0]!r} is not in the frame; combine what run.evaluate gives")
    if len(absent := evaluated[evaluated["score"].isna()]):
        raise NotComputable("; ".join(sorted(set(absent["reason"]))))
    found = {}
    for key, group in evaluated.groupby(keys, sort=False):
        found[key] = measures(tracking.combine(dict(enumerate(group["score"]))).combined)  # type: ignore[arg-type]
    index = pd.MultiIndex.from_tuples(list(found), names=keys)
    return pd.DataFrame(list(found.values()), index=index if len(keys) > 1 else index.get_level_values(0))


def difference(evaluated: pd.DataFrame, row: str, other: str, measure: str = "HOTA") -> Sample:
    """Difference of two rows, with what is known about its spread over scenes and seeds.

    Args:
        evaluated: of `run.evaluate`.
        row, other: labels of rows measured on the same sequences.
        measure: one of HOTA, AssA, DetA, IDF1, MOTA, IDSW.

    Returns:
        A sample: `.value`, `.interval()`, `.over`, `.error` (standard error and its degrees of freedom).

    Raises:
        InputError: no such row or measure.
        NotComputable: a sequence has no score, or the rows were measured on different scenes.
    """
    return statistics.difference(_sample(evaluated, row, measure), _sample(evaluated, other, measure))


def _sample(evaluated: pd.DataFrame, row: str, measure: str) -> Sample:
    """A row's combined measure for each seed, and in bootstrap draws of scenes."""
    mine = evaluated[evaluated["row"] == row]
    if mine.empty:
        raise InputError(f"row {row!r} is not in the frame; there are: {', '.join(evaluated['row'].unique())}")
    if len(absent := mine[mine["score"].isna()]):
        raise NotComputable("; ".join(sorted(set(absent["reason"]))))
    scenes = tuple(sorted(mine["scene"].unique()))
    sums = np.stack(
        [
            np.stack([additive_scores.contributions(one["score"]).sum(axis=0) for _, one in group.groupby("scene")])
            for _, group in mine.groupby("seed")
        ]
    )  # (K, U, WIDTH)
    drawn = np.einsum("bu,kuw->bkw", statistics.draws(scenes), sums)
    return Sample(additive_scores.measure(sums.sum(axis=1), measure), additive_scores.measure(drawn, measure), scenes)


def track(
    tracker: str,
    detections: pd.DataFrame,
    embeddings: NDArray[np.floating] | None = None,
    thresholds: tuple[float, float] | NDArray[np.floating] | None = None,
    *,
    length: int | None = None,
    warps: NDArray[np.float64] | None = None,
    **settings: object,
) -> pd.DataFrame:
    """Follow people through a sequence with a compiled tracker.

    Args:
        tracker: registered name, see `msfp list trackers`.
        detections: frame, x1, y1, x2, y2, score; sorted by frame, from 1.
        embeddings: (N, D), a row a detection.
        thresholds: (high, low), or (T, 2) of each frame; None: the tracker's own.
        length: number of frames T; None: up to the last detection.
        warps: (T, 2, 3) camera motion from the frame before.
        **settings: of the tracker, such as `fps`, `match`, `buffer`.

    Returns:
        frame, id, x1, y1, x2, y2, score; a row a tracked box.

    Raises:
        InputError: unknown tracker or setting, or frames that do not fit each other.
    """
    found = as_detections(detections)
    count = length if length is not None else int(found.frame.max(initial=0))
    taus = None if thresholds is None else np.asarray(thresholds, np.float32)
    if taus is not None and taus.shape == (2,):
        taus = np.tile(taus, (count, 1))
    return tracks_frame(follow(make(tracker, **settings), found, count, embeddings, taus, warps=warps))


def embedding_of(run: Run, name: str, learn: tuple[Part, ...], seed: int) -> Appearance:
    """An embedding by its strategy's name, `native`, or with other detector weights, `native@random-init`."""
    strategy, _, weights = name.partition("@")
    return appearance(strategy, learn, seed, weights=weights)
