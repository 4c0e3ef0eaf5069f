"""Section 4.2: how well embeddings tell people apart; attention weights (Figure 2)."""

from collections.abc import Callable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.errors import NotComputable, each_once
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.features import TRUTH
from msfp.experiment.heads import (
    Appearance,
    box_inputs,
    embeddings,
    head_inputs,
    network_sides,
    part_vectors,
    restored,
    train_head,
    train_heads,
)
from msfp.experiment.run import Run, stage
from msfp.heads.fusion import Attention
from msfp.heads.training import attention
from msfp.metrics import reid as metrics
from msfp.metrics.bootstrap import FEWEST, PeopleDraws, Sample, drawing, draws, resample, resample_first

REID_CODE = (code_digest(__name__, follow=False), "msfp.metrics.reid", "msfp.metrics.bootstrap")
PAPER_SCENES = ("02", "04", "09")
BINS = 400
KEPT = 2  # parts whose pairs are kept: tens of megabytes each
HARD = ("hard_auc", "first_of_two", "same_frame_auc")
PAIR_SEED = 0  # negatives are drawn once, so that every embedding is judged on the same pairs


@dataclass(frozen=True)
class Discrimination:
    """What section 4.2 measures on one part; measures of hard pairs are NaN where the part has none."""

    auc: float  # area under the ROC curve
    gap: float  # mean similarity of positives less that of negatives
    hard_auc: float  # on pairs 20-30 frames apart against the nearest other person of the later frame
    first_of_two: float  # how often, of these two, the right one is more similar
    same_frame_auc: float  # the same positives against each box's nearest neighbour in its own frame
    first_gap: NDArray[np.int64]  # (G,) ranges of frames apart, from `first_gap` to `last_gap`
    last_gap: NDArray[np.int64]
    gap_auc: NDArray[np.float64]  # (G,) the area for positives that far apart
    false_positive: NDArray[np.float64]  # (R,) of the ROC curve
    true_positive: NDArray[np.float64]
    edges: NDArray[np.float64]  # (B + 1,) of the histograms of similarity
    positives: NDArray[np.float64]  # (B,) densities
    negatives: NDArray[np.float64]
    pairs: int  # positive ones
    drawn: dict[str, NDArray[np.float64]]  # measure -> (D,) in bootstrap draws of identities; hard ones where possible
    people: tuple[str, ...]  # whom these draws take, named with their scene
    hard_people: tuple[str, ...]


def paper_parts(parts: ListLike[Part], run: Run) -> tuple[Part, ...]:
    """The parts of scenes 02, 04 and 09 (all where there are none such), at most the first 150 frames of each."""
    named = [p for p in parts if p.scene.name.rpartition("-")[2] in PAPER_SCENES] or list(parts)
    return tuple(replace(p, last=min(p.last, p.first + run.settings.reid.frames - 1)) for p in named)


def _inputs(run: Run, part: Part, look: Appearance) -> dict[str, object]:
    data.need_pixels((part, *look.learn))
    return {
        "head": head_inputs(run, look),
        "joint": look.joint,
        "features": box_inputs(run, part.scene, look),
        "part": (part.first, part.last),
        "scene": part.scene.name,
        "reid": run.settings.reid,
    }


@stage("reid", _inputs, REID_CODE)
def discrimination(run: Run, part: Part, look: Appearance) -> Discrimination:
    """Section 4.2 on the labelled boxes of a part."""
    return discriminate(run, part, embeddings(run, part, TRUTH, look))


def discriminate(run: Run, part: Part, vectors: NDArray[np.float32]) -> Discrimination:
    """Section 4.2 of (N, D) vectors of a part's labelled boxes, rows as in the file."""
    chosen, people = _pairs(run, part)
    compared = metrics.compare(vectors, chosen)
    found = metrics.measures(compared)
    curve = metrics.roc(compared.sim, compared.same)
    edges = np.linspace(-1, 1, BINS + 1)
    densities = [np.histogram(compared.sim[mask], edges, density=True)[0] for mask in (compared.same, ~compared.same)]
    by_gap = found["by_gap"]
    drawn = resample(compared.sim, people)
    hard, hard_drawn, hard_people = _hard(vectors, run, part)
    return Discrimination(
        auc=found["auc"],
        gap=found["gap"],
        **hard,
        first_gap=np.array([g["first"] for g in by_gap], np.int64),
        last_gap=np.array([g["last"] for g in by_gap], np.int64),
        gap_auc=np.array([g["auc"] for g in by_gap], np.float64),
        false_positive=curve.fpr,
        true_positive=curve.tpr,
        edges=edges,
        positives=densities[0],
        negatives=densities[1],
        pairs=found["positives"],
        drawn={"auc": drawn.auc, "gap": drawn.gap, **hard_drawn},
        people=drawn.people,
        hard_people=hard_people,
    )


