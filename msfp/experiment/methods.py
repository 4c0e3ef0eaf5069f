"""Rows of tracking tables: tracker, embedding and thresholds; evaluated on folds into one tidy frame of sums."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.errors import InputError, NotComputable, each_once
from msfp.experiment import data, scores
from msfp.experiment.clip import as_detections, tracks_frame
from msfp.experiment.data import Fold, Part
from msfp.experiment.heads import ATTENTION, Appearance, Trained, appearance, seeded
from msfp.experiment.passes import JOINT, default_camera, part_warps
from msfp.experiment.run import Run
from msfp.experiment.scores import learn_all
from msfp.experiment.thresholds import Supervision, Threshold
from msfp.experiment.tracks import Method as Configured
from msfp.experiment.tracks import Recovery, frame_thresholds, settled, settled_as
from msfp.heads.threshold import Mode
from msfp.metrics import bootstrap
from msfp.metrics import scores as trackeval
from msfp.metrics.bootstrap import Sample, Tracked
from msfp.metrics.scores import SequenceScore
from msfp.tracking import make
from msfp.tracking import track as follow
from msfp.tracking.thresholds import Temporal
from msfp.types import Sequence, Tracks

Learn = tuple[Part, ...]


@dataclass(frozen=True)
class Method:
    """A row of a tracking table.

    Example:
        >>> msfp.Method("mine", "msfp-attention", "native", thresholds=(0.6, 0.1), options={"buffer": 10}).row
        'mine'
    """

    row: str  # its label
    tracker: str  # see `msfp list trackers`
    # a fusion strategy, `reid` (the separate network), either with other layers, pooling or weights, or a trained head;
    # None: motion only
    embedding: str | Appearance | Trained | None = None
    # (high, low); `atl(...)`, `searched()`, `policy(...)`; "atl": its offsets; None: the tracker's
    thresholds: Threshold | tuple[float, float] | str | None = None
    camera: str | None = None  # compensated by `none`, `ecc`, `sparse-flow`; None: as the tracker was released
    # settings of the tracker; what is left open is selected on the learning part, as `tuning` says
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    joint: bool = False  # head and ATL are fine-tuned together (A.6)
    recovery: bool = False  # looks again for tracks without a detection, re-derived after BUSCA; adds boxes
    boxes: Literal["public", "joint"] = "public"  # which are tracked: detections, or those of the joint network
    like: "Method | Configured | None" = None  # whose selected settings it takes: ablations change one thing alone
    remark: str = ""  # said with the row's numbers

    @property
    def template(self) -> Appearance | None:
        """The embedding before anything is learned; a head of one's own is replaced by the paper's."""
        if isinstance(self.embedding, Trained):
            return Appearance(ATTENTION)
        return Appearance(self.embedding) if isinstance(self.embedding, str) else self.embedding

    @property
    def rule(self) -> Threshold:
        """The thresholds before anything is learned; InputError for what is none of these."""
        given = self.thresholds
        if given is None or isinstance(given, Threshold):
            return given or Threshold()
        if given == "atl":
            return atl("offset")
        if isinstance(given, str) or len(given) != 2:
            raise InputError(f"{self.row}: thresholds {given!r}; give (high, low), 'atl', or None")
        return fixed(*given)

    @property
    def random(self) -> bool:
        """Whether the seed matters: a head, ATL or recovery is trained for it."""
        look = self.template
        trained = look is not None and look.strategy != JOINT and seeded(look.strategy)
        return trained or self.rule.kind == "atl" or self.recovery

    def configured(self, learn: Learn, seed: int, select: Learn = (), atl: Learn = ()) -> Configured:
        """The method as the pipeline runs it; `seed` of head, ATL and recovery.

        Its head learns from `learn`; open settings are selected on `select` (empty: `learn`); ATL learns from `atl`,
        then alone (empty: `learn`).
        """
        look, rule = self.template, self.rule
        if look is not None and look.strategy != JOINT:
            look = learned(look, learn, seed, joint=self.joint)
        if rule.kind == "atl":
            rule = replace(rule, learn=atl or learn, seed=seed, joint=self.joint and not atl)
        elif rule.kind == "grid":
            rule = replace(rule, learn=atl or learn)
        camera = default_camera(self.tracker) if self.camera is None else self.camera
        options = tuple(sorted(self.options.items()))
        recovery = Recovery(learn, seed) if self.recovery else None
        return Configured(self.row, self.tracker, look, rule, options, camera, self.boxes, recovery, select or learn)

    def each_seed(self, learn: Learn, seeds: Iterable[int], select: Learn = (), atl: Learn = ()) -> list[Configured]:
        """One method a seed; one in all where nothing is random."""
        chosen = tuple(seeds)
        return [self.configured(learn, seed, select, atl) for seed in (chosen if self.random else chosen[:1])]

    def but(self, **changes: object) -> "Method":
        """The method with other attributes."""
        return replace(self, **changes)  # type: ignore[arg-type]


def fixed(high: float, low: float) -> Threshold:
    """The same thresholds everywhere.

    Example:
        >>> rule = msfp.fixed(0.6, 0.1)
        >>> rule.high, rule.low
        (0.6, 0.1)
    """
    return Threshold("fixed", float(high), float(low))


def atl(
    mode: Mode = "single", temporal: Temporal | None = None, supervision: Supervision = "grid", **changes: object
) -> Threshold:
    """ATL's thresholds (eqs. 6 to 9), with settings other than the run's such as `beta=0.7`.

    `mode`: `single`, `dual` or `offset`. `temporal`: `ema`, `frame` or `sequence`; None: the run's. `supervision` is
    what teaches it: `grid`, `idf1`, `statistics`, `consistency`.

    Example:
        >>> rule = msfp.atl("offset", beta=0.7)
        >>> rule.kind
        'atl'
    """
    if base := sorted({"base_high", "base_low"} & set(changes)):
        raise InputError(f"atl({base[0]}=...): what offsets are added to is the run's; set -p atl.{base[0]}")
    kept = tuple(sorted(changes.items()))
    return Threshold("atl", mode=mode, temporal=temporal, supervision=supervision, changes=kept)


def searched() -> Threshold:
    """The optimum of a grid search on the same sequence's learning part.

    Example:
        >>> msfp.Method("row", "bytetrack", thresholds=msfp.searched()).rule == msfp.searched()
        True
    """
    return Threshold("grid")


def bound() -> Threshold:
    """The optimum of a grid search on the evaluated frames themselves."""
    return Threshold("oracle")


def policy(name: str) -> Threshold:
    """A registered rule that sees scores only.

    Example:
        >>> msfp.policy("percentile").policy
        'percentile'
    """
    return Threshold("policy", policy=name)


def learned(embedding: str | Appearance, learn: ListLike[Part], seed: int, *, joint: bool = False) -> Appearance:
    """An embedding, by name with other detector weights `native@random-init`, with what it learns from and its seed."""
    if isinstance(embedding, str):
        strategy, _, weights = embedding.partition("@")
        embedding = Appearance(strategy, weights=weights)
    kept = {"layers": embedding.layers, "weights": embedding.weights, "pooling": embedding.pooling}
    return appearance(embedding.strategy, learn, seed, joint=joint, **kept)


def looks_of_seeds(
    embedding: str | Appearance, learn: ListLike[Part], seeds: ListLike[int], *, joint: bool = False
) -> list[Appearance]:
    """An embedding with what it learns from: one a seed, one in all where it is training-free."""
    return list(dict.fromkeys(learned(embedding, learn, seed, joint=joint) for seed in seeds))


MEASURES = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
COLUMNS = ("row", "seed", "scene", "detector", *MEASURES, "score", "reason", "remark", "of")
NO_SEQUENCE = "no such sequence is present"


def evaluate(run: Run, methods: Iterable[Method], folds: Iterable[Fold]) -> pd.DataFrame:
    """Every method on every public detector's boxes of every evaluated part, once a seed where something is random.

    What is learned is learned on the fold's learning parts. Where one cannot be computed, the others still are.
    Returns a tidy frame: row, seed, scene, detector; HOTA, AssA, DetA, IDF1, MOTA in percent and IDSW; `score`, the
    sums that `combine` adds up; `reason` where there is no score, `remark` of the method, `of`, what was measured.
    """
    rows, chosen = list(methods), list(folds)
    made = {id(row): [configured(run, row, fold) for fold in chosen] for row in rows}
    ready = [row for row in rows if not isinstance(row.embedding, Trained)]
    if len(chosen) > 1:  # of all folds at once, as each alone is little
        every = [m for row in ready for fold in made[id(row)] for m in fold if scores.affordable(run, m)]
        learn_all(run, every, [p for fold in chosen for p in fold.evaluate])
    found: dict[tuple[int, Configured], list[scores.Measured]] = {}
    for number, fold in enumerate(chosen):
        mine = [m for row in ready for m in made[id(row)][number]]
        for one in scores.measure(run, mine, fold.evaluate, f"tracking, {fold.name}"):
            found.setdefault((number, one.method), []).append(one)
    frames = []
    for row in rows:
        if isinstance(row.embedding, Trained):
            lines = [line for fold in chosen for line in _of_own(run, row, row.embedding, fold)]
        else:
            places = [(n, k) for k in range(len(run.settings.seeds) if row.random else 1) for n in range(len(chosen))]
            each = [(k, one) for n, k in places for one in found.get((n, made[id(row)][n][k]), [])]
            lines = [_line(row, run.settings.seeds[k], one) for k, one in each]
        frames += lines or [_line(row)]
    return pd.DataFrame(frames, columns=COLUMNS)


def configured(run: Run, row: Method, fold: Fold) -> list[Configured]:
    """A row on a fold, one method a seed, with another method's settings where it is `like` one."""
    made, like = row.each_seed(fold.learn, run.settings.seeds, fold.select, fold.atl), row.like
    if isinstance(like, Method):
        like = like.configured(fold.learn, run.settings.seeds[0], fold.select, fold.atl)
    return made if like is None else settled_as(run, made, like)


