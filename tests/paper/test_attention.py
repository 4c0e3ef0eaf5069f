"""Figure 2's bins against a loop over boxes."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tests.notebooks.plain import plain

binned = plain("03").binned


def drawn(count: int, seed: int) -> pd.DataFrame:
    """Boxes with traits and weights, the same boxes for two seeds."""
    rng = np.random.default_rng(seed)
    hidden = np.where(rng.random(count) < 0.6, 0, rng.random(count))
    traits = {"size": rng.uniform(10, 90, count), "occluded": hidden, "crowd": rng.integers(3, 9, count).astype(float)}
    names = ["layer 4", "layer 9", "layer 14"]
    both = [pd.DataFrame(rng.dirichlet((1, 2, 3), count), columns=names).assign(seed=k, **traits) for k in range(2)]
    return pd.concat(both, ignore_index=True)


@pytest.mark.parametrize("trait", ["size", "occluded", "crowd"])
def test_bins_are_those_of_a_loop(trait: str) -> None:
    boxes = drawn(500, 0)
    found = binned(boxes, trait)
    values = boxes[trait][boxes.seed == 0]
    cuts = [0, 0.05, 0.25, 0.5, 0.75, 1] if trait == "occluded" else np.unique(np.quantile(values, np.arange(6) / 5))
    row = 0
    for low, high in pairwise(cuts):
        inside = boxes[[low <= v < high or (high == cuts[-1] and v == high) for v in boxes[trait]]]
        if len(inside) < 40:
            continue
        one = found.iloc[row]
        assert one["boxes", "count"] == len(inside) / 2
        assert one["trait", trait] == pytest.approx(inside[trait].mean())
        layers = inside[["layer 4", "layer 9", "layer 14"]]
        np.testing.assert_allclose(one["mean"], layers.mean(), rtol=1e-9)
        np.testing.assert_allclose(one["low"], layers.quantile(0.25), rtol=1e-9)
        row += 1
    assert row == len(found) >= 3


def test_one_value_is_one_bin() -> None:
    assert len(binned(drawn(50, 0).assign(size=7.0), "size")) == 1
