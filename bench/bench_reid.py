"""Re-identification measures: the protocol with NumPy and scikit-learn beside `msfp.metrics.reid`, on the same pairs.

Embeddings are one direction an identity plus noise, 128 wide. The peer takes cosines by einsum in blocks, the fastest
plain NumPy way, and the area by `roc_auc_score`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import crowd
import numpy as np
from harness import OURS, Case, Options, main
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from msfp.metrics import reid
from msfp.metrics.reid import Pairs, pairs

PEER = "NumPy + scikit-learn"
AREA = "scikit-learn roc_auc_score"
WIDTH, BLOCK, SEED = 128, 65536, 0


def cases(options: Options) -> Iterator[Case]:
    """Cosines and area together, and the area alone."""
    frames = 20 if options.quick else 150
    scene = crowd.real_scene(options.root) if options.root else crowd.scene(42, frames, SEED)
    truth = scene.truth
    rows = truth.pedestrian & (truth.frame <= frames)
    identity = truth.id[rows]
    vectors = embeddings(identity)
    chosen = pairs(truth.frame[rows], identity, frames=frames, seed=SEED)
    positive = int(chosen.same.sum())
    what = "labels of a real sequence" if options.root else f"walkers, seed {SEED}"
    inputs = f"{what}: {len(vectors)} boxes, {positive} positive and {len(chosen) - positive} negative pairs"
    yield both(vectors, chosen, inputs)
    yield area_only(reid.similarity(vectors, chosen), chosen.same, inputs)


def embeddings(identity: NDArray[np.int32]) -> NDArray[np.float32]:
    """(N, 128) stand-ins for a network's."""
    rng = np.random.default_rng(SEED)
    directions = rng.normal(size=(int(identity.max()) + 1, WIDTH))
    return (0.3 * directions[identity] + rng.normal(size=(len(identity), WIDTH))).astype(np.float32)


def both(vectors: NDArray[np.float32], chosen: Pairs, inputs: str) -> Case:
    """From embeddings to the area."""

    def theirs() -> float:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosine = np.empty(len(chosen), np.float32)
        for start in range(0, len(chosen), BLOCK):
            block = slice(start, start + BLOCK)
            cosine[block] = np.einsum("nd,nd->n", unit[chosen.i[block]], unit[chosen.j[block]])
        return float(roc_auc_score(chosen.same, cosine))

    def ours() -> float:
        return reid.auc(reid.similarity(vectors, chosen), chosen.same)

    # Sums in another order round otherwise in float32, which may swap pairs that lie a rounding apart.
    return Case("cosines and AUC", inputs, {PEER: theirs, OURS: ours}, lambda found: equal(found, PEER, 1e-6))


def area_only(cosine: NDArray[np.float32], same: NDArray[np.bool_], inputs: str) -> Case:
    """From similarities to the area."""
    sides = {AREA: lambda: float(roc_auc_score(same, cosine)), OURS: lambda: reid.auc(cosine, same)}
    return Case("AUC alone", inputs, sides, lambda found: equal(found, AREA, 1e-12))


def equal(found: Mapping[str, Any], peer: str, within: float) -> dict[str, float]:
    """Hold both areas to each other."""
    apart = abs(found[OURS] - found[peer])
    assert apart <= within, found
    return {"AUC": found[OURS], "difference": apart}


if __name__ == "__main__":
    main("reid", cases)
