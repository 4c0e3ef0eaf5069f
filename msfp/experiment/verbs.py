"""The verbs of a run in a notebook: data, heads, embeddings, trackers, scores; each a thin front of the stages."""

import functools
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as ListLike
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.engine.code import need_originals, typed_digest
from msfp.errors import InputError, NotComputable
from msfp.experiment import data
from msfp.experiment.clip import Clip
from msfp.experiment.data import Fold, Part
from msfp.experiment.features import TRUTH, box_vectors, feature_inputs, features, layers_of, scene_vectors, strips
from msfp.experiment.heads import Appearance, Trained, embeddings, head_inputs, train, training_set
from msfp.experiment.methods import Method, as_frame, evaluate, learned, looks_of_seeds
from msfp.experiment.reid import PAIR_SEED, paper_parts, usable
from msfp.experiment.reid import measure as measure_reid
from msfp.experiment.run import Run
from msfp.experiment.scores import ceiling_one
from msfp.experiment.thresholds import member, search
from msfp.experiment.tracks import frame_thresholds
from msfp.heads.fusion import FusionHead
from msfp.heads.triplets import Labels, Loss
from msfp.metrics.reid import evaluate_reid
from msfp.types import Scene

Inputs = ParamSpec("Inputs")
Result = TypeVar("Result")
LABELS = "labels"
CEILING = "recall ceiling"
REID = ("auc", "gap", "hard_auc", "first_of_two")


@dataclass(frozen=True)
class Maps:
    """The tapped maps of one frame, as the network gets it.

    `boxes` are its labels, with corners x1, y1, x2, y2 in pixels of the input (the first pixel's left edge at 0).
    """

    input: NDArray[np.uint8]  # (h, w, 3)
    layers: dict[int, NDArray[np.float32]]  # layer -> (C, h, w)
    strides: dict[int, int]  # layer -> pixels of the input a cell
    boxes: pd.DataFrame


