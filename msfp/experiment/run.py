"""The verbs of a run in a notebook: data, heads, embeddings, trackers, scores; each a thin front of the pipeline."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as ListLike
from typing import ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.engine.typed import need_originals
from msfp.errors import InputError
from msfp.experiment.cached import Cached
from msfp.experiment.clip import Clip
from msfp.experiment.evaluate import as_frame, embedding_of, evaluate
from msfp.experiment.maps import Maps, feature_maps
from msfp.experiment.method import Method, looks_of_seeds
from msfp.experiment.trained import Trained, train
from msfp.heads.fusion import FusionHead
from msfp.heads.fusion_steps import Loss
from msfp.heads.sampling import Labels
from msfp.metrics.reid import evaluate_reid
from msfp.pipeline import data
from msfp.pipeline.data import Fold, Part
from msfp.pipeline.embeddings import embeddings
from msfp.pipeline.features import TRUTH, features, layers, scene_vectors
from msfp.pipeline.heads import Appearance, training_set
from msfp.pipeline.reid import PAIR_SEED, paper_parts, usable
from msfp.pipeline.reid import measure as measure_reid
from msfp.pipeline.run import Run
from msfp.pipeline.scores import ceilings
from msfp.pipeline.search import member, search
from msfp.pipeline.tracks import frame_thresholds

Inputs = ParamSpec("Inputs")
Result = TypeVar("Result")
LABELS = "labels"
CEILING = "recall ceiling"
REID = ("auc", "gap", "hard_auc", "first_of_two")


class Experiment(Run):
    """A run whose parts are at hand: `run.clips()`, `run.train(...)`, `run.embed(...)`, `run.evaluate(...)`."""

    def fold(self, dataset: str = "") -> Fold:
        """The first validation fold of a data set (the main one unless named): `.learn` and `.evaluate` parts.

        Raises:
            NotComputable: no training sequence with labels is there.
        """
        return data.folds(self, dataset or self.settings.data.main)[0]

    def clips(self, parts: ListLike[Part] | None = None) -> list[Clip]:
        """Parts as clips; None: those that the validation fold evaluates.

        Raises:
            NotComputable: no training sequence with labels is there.
        """
        return [Clip(self, part) for part in (self.fold().evaluate if parts is None else parts)]

    def reid_clips(self) -> list[Clip]:
        """The clips of section 4.2: scenes 02, 04 and 09 (all where there are none such), at most 150 frames each."""
        return self.clips(paper_parts(self.fold().evaluate, self))

    def test_clips(self) -> list[Clip]:
        """The test split where its labels are at hand, else the validation clips.

        Raises:
            NotComputable: neither is there.
        """
        folds, _ = data.judged_folds(self, self.settings.data.main)
        return self.clips(folds[0].evaluate)

    def features(self, clip: Clip, boxes: str = LABELS) -> dict[int, NDArray[np.float16]]:
        """Mean-pooled RoIAligned vectors of a clip's boxes (eq. 1): tapped layer -> (N, C).

        Args:
            clip: which frames.
            boxes: `labels` (rows of `clip.labels()`), or a public detector (rows of `clip.detections(...)`).

        Raises:
            NotComputable: frames are missing.
        """
        data.need_pixels((clip.part,))
        found = layers(features(self, clip.part.scene)[TRUTH if boxes == LABELS else boxes], clip.part)
        rows = _rows(clip, boxes)
        return {layer: vectors[rows] for layer, vectors in found.items()}

    def maps(self, clip: Clip, frame: int) -> "Maps":
        """The frozen detector's tapped maps of one frame, and where boxes lie in them.

        Raises:
            InputError: the frame is not there.
        """
        return feature_maps(self, clip, frame)

    def scene_vectors(self, clip: Clip) -> NDArray[np.float16]:
        """(T, C) mean of the scene layer over the whole image, a row a frame: what ATL sees (eq. 6)."""
        return scene_vectors(self, clip.part)

    def training_set(self, learn: ListLike[Part] | None = None) -> tuple[dict[int, NDArray[np.float16]], Labels]:
        """Vectors that heads learn from, tapped layer -> (N, C), and the scene, frame and identity of each row."""
        return training_set(self, tuple(self.fold().learn if learn is None else learn))

    def train(
        self,
        head: str | type[FusionHead],
        learn: ListLike[Part] | None = None,
        *,
        seed: int = 0,
        loss: Loss | None = None,
        name: str = "",
    ) -> Trained:
        """A trained head: of a registered strategy, or of a class and a loss that stand in a cell.

        See `msfp.experiment.trained.train`.
        """
        need_originals()
        return train(self, head, tuple(self.fold().learn if learn is None else learn), seed, loss, name)

    def embed(
        self,
        head: str | Trained,
        clip: Clip,
        boxes: str = LABELS,
        *,
        seed: int = 0,
        learn: ListLike[Part] | None = None,
    ) -> NDArray[np.float32]:
        """(N, D) unit embeddings of a clip's boxes.

        Args:
            head: a trained head; or a strategy by name, `native` or `reid`, with other detector weights as
                `native@random-init`.
            clip: which frames.
            boxes: `labels` (rows of `clip.labels()`), or a public detector (rows of `clip.detections(...)`).
            seed: of a strategy's head.
            learn: what a strategy's head learned from; None: the fold's learning parts.

        Raises:
            InputError: unknown strategy.
            NotComputable: frames are missing.
        """
        which = TRUTH if boxes == LABELS else boxes
        if isinstance(head, Trained):
            return head.embed(clip.part, which)[_rows(clip, boxes)]
        parts = tuple(self.fold().learn if learn is None else learn)
        return embeddings(self, clip.part, which, embedding_of(self, head, parts, seed))[_rows(clip, boxes)]

    def reid(self, heads: Iterable[str | Trained] | str | Trained, clips: ListLike[Clip] | None = None) -> pd.DataFrame:
        """Section 4.2 for embeddings: name, seed, scene, auc, gap, hard_auc, first_of_two; a row a clip and seed.

        Args:
            heads: trained heads, or strategies (with every seed of the run where something is random).
            clips: None: those of section 4.2.
        """
        given = [heads] if isinstance(heads, str | Trained) else list(heads)
        chosen = self.reid_clips() if clips is None else list(clips)
        rows = []
        for head in given:
            if isinstance(head, Trained):
                measured = [(head.name, head.seed, clip, self._told_apart(head, clip)) for clip in chosen]
            else:
                looks = self.embedding(head)
                found = measure_reid(self, looks, [clip.part for clip in chosen], "re-identification")
                measured = [
                    (head, seed, clip, {name: getattr(one, name) for name in REID})
                    for seed, look in zip(self.settings.seeds, looks, strict=False)
                    for clip, one in zip(chosen, usable(found[look]), strict=True)
                ]
            rows += [{"name": name, "seed": seed, "scene": clip.name, **told} for name, seed, clip, told in measured]
        return pd.DataFrame(rows)

    def _told_apart(self, head: Trained, clip: Clip) -> dict[str, float]:
        config = self.settings.reid
        pairs = {"frames": config.frames, "max_gap": config.max_gap, "negatives": config.negatives}
        found = measure(self.embed(head, clip), clip.labels(), **pairs)
        return {name: found[name] for name in REID}

    def embedding(self, name: str | Appearance, learn: ListLike[Part] | None = None) -> list[Appearance]:
        """An embedding, `concat` or with other detector weights `native@random-init`, with what it learns from.

        One a seed of the run, one in all where it is training-free. `learn`: None: the fold's learning parts.
        """
        parts = self.fold().learn if learn is None else tuple(learn)
        if isinstance(name, str):
            strategy, _, weights = name.partition("@")
            name = Appearance(strategy, weights=weights)
        return looks_of_seeds(name, parts, self.settings.seeds)

    def evaluate(
        self,
        methods: Iterable[Method],
        on: Fold | ListLike[Fold] | ListLike[Clip] | None = None,
        learn: ListLike[Part] | None = None,
    ) -> pd.DataFrame:
        """Every method on every public detector's boxes of every clip; see `msfp.combine` for the whole.

        Args:
            methods: rows.
            on: folds, which also say what is learned from, or clips; None: the validation fold.
            learn: of clips, what heads and ATL learn from, and settings are selected on; None: the validation fold's
                learning parts.
        """
        need_originals()
        return evaluate(self, methods, self._folds(on, learn))

    def _folds(self, on: Fold | ListLike[Fold] | ListLike[Clip] | None, learn: ListLike[Part] | None) -> list[Fold]:
        given = [on] if isinstance(on, Fold) else list(self.clips() if on is None else on)
        folds = [one for one in given if isinstance(one, Fold)]
        clips = tuple(one.part for one in given if isinstance(one, Clip))
        if not clips:
            return folds
        return [*folds, Fold("clips", tuple(self.fold().learn if learn is None else learn), clips)]

    def ceiling(self, folds: Iterable[Fold]) -> pd.DataFrame:
        """What no tracker that adds no box can exceed, as `evaluate` gives it."""
        parts = [p for fold in folds for p in fold.evaluate]
        return as_frame(CEILING, ceilings(self, parts))

    def thresholds(self, method: Method, clip: Clip, detector: str, *, seed: int = 0) -> NDArray[np.float32] | None:
        """(T, 2) tau_high and tau_low that a method gives its tracker; None: the tracker's own."""
        made = method.configured(tuple(self.fold().learn), seed)
        return frame_thresholds(self, clip.part, member(clip.part, detector), made)

    def grid(
        self, clip: Clip, detector: str, tracker: str = "bytetrack", options: Mapping[str, object] | None = None
    ) -> pd.Series:
        """HOTA in percent of each threshold of A.2's grid, tracked without appearance; kept in the store.

        Raises:
            NotComputable: the clip has no labels to learn from, or no such detections.
        """
        chosen = tuple(sorted((options or {}).items()))
        found = search(self, clip.part, member(clip.part, detector), "single", None, tracker, chosen)
        return pd.Series(100 * found.hota, index=pd.Index(found.grid[:, 0].round(6), name="tau"), name="HOTA")

    def cached(self, function: Callable[Inputs, Result]) -> Cached[Inputs, Result]:
        """Keep a function's results under its source and its arguments' content; a decorator."""
        return Cached(self, function)


