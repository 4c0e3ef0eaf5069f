"""The rule that picks a threshold from a flat optimum."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.run import Run
from msfp.experiment.thresholds import Search, Supervision, Threshold, parted, plateau_middle, train_atl
from msfp.tracking import make, track
from msfp.types import Detections

Make = Callable[..., Run]


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


@pytest.mark.parametrize(
    ("hota", "low", "high"),
    [([0.1, 0.3, 0.2], 1, 1), ([0.3, 0.3, 0.3, 0.1], 0, 2), ([0.1, 0.4, 0.2, 0.4, 0.4], 1, 1), ([0.5, 0.5], 0, 1)],
)
def test_figure_4_shows_the_plateau_that_was_chosen(hota: list[float], low: int, high: int) -> None:
    grid, values = np.arange(len(hota), dtype=np.float32)[:, None], np.array(hota)
    assert Search(grid, values, plateau_middle(grid, values)).plateau == (low, high)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=12))
def test_the_choice_is_always_one_of_the_best(hota: list[float]) -> None:
    grid = np.arange(len(hota), dtype=np.float32)[:, None]
    assert hota[int(plateau_middle(grid, np.array(hota))[0])] == max(hota)


@pytest.mark.parametrize("supervision", ["grid", "statistics", "consistency"])
@pytest.mark.parametrize(
    ("learned", "asked", "words"),
    [
        ("MOT17-02-SDP", "public", "name does not end in one; learned are: SDP. Rename its folder to NAME-SDP where"),
        ("WALK-01", "public-less", "no learning sequence's name ends in -public-less; learned are: public. Add"),
        ("MOT17-02-SDP", "DPM", "no learning sequence's name ends in -DPM; learned are: SDP. Add sequences NAME-DPM"),
    ],
)
def test_what_atl_did_not_learn_is_told_with_a_remedy(
    make_run: Make, learned: str, asked: str, words: str, supervision: Supervision
) -> None:
    run = make_run({learned: 0}, **{"data.learn_from": ("*",)})
    learn = tuple(data.whole(scene) for scene in data.learnable(run, "mot17"))
    with pytest.raises(NotComputable, match=re.escape(words)) as told:
        train_atl.function(run, Threshold("atl", learn=learn, supervision=supervision), asked)
    assert "`--threshold default`" in str(told.value)


@pytest.mark.parametrize("name", ["bytetrack", "msfp-attention", "lite", "joint"])
@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_thresholds_between_the_same_scores_give_the_same_tracks(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, length = 120, 20
    frame = np.sort(rng.integers(1, length + 1, count)).astype(np.int32)
    levels = np.float32([0.1, 0.3, 0.5, 0.6, 0.62, 0.9])
    tlwh = np.column_stack([rng.uniform(0, 150, (count, 2)), rng.uniform(20, 60, (count, 2))])
    found = Detections(frame, tlwh, rng.choice(levels, count))
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    tracker = make(name)
    made: dict[tuple[float, ...], list[object]] = {}
    for high, low in [*rng.choice(np.arange(5, 70) / 100, (12, 2)).tolist(), [0.5, 0.5], [0.5, 0.3]]:
        taus = np.tile(np.float32([high, low]), (length, 1))
        one = track(tracker, found, length, vectors, taus)
        content = [one.frame.tolist(), one.id.tolist(), one.tlwh.tolist()]
        assert made.setdefault(parted(tracker, found.score, *taus[0]), content) == content
    near, same = (parted(tracker, found.score, np.float32(high), np.float32(0.2)) for high in (0.53, 0.55))
    assert near == same


def test_other_trackers_are_searched_threshold_by_threshold() -> None:
    assert parted(make("deepsort"), np.zeros(3, np.float32), np.float32(0.5), np.float32(0.25)) == (0.5, 0.25)