class Experiment(Run):
    """A run whose parts are at hand: `run.clips()`, `run.train(...)`, `run.embed(...)`, `run.evaluate(...)`.

    Where a verb takes `boxes`, these are `labels` (rows of `clip.labels()`) or a public detector's (rows of
    `clip.detections(...)`). Where it takes `learn`, None stands for the learning parts of `run.fold()`. All raise
    NotComputable where frames or labels that they need are missing.
    """

    def fold(self, dataset: str = "") -> Fold:
        """The first validation fold of a data set (the main one unless named): `.learn` and `.evaluate` parts."""
        return data.folds(self, dataset or self.settings.data.main)[0]

    def _learn(self, learn: ListLike[Part] | None) -> tuple[Part, ...]:
        return tuple(self.fold().learn if learn is None else learn)

    def clips(self, parts: ListLike[Part] | None = None) -> list[Clip]:
        """Parts as clips; None: those that the validation fold evaluates."""
        return [Clip(self, part) for part in (self.fold().evaluate if parts is None else parts)]

    def reid_clips(self) -> list[Clip]:
        """The clips of section 4.2: scenes 02, 04 and 09 (all where there are none such), at most 150 frames each."""
        return self.clips(paper_parts(self.fold().evaluate, self))

    def test_clips(self) -> list[Clip]:
        """The test split where its labels are at hand, else the validation clips."""
        folds, _ = data.judged_folds(self, self.settings.data.main)
        return self.clips(folds[0].evaluate)

    def features(self, clip: Clip, boxes: str = LABELS) -> dict[int, NDArray[np.float16]]:
        """Mean-pooled RoIAligned vectors of a clip's boxes (eq. 1): tapped layer -> (N, C)."""
        data.need_pixels((clip.part,))
        found = layers_of(features(self, clip.part.scene)[TRUTH if boxes == LABELS else boxes], clip.part)
        return {layer: vectors[_rows(clip, boxes)] for layer, vectors in found.items()}

    def strips(self, clip: Clip, boxes: str = LABELS) -> dict[int, NDArray[np.float16]]:
        """Strips of a clip's boxes, mean RoIAlign of each: tapped layer -> (N, strips * C), from top to bottom."""
        data.need_pixels((clip.part,))
        found = box_vectors(self, clip.part, TRUTH if boxes == LABELS else boxes, pooling=strips(self))
        return {layer: vectors[_rows(clip, boxes)] for layer, vectors in found.items()}

    def maps(self, clip: Clip, frame: int) -> Maps:
        """Run the frozen detector, cut after its deepest tapped layer, on one frame."""
        from msfp.features.backbone import fit, to_batch

        image, backbone, config = clip.image(frame), self.backbone(), self.settings.input
        box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
        given = box.apply(image)
        maps = backbone.maps(to_batch(given[None], backbone.device))
        labels = clip.labels()
        labels = labels[labels["frame"] == frame].copy()
        labels[["x1", "y1", "x2", "y2"]] = box.to_network(labels[["x", "y", "w", "h"]].to_numpy(np.float64))
        found = {layer: values[0].float().cpu().numpy() for layer, values in maps.items()}
        return Maps(given, found, dict(backbone.strides), labels)

    def scene_vectors(self, clip: Clip) -> NDArray[np.float16]:
        """(T, C) mean of the scene layer over the whole image, a row a frame: what ATL sees (eq. 6)."""
        return scene_vectors(self, clip.part)

    def training_set(
        self, learn: ListLike[Part] | None = None, head: str = "attention-instance"
    ) -> tuple[dict[int, NDArray[np.floating]], Labels]:
        """Vectors that a head learns from, tapped layer -> (N, C), and the scene, frame and identity of each row."""
        parts = self._learn(learn)
        return training_set(self, parts, learned(head, parts, 0))

    def train(
        self,
        head: str | type[FusionHead],
        learn: ListLike[Part] | None = None,
        *,
        seed: int = 0,
        loss: Loss | None = None,
        name: str = "",
    ) -> Trained:
        """A head of a registered strategy, or of a class and a loss of a cell; see `msfp.experiment.heads.train`."""
        need_originals()
        return train(self, head, self._learn(learn), seed, loss, name)

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

        `head` is a trained head; or a strategy by name, `native` or `reid`, with other detector weights as
        `native@random-init`, whose head has this seed and learned from these parts.
        """
        which = TRUTH if boxes == LABELS else boxes
        if isinstance(head, Trained):
            found = head.embed(clip.part, which)
        else:
            found = embeddings(self, clip.part, which, learned(head, self._learn(learn), seed))
        return found[_rows(clip, boxes)]

    def reid(self, heads: Iterable[str | Trained] | str | Trained, clips: ListLike[Clip] | None = None) -> pd.DataFrame:
        """Section 4.2: name, seed, scene, auc, gap, hard_auc, first_of_two; `clips` None: the paper's."""
        given = [heads] if isinstance(heads, str | Trained) else list(heads)
        chosen = self.reid_clips() if clips is None else list(clips)
        pairs = self.settings.reid.model_dump(include={"frames", "max_gap", "negatives"})
        rows = []
        for head in given:
            if isinstance(head, Trained):
                found = [measure(self.embed(head, clip), clip.labels(), **pairs) for clip in chosen]
                told = [(head.name, head.seed, clip, one) for clip, one in zip(chosen, found, strict=True)]
            else:
                looks = self.embedding(head)
                by_look = measure_reid(self, looks, [clip.part for clip in chosen], "re-identification")
                told = [
                    (head, seed, clip, vars(one))
                    for seed, look in zip(self.settings.seeds, looks, strict=False)
                    for clip, one in zip(chosen, usable(by_look[look]), strict=True)
                ]
            for name, seed, clip, one in told:
                rows.append({"name": name, "seed": seed, "scene": clip.name, **{key: one[key] for key in REID}})
        return pd.DataFrame(rows)

    def embedding(self, name: str | Appearance, learn: ListLike[Part] | None = None) -> list[Appearance]:
        """An embedding, `concat` or with other detector weights `native@random-init`, with what it learns from.

        One a seed of the run, one in all where it is training-free.
        """
        return looks_of_seeds(name, self._learn(learn), self.settings.seeds)

    def evaluate(
        self,
        methods: Iterable[Method],
        on: Fold | ListLike[Fold] | ListLike[Clip] | None = None,
        learn: ListLike[Part] | None = None,
    ) -> pd.DataFrame:
        """Every method on every public detector's boxes of every clip; see `msfp.combine` for the whole.

        `on`: folds, which also say what is learned from, or clips, for which `learn` says so; None: the validation fold
        """
        need_originals()
        given = [on] if isinstance(on, Fold) else list(self.clips() if on is None else on)
        folds = [one for one in given if isinstance(one, Fold)]
        if clips := tuple(one.part for one in given if isinstance(one, Clip)):
            folds.append(Fold("clips", self._learn(learn), clips))
        return evaluate(self, methods, folds)

    def ceiling(self, folds: Iterable[Fold]) -> pd.DataFrame:
        """What no tracker that adds no box can exceed, as `evaluate` gives it."""
        items = [(p, s) for fold in folds for p in fold.evaluate for s in data.sequences(p)]
        return as_frame(CEILING, self.map(functools.partial(ceiling_one, run=self), items, "recall ceilings"))

    def thresholds(self, method: Method, clip: Clip, detector: str, *, seed: int = 0) -> NDArray[np.float32] | None:
        """(T, 2) tau_high and tau_low that a method gives its tracker; None: the tracker's own."""
        made = method.configured(self.fold().learn, seed)
        return frame_thresholds(self, clip.part, member(clip.part, detector), made)

    def grid(
        self, clip: Clip, detector: str, tracker: str = "bytetrack", options: Mapping[str, object] | None = None
    ) -> pd.Series:
        """HOTA in percent of each threshold of A.2's grid, tracked without appearance; kept in the store."""
        chosen = tuple(sorted((options or {}).items()))
        found = search(self, clip.part, member(clip.part, detector), "single", None, tracker, chosen)
        return pd.Series(100 * found.hota, index=pd.Index(found.grid[:, 0].round(6), name="tau"), name="HOTA")

    def cached(self, function: Callable[Inputs, Result]) -> "Cached[Inputs, Result]":
        """Keep a function's results under its source and its arguments' content; a decorator.

        It works for functions of a cell, of a file and of a library. A change of its source, of a function of a cell
        that it calls, or of a variable that it reads makes another key; so does other content of an argument, and other
        settings where an argument is the run itself.
        """
        return Cached(self, function)