def as_frame(label: str, measured: Iterable[scores.Measured], remark: str = "") -> pd.DataFrame:
    """Measurements that no method of a table made, such as imported results or a ceiling, as `evaluate` gives them."""
    row = Method(label, "", remark=remark)
    return pd.DataFrame([_line(row, 0, one) for one in measured] or [_line(row)], columns=COLUMNS)


def _of_own(run: Run, method: Method, head: Trained, fold: Fold) -> Iterator[dict[str, object]]:
    """Lines of a head of one's own, tracked with the settings that are selected for the paper's."""
    if method.rule.kind == "atl":
        raise InputError(f"{method.row}: ATL is learned with the paper's heads; give (high, low) beside your own")
    model = method.configured(fold.learn, head.seed, fold.select)

    def tracks(part: Part, sequence: Sequence) -> Tracks:
        chosen = settled(run, model)
        taus = frame_thresholds(run, part, sequence, chosen)
        warps = None if chosen.camera == "none" else part_warps(run, part, chosen.camera)
        tracker = make(chosen.tracker, fps=sequence.fps, **dict(chosen.options))
        boxes, vectors = data.window(data.detections(sequence), part), head.embed(part, sequence.detector)
        return follow(tracker, boxes, part.length, vectors, taus, warps=warps)

    for part in fold.evaluate:
        for sequence in data.sequences(part):
            yield _line(method, head.seed, scores.measured(run, model, part, sequence, partial(tracks, part, sequence)))


