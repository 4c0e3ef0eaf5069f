"""The rule that picks a threshold from a flat optimum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.pipeline.search import plateau_middle


@pytest.mark.parametrize(
    ("hota", "best"),
    [
        ([0.1, 0.3, 0.2], 1),
        ([0.3, 0.3, 0.3, 0.1], 1),
        ([0.3, 0.3, 0.3, 0.3, 0.1], 1),
        ([0.1, 0.4, 0.2, 0.4, 0.4, 0.4], 1),
        ([0.5, 0.5], 0),
        ([0.2], 0),
    ],
)
def test_middle_of_the_first_best_plateau(hota: list[float], best: int) -> None:
    grid = np.arange(len(hota), dtype=np.float32)[:, None]
    assert plateau_middle(grid, np.array(hota)).tolist() == [best]


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=12))
def test_the_choice_is_always_one_of_the_best(hota: list[float]) -> None:
    grid = np.arange(len(hota), dtype=np.float32)[:, None]
    assert hota[int(plateau_middle(grid, np.array(hota))[0])] == max(hota)
