"""Figure 2's bins against a loop over boxes."""

from itertools import pairwise

import numpy as np
import pytest

from msfp.experiment.reid import Weighed
from msfp.paper.analyses import binned, joined


def drawn(count: int, seed: int) -> Weighed:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet((1, 2, 3), count).astype(np.float32)
    hidden = np.where(rng.random(count) < 0.6, 0, rng.random(count))
    return Weighed((4, 9, 14), rng.uniform(10, 90, count), hidden, rng.integers(3, 9, count).astype(float), weights)


@pytest.mark.parametrize("trait", ["size", "occluded", "crowd"])
def test_bins_are_those_of_a_loop(trait: str) -> None:
    first = joined([drawn(300, 0), drawn(200, 1)])
    second = Weighed(first.layers, first.size, first.occluded, first.crowd, first.weights[::-1].copy())
    found = binned([first, second], trait)
    values = getattr(first, trait)
    cuts = [0, 0.05, 0.25, 0.5, 0.75, 1] if trait == "occluded" else np.unique(np.quantile(values, np.arange(6) / 5))
    row = 0
    for low, high in pairwise(cuts):
        inside = [i for i, v in enumerate(values) if low <= v < high or (high == cuts[-1] and v == high)]
        if len(inside) < 20:
            continue
        both = [w.weights[i] for w in (first, second) for i in inside]
        assert found.count[row] == len(inside)
        assert found.middle[row] == pytest.approx(np.mean([values[i] for i in inside]))
        np.testing.assert_allclose(found.mean[row], np.mean(both, axis=0), rtol=1e-5)
        np.testing.assert_allclose(found.low[row], np.quantile(both, 0.25, axis=0), rtol=1e-5)
        row += 1
    assert row == len(found.count) >= 3


def test_one_value_is_one_bin() -> None:
    one = drawn(50, 0)
    same = Weighed(one.layers, np.full(50, 7.0), one.occluded, one.crowd, one.weights)
    assert len(binned([same], "size").middle) == 1