def _line(row: Method, seed: int = 0, one: scores.Measured | None = None) -> dict[str, object]:
    """A line of the frame; of a row without a sequence that says so."""
    found: dict[str, object] = {"row": row.row, "seed": seed, "remark": row.remark, "of": one}
    if one is None:
        return {**found, "scene": "", "detector": "", "score": None, "reason": NO_SEQUENCE}
    known = {} if one.score is None else scores.percents(one.score)
    place = {"scene": one.part.scene.name, "detector": one.sequence.detector}
    return {**found, **place, **known, "score": one.score, "reason": one.reason}


def measures(score: SequenceScore) -> pd.Series:
    """HOTA, AssA, DetA, IDF1 and MOTA in percent, and identity switches.

    Example:
        >>> tracks = msfp.track("sort", clip.detections(clip.detectors[0]))
        >>> list(msfp.measures(clip.score(tracks)).index)
        ['HOTA', 'AssA', 'DetA', 'IDF1', 'MOTA', 'IDSW']
    """
    return pd.Series(scores.percents(score))


def combine(evaluated: pd.DataFrame, by: ListLike[str] | str = ("row", "seed")) -> pd.DataFrame:
    """Combine the sequences of each group as TrackEval's COMBINED row does: sums are added, ratios taken of the sums.

    `evaluated` comes of `run.evaluate`; `by` names the columns that make a group. NotComputable says why a sequence
    has no score.

    Example:
        >>> frame = run.evaluate([msfp.Method("SORT", "sort")], fold)
        >>> list(msfp.combine(frame, by="row").index)
        ['SORT']
    """
    keys = [by] if isinstance(by, str) else list(by)
    if missing := [name for name in (*keys, "score") if name not in evaluated]:
        raise InputError(f"column {missing[0]!r} is not in the frame; combine what run.evaluate gives")
    need_scores(evaluated)
    found = {}
    for key, group in evaluated.groupby(keys, sort=False):
        found[key] = measures(trackeval.combine(dict(enumerate(group["score"]))).combined)  # type: ignore[arg-type]
    index = pd.MultiIndex.from_tuples(list(found), names=keys)
    return pd.DataFrame(list(found.values()), index=index if len(keys) > 1 else index.get_level_values(0))


