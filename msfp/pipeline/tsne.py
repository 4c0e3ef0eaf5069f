"""Embeddings of one scene laid out in the plane (t-SNE), and how well they group by person (Figure 7)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.errors import NotComputable
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.embeddings import embeddings
from msfp.pipeline.features import TRUTH
from msfp.pipeline.heads import Appearance
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage

MOST, PERPLEXITY, SEED = 1500, 30.0, 0


@dataclass(frozen=True)
class Projection:
    """A part's labelled pedestrians in the plane.

    `silhouette` is the mean of the embeddings themselves by cosine distance, -1 to 1: how much nearer a box is to its
    own person than to the next.
    """

    place: NDArray[np.float32]  # (N, 2) t-SNE coordinates; neither axes nor distances between groups have a meaning
    person: NDArray[np.int32]  # (N,) identity
    silhouette: float
    every: int  # each `every`-th frame is shown


def lay_out(run: Run, part: Part, look: Appearance, most: int = MOST) -> Projection:
    """At most about `most` boxes of a part, whole frames evenly apart, people seen once left out."""
    data.need_pixels((part, *look.learn))
    truth = data.window(data.truth(part.scene), part)
    every = max(1, -(-int(truth.pedestrian.sum()) // most))
    shown = truth.pedestrian & ((truth.frame - 1) % every == 0)
    people, count = np.unique(truth.id[shown], return_counts=True)
    shown &= np.isin(truth.id, people[count > 1])
    if len(np.unique(truth.id[shown])) < 2:
        raise NotComputable(f"{part.scene.name}: fewer than two people are seen twice")
    return _lay_out(run, embeddings(run, part, TRUTH, look)[shown], truth.id[shown], every)


@stage("plane", lambda run, *shown: {"shown": shown}, (code_digest(__name__, follow=False),))
def _lay_out(run: Run, vectors: NDArray[np.float32], person: NDArray[np.int32], every: int) -> Projection:
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    method = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=SEED)
    # Its loops are too short to share among threads that have other work: on a busy machine they wait for each other.
    with threadpool_limits(1):
        place = method.fit_transform(vectors).astype(np.float32)
        silhouette = float(silhouette_score(vectors, person, metric="cosine"))
    return Projection(place, person, silhouette, every)
