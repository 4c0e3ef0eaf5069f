"""Bootstrap: intervals against known coverage and closed forms, recombination against TrackEval, AUC against its
definition on a drawn crowd."""

import numpy as np
import pytest
from scipy import stats

from msfp.errors import InputError, NotComputable
from msfp.metrics import contributions, identities, reid, statistics, tracking
from msfp.metrics.pairs import Pairs, hard_pairs, pairs
from msfp.metrics.statistics import Sample

UNITS = tuple(f"scene {k}" for k in range(7))


def sample(values: np.ndarray, units: tuple[str, ...] = UNITS) -> Sample:
    """Mean of a number a unit, as a sample with one seed."""
    return Sample(np.array([values.mean()]), statistics.draws(units) @ values / len(units), units)


def test_draws_are_bootstrap_draws_and_repeat():
    drawn = statistics.draws(UNITS)
    assert drawn.shape == (statistics.DRAWS, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean() == 1
    assert drawn.var() == pytest.approx(1 - 1 / 7, rel=0.03)  # binomial(7, 1/7)
    assert (drawn == statistics.draws(UNITS)).all()
    assert (drawn != statistics.draws(UNITS[::-1])).any()


@pytest.mark.parametrize(("units", "noise"), [(7, "normal"), (7, "uniform"), (21, "exponential")])
def test_intervals_cover_the_truth_as_often_as_they_say(units, noise):
    rng = np.random.default_rng(5)
    drawn = statistics.draws([str(k) for k in range(units)], 1000)
    centre = {"normal": 0.0, "uniform": 0.5, "exponential": 1.0}[noise]
    trials = getattr(rng, noise if noise != "exponential" else "standard_exponential")(size=(1500, units))
    hits = 0
    for values in trials:
        low, high = statistics.interval(drawn @ values / units, units)
        hits += low <= centre <= high
    assert 0.90 <= hits / len(trials) <= 0.98


def test_the_interval_of_a_mean_is_close_to_students():
    values = np.random.default_rng(2).normal(3, 2, 40)
    units = tuple(map(str, range(40)))
    expected = stats.t.interval(0.95, 39, values.mean(), values.std(ddof=1) / np.sqrt(40))
    assert sample(values, units).interval() == pytest.approx(expected, abs=0.12)


def test_pairing_removes_what_two_methods_share():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 7)
    a, b = sample(hard + 1 + rng.normal(0, 0.1, 7)), sample(hard)
    low, high = statistics.difference(a, b).interval()
    assert 0.7 < low < 1 < high < 1.3
    assert a.interval()[0] < b.interval()[1]  # unpaired they overlap


@pytest.mark.parametrize("units", [1, 2, 3])
def test_too_few_units_have_no_interval_and_say_so(units):
    with pytest.raises(NotComputable, match=f"an interval takes 4 scenes; here: {units}"):
        sample(np.arange(units, dtype=float), UNITS[:units]).interval()


def test_what_was_not_drawn_has_no_interval():
    with pytest.raises(NotComputable, match="not measured unit by unit"):
        Sample(np.array([1.0, 2.0])).interval()


def test_undefined_draws_are_left_out_until_they_are_most():
    known = np.r_[np.full(60, np.nan), np.arange(40.0)]
    with pytest.raises(NotComputable, match="undefined in 60 of 100 draws"):
        statistics.interval(known, 7)
    assert statistics.interval(np.r_[np.nan, np.ones(99)], 7) == (1, 1)


def test_seeds_spread_is_not_the_scenes_spread():
    found = statistics.difference(
        Sample(np.array([3.0, 4.0, 5.0]), np.full(10, 4.0), UNITS), Sample(np.array([1.0]), np.full(10, 1.0), UNITS)
    )
    assert (found.value, found.spread) == (3, 1)
    assert found.interval() == (3, 3)
    assert Sample(np.array([1.0])).spread is None


def test_different_units_are_not_compared():
    with pytest.raises(NotComputable, match="measured on different scenes: 7 and 6"):
        statistics.difference(sample(np.ones(7)), sample(np.ones(6), UNITS[:6]))
    with pytest.raises(NotComputable, match="one has 3 seeds, the other 2"):
        statistics.difference(Sample(np.ones(3)), Sample(np.ones(2)))
    with pytest.raises(NotComputable, match="nothing to compare with"):
        statistics.largest([])