def difference(evaluated: pd.DataFrame, row: str, other: str, measure: str = "HOTA") -> Sample:
    """Difference of two rows of `run.evaluate` in HOTA, AssA, DetA, IDF1, MOTA or IDSW, with its spread.

    A sample has `.value`, `.interval()`, `.over`, `.error` (standard error and its degrees of freedom). NotComputable:
    a sequence has no score, or the rows were measured on different scenes.

    Example:
        >>> rows = [msfp.Method("SORT", "sort"), msfp.Method("ByteTrack", "bytetrack")]
        >>> sample = msfp.difference(run.evaluate(rows, fold), "SORT", "ByteTrack")
        >>> isinstance(sample.value, float)
        True
    """
    return bootstrap.difference(*(tracked(of_row(evaluated, name)).sample(measure) for name in (row, other)))


def of_row(evaluated: pd.DataFrame, row: str) -> pd.DataFrame:
    mine = evaluated[evaluated["row"] == row]
    if mine.empty:
        raise InputError(f"row {row!r} is not in the frame; there are: {', '.join(evaluated['row'].unique())}")
    return mine


def need_scores(evaluated: pd.DataFrame) -> None:
    """Raise NotComputable, with every reason, unless every line has a score."""
    if len(absent := evaluated[evaluated["score"].isna()]):
        raise NotComputable(each_once(sorted(set(absent["reason"]))))


def tracked(evaluated: pd.DataFrame) -> Tracked:
    """The sums of one row's lines, seed by seed and sequence by sequence; NotComputable where a score is missing."""
    need_scores(evaluated)
    groups = [group for _, group in evaluated.groupby("seed", sort=False)]
    sums = np.stack([trackeval.contributions(list(group["score"])) for group in groups])
    return Tracked(tuple(groups[0]["scene"]), sums)


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
    """Follow people through a sequence with a compiled tracker: frame, id, x1, y1, x2, y2, score, a row a tracked box.

    `detections`: frame, x1, y1, x2, y2, score; sorted by frame, from 1. `embeddings`: (N, D), a row a detection.
    `thresholds`: (high, low), or (T, 2) of each frame; None: the tracker's own. `length`: T; None: up to the last
    detection. `warps`: (T, 2, 3) camera motion from the frame before. `settings`: such as `fps`, `match`, `buffer`.

    Example:
        >>> boxes = pd.DataFrame({"frame": [1, 2, 3], "x1": 10.0, "y1": 10.0, "x2": 50.0, "y2": 100.0, "score": 0.9})
        >>> tracks = msfp.track("sort", boxes, fps=30)
        >>> list(tracks)
        ['frame', 'id', 'x1', 'y1', 'x2', 'y2', 'score']
    """
    found = as_detections(detections)
    count = length if length is not None else int(found.frame.max(initial=0))
    taus = None if thresholds is None else np.asarray(thresholds, np.float32)
    if taus is not None and taus.shape == (2,):
        taus = np.tile(taus, (count, 1))
    return tracks_frame(follow(make(tracker, **settings), found, count, embeddings, taus, warps=warps))