def _hard(
    vectors: NDArray[np.float32], run: Run, part: Part
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """Measures of far positives against near negatives (NaN where there are none), their draws, and whom these take."""
    try:
        hard, people = _hard_pairs(run, part, metrics.hard_pairs)
        one_frame, its_people = _hard_pairs(run, part, metrics.same_frame_pairs)
    except NotComputable:
        return dict.fromkeys(HARD, float("nan")), {}, ()
    compared, other = metrics.compare(vectors, hard), metrics.compare(vectors, one_frame)
    drawn = resample(compared.sim, people)
    measures = {
        "hard_auc": metrics.auc(compared.sim, compared.same),
        "first_of_two": metrics.first_of_two(compared),
        "same_frame_auc": metrics.auc(other.sim, other.same),
    }
    draws = {
        "hard_auc": drawn.auc,
        "first_of_two": resample_first(metrics.wins(compared.sim, compared.same), people),
        "same_frame_auc": resample(other.sim, its_people).auc,
    }
    return measures, draws, drawn.people


@lru_cache(maxsize=KEPT)
def _pairs(run: Run, part: Part) -> tuple[metrics.Pairs, PeopleDraws]:
    """A part's pairs, and draws of its people: the same for every embedding."""
    truth = data.window(data.truth(part.scene), part)
    options = run.settings.reid.model_dump(include={"frames", "max_gap", "negatives"})
    chosen = metrics.pairs(truth.frame, truth.id, keep=truth.pedestrian, seed=PAIR_SEED, **options)
    return chosen, drawing(chosen, truth.id, part.scene.name)


@lru_cache(maxsize=2 * KEPT)
def _hard_pairs(run: Run, part: Part, choose: Callable[..., metrics.Pairs]) -> tuple[metrics.Pairs, PeopleDraws]:
    """The same of pairs 20 to 30 frames apart against the nearest people, those that `choose` takes."""
    truth, frames = data.window(data.truth(part.scene), part), run.settings.reid.frames
    chosen = choose(truth.frame, truth.id, truth.tlwh, frames=frames, keep=truth.pedestrian)
    return chosen, drawing(chosen, truth.id, part.scene.name)


def _measure_one(item: tuple[Appearance, Part], run: Run) -> Discrimination | str:
    try:
        return discrimination(run, item[1], item[0])
    except NotComputable as error:
        return str(error)


def measure(
    run: Run, looks: ListLike[Appearance], parts: ListLike[Part], label: str
) -> dict[Appearance, list[Discrimination | str]]:
    """Every embedding on every part, fanned out; results in the parts' order."""
    train_heads(run, looks)
    items = [(look, part) for part in parts for look in looks]  # a part's pairs are drawn once, and kept for the next
    found = run.map(partial(_measure_one, run=run), items, label)
    return {look: found[i :: len(looks)] for i, look in enumerate(looks)}


def usable(found: ListLike[Discrimination | str]) -> list[Discrimination]:
    """All of them; NotComputable, with every distinct reason, where some part could not be measured."""
    reasons = sorted({f for f in found if isinstance(f, str)})
    if reasons:
        raise NotComputable(each_once(reasons))
    if not found:
        raise NotComputable("no sequence to compare people on")
    return [f for f in found if not isinstance(f, str)]


def people_sample(groups: ListLike[ListLike[Discrimination]], name: str) -> Sample:
    """A measure averaged over scenes, for each seed, with draws of scenes, or of the people of the same few scenes.

    `groups` holds for each seed what was measured on every scene; `name` is `auc`, `gap` or one of `HARD`. Scenes
    without hard pairs are left out, as in the tables; NotComputable where no scene is left.
    """
    kept = [[one for one in group if name in one.drawn] for group in groups]
    if not kept or not kept[0]:
        raise NotComputable("no scene has people seen again 20 to 30 frames later")
    values = np.array([[getattr(one, name) for one in group] for group in kept])
    people = [one.hard_people if name in HARD else one.people for one in kept[0]]
    scenes = tuple(names[0].rpartition("/")[0] for names in people)
    if len(scenes) >= FEWEST:
        return Sample(values.mean(axis=1), draws(scenes) @ values.T / len(scenes), scenes)
    drawn = [[one.drawn[name] for one in group] for group in kept]
    return Sample(values.mean(axis=1), np.mean(drawn, axis=1).T, tuple(chain.from_iterable(people)), "people")


def weigh(run: Run, part: Part, look: Appearance) -> pd.DataFrame:
    """Attention of a trained head on the labelled pedestrians of a part, a row each.

    `size`: square root of the box's area, pixels of the network's input; `occluded`: hidden share of the box, by its
    label; `crowd`: labelled pedestrians in its frame; `layer K`: the weights of the tapped layers, which sum to 1.
    """
    data.need_pixels((part, *look.learn))
    vectors = part_vectors(run, part, TRUTH, look)
    head = restored(run, look.strategy, vectors, train_head(run, look).state)
    assert isinstance(head, Attention)
    truth = data.window(data.truth(part.scene), part)
    kept = truth.pedestrian
    weights = attention(head, {layer: v[kept] for layer, v in vectors.items()}).astype(np.float64)
    crowd = np.bincount(truth.frame[kept], minlength=part.length + 1)[truth.frame[kept]].astype(np.float64)
    traits = {"size": network_sides(run, part, TRUTH)[kept], "occluded": 1.0 - truth.visibility[kept].astype(float)}
    layers = {f"layer {layer}": row for layer, row in zip(head.channels, weights.T, strict=True)}
    return pd.DataFrame({**traits, "crowd": crowd, **layers})