class Cached(Generic[Inputs, Result]):
    """A function that computes each result once and then reads it from the run's store.

    It takes numbers, text, arrays, frames, settings, clips and trained heads, and returns such.
    """

    def __init__(self, run: Run, function: Callable[Inputs, Result], code: str = "") -> None:
        """Wrap a function; `code` is the digest of its source where that cannot be read, as in a worker."""
        functools.update_wrapper(self, function)
        self._run, self._function, self._code = run, function, code

    def __call__(self, *arguments: Inputs.args, **options: Inputs.kwargs) -> Result:
        """Give the stored result, or the function's, stored.

        Raises:
            MsfpError: the source cannot be read, or an argument has no content to tell it by.
        """
        inputs = {"arguments": _content(self._run, arguments), "options": _content(self._run, options)}
        code = self._code or typed_digest(self._function)
        return self._run.store.get_or_compute(
            "cached", inputs, lambda: self._function(*arguments, **options), code=code
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker cannot read the source of a cell.
        return Cached, (self._run, self._function, self._code or typed_digest(self._function))


def _content(run: Run, value: Any) -> Any:
    """The content by which a value is told from others: files by their bytes and not by where they lie."""
    match value:
        case Clip():
            return _content(run, value.part)
        case Part():
            return [_content(run, value.scene), value.first, value.last]
        case Scene():
            known = [value.name, feature_inputs(run, value, ""), run.boxes_digest(value)]
            with suppress(NotComputable):  # labels that are kept from learning count here: a clip shows them
                known.append(data.truth_digest(run, value))
            return known
        case Trained():
            return value.inputs(run)
        case Appearance():
            return head_inputs(run, value)
        case Run():
            # Where the data lie says nothing; what they are comes with the clip or part.
            return [value.settings.model_dump(exclude={"data": {"root"}}), value.weights_digest()]
        case list() | tuple():
            return [_content(run, one) for one in value]
        case Mapping():
            return {key: _content(run, one) for key, one in value.items()}
    return typed_digest(value) if callable(value) else value


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

    `rows`: (N, D) embeddings of `boxes`, whose columns are frame, id, x, y, w, h; the others as of
    `msfp.metrics.reid.pairs`. InputError: a column is missing, or of another length; NotComputable: nobody seen twice.

    Example:
        >>> boxes = pd.DataFrame({"frame": [1, 1, 2, 2], "id": [1, 2, 1, 2], "x": [0.0, 90.0, 2.0, 88.0]})
        >>> boxes = boxes.assign(y=0.0, w=40.0, h=90.0)
        >>> msfp.reid(np.eye(2)[boxes["id"] - 1], boxes)["auc"]
        1.0
    """
    if missing := [name for name in ("frame", "id", "x", "y", "w", "h") if name not in boxes]:
        raise InputError(f"boxes: column {missing[0]!r} is missing; needed are frame, id, x, y, w, h")
    frame, identity = boxes["frame"].to_numpy(np.int32), boxes["id"].to_numpy(np.int32)
    tlwh = boxes[["x", "y", "w", "h"]].to_numpy(np.float64)
    return evaluate_reid(
        rows, frame, identity, tlwh=tlwh, frames=frames, max_gap=max_gap, negatives=negatives, seed=seed
    )


def _rows(clip: Clip, boxes: str) -> NDArray[np.bool_] | slice:
    """Which of a part's rows a clip has: of its labels those that count."""
    return clip._truth.pedestrian if boxes == LABELS else slice(None)