def measure(
    rows: NDArray[np.floating],
    boxes: pd.DataFrame,
    *,
    frames: int = 150,
    max_gap: int = 30,
    negatives: int = 10,
    seed: int = PAIR_SEED,
) -> Mapping[str, float]:
    """Section 4.2 on one clip: auc, gap, by_gap, hard_auc, first_of_two and counts.

    Args:
        rows: (N, D) embeddings.
        boxes: frame, id, x, y, w, h of each.
        frames, max_gap, negatives, seed: as of `msfp.metrics.pairs.pairs`.

    Raises:
        InputError: a column is missing, or of another length.
        NotComputable: nobody is seen twice.
    """
    if missing := [name for name in ("frame", "id", "x", "y", "w", "h") if name not in boxes]:
        raise InputError(f"boxes: column {missing[0]!r} is missing; needed are frame, id, x, y, w, h")
    frame, identity = boxes["frame"].to_numpy(np.int32), boxes["id"].to_numpy(np.int32)
    return evaluate_reid(
        rows,
        frame,
        identity,
        tlwh=boxes[["x", "y", "w", "h"]].to_numpy(np.float64),
        frames=frames,
        max_gap=max_gap,
        negatives=negatives,
        seed=seed,
    )


def _rows(clip: Clip, boxes: str) -> NDArray[np.bool_] | slice:
    """Which of a part's rows a clip has: of its labels those that count."""
    return clip._truth.pedestrian if boxes == LABELS else slice(None)