def test_the_largest_is_taken_draw_by_draw():
    a = Sample(np.array([1.0, 5.0]), np.array([1.0, 4.0]), UNITS)
    b = Sample(np.array([2.0]), np.array([3.0, 3.0]), UNITS)
    found = statistics.largest([a, b])
    assert found.seeds.tolist() == [2, 5]
    assert found.replicates.tolist() == [3, 4]
    assert statistics.negative(found).seeds.tolist() == [-2, -5]


def test_a_drawn_selection_is_combined_as_trackeval_combines_it(make_scene):
    scores = [tracking.evaluate(*make_scene(k), 8) for k in range(4)]
    rows = contributions.contributions(scores)
    for taken in ([0, 1, 2, 3], [0, 0, 2, 3], [1, 1, 1, 1]):
        weights = np.bincount(taken, minlength=4).astype(float)
        theirs = tracking.combine({str(n): scores[k] for n, k in enumerate(taken)}).combined.row()
        for name in contributions.NAMES:
            scale = 1 if name == "IDSW" else 100
            assert contributions.measure(weights @ rows, name) == pytest.approx(scale * theirs[name], abs=1e-10), name
    with pytest.raises(InputError, match="there are HOTA, AssA"):
        contributions.measure(rows, "LocA")


def test_combined_hota_is_not_a_mean_of_hotas(make_scene):
    rows = contributions.contributions([tracking.evaluate(*make_scene(k), 8) for k in range(4)])
    apart = contributions.measure(rows, "HOTA")
    assert abs(contributions.measure(rows.sum(axis=0), "HOTA") - apart.mean()) > 1e-3


def crowd(seed: int, ties: bool) -> tuple[np.ndarray, Pairs, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame, identity = np.repeat(np.arange(1, 9), 5), np.tile([3, 5, 8, 13, 21], 8)
    chosen = pairs(frame, identity, negatives=2, seed=seed)
    sim = rng.normal(size=len(chosen)).astype(np.float32) + chosen.same
    return (np.round(sim) if ties else sim).astype(np.float32), chosen, identity


@pytest.mark.parametrize("ties", [False, True])
def test_auc_of_drawn_people_is_its_definition(ties):
    sim, chosen, identity = crowd(3, ties)
    found = identities.resample(sim, identities.drawing(chosen, identity, "scene", 12))
    people = np.unique(identity)
    weights = statistics.draws([f"scene/{k}" for k in people], 12)
    for b in range(12):
        drawn = dict(zip(people, weights[b], strict=True))
        repeat = np.array(
            [
                drawn[identity[i]] if same else drawn[identity[i]] * drawn[identity[j]]
                for i, j, same in zip(chosen.i, chosen.j, chosen.same, strict=True)
            ]
        ).astype(int)
        again, kind = np.repeat(sim, repeat), np.repeat(chosen.same, repeat)
        if kind.all():
            assert np.isnan(found.auc[b])
            continue
        assert found.auc[b] == pytest.approx(reid.auc(again, kind), abs=1e-12)
        assert found.gap[b] == pytest.approx(reid.gap(again, kind), abs=1e-6)
    assert len(found.people) == 5


def test_first_of_two_of_drawn_people_is_its_definition():
    rng = np.random.default_rng(6)
    frame, identity = np.repeat(np.arange(1, 41), 5), np.tile([3, 5, 8, 13, 21], 40)
    chosen = hard_pairs(frame, identity, rng.uniform(5, 50, (200, 4)))
    sim = np.round(rng.normal(size=len(chosen)), 1).astype(np.float32)
    won = reid.wins(sim, chosen.same)
    assert set(won) == {0, 0.5, 1}
    found = identities.resample_first(won, identities.drawing(chosen, identity, "scene", 20))
    weights = statistics.draws([f"scene/{k}" for k in (3, 5, 8, 13, 21)], 20)
    for b in range(20):
        drawn = dict(zip((3, 5, 8, 13, 21), weights[b], strict=True))
        repeat = [drawn[identity[i]] * drawn[identity[k]] for i, k in zip(chosen.i, chosen.j, strict=True)]
        again = np.repeat(won, np.array(repeat)[~chosen.same].astype(int))
        assert found[b] == pytest.approx(again.mean()) if len(again) else np.isnan(found[b])


def test_everybody_once_is_the_measure_itself(monkeypatch):
    sim, chosen, identity = crowd(4, False)
    monkeypatch.setattr(statistics, "draws", lambda units, count: np.ones((count, len(units))))
    found = identities.resample(sim, identities.drawing(chosen, identity, "scene", 2))
    assert found.auc == pytest.approx(reid.auc(sim, chosen.same), abs=1e-12)
