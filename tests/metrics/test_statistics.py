"""Bootstrap: intervals against known coverage and closed forms, recombination against TrackEval, AUC against its
definition on a drawn crowd."""

import numpy as np
import pytest
from scipy import stats

from msfp.errors import InputError, NotComputable
from msfp.metrics import bootstrap, reid
from msfp.metrics import scores as trackeval
from msfp.metrics.bootstrap import SEEDS, RankCorrelation, Sample
from msfp.metrics.reid import Pairs, hard_pairs, pairs

UNITS = tuple(f"scene {k}" for k in range(7))


def sample(values: np.ndarray, units: tuple[str, ...] = UNITS) -> Sample:
    """Mean of a number a unit, as a sample with one seed."""
    return Sample(np.array([values.mean()]), (bootstrap.draws(units) @ values / len(units))[:, None], units)


def test_draws_are_bootstrap_draws_and_repeat():
    drawn = bootstrap.draws(UNITS)
    assert drawn.shape == (bootstrap.DRAWS, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean() == 1
    assert drawn.var() == pytest.approx(1 - 1 / 7, rel=0.03)  # binomial(7, 1/7)
    assert (drawn == bootstrap.draws(UNITS)).all()
    assert (drawn != bootstrap.draws(UNITS[::-1])).any()


@pytest.mark.parametrize(("units", "noise"), [(7, "normal"), (7, "uniform"), (21, "exponential")])
def test_intervals_cover_the_truth_as_often_as_they_say(units, noise):
    rng = np.random.default_rng(5)
    names = tuple(str(k) for k in range(units))
    drawn = bootstrap.draws(names)
    centre = {"normal": 0.0, "uniform": 0.5, "exponential": 1.0}[noise]
    trials = getattr(rng, noise if noise != "exponential" else "standard_exponential")(size=(1500, units))
    hits = 0
    for values in trials:
        low, high = Sample(values.mean(keepdims=True), (drawn @ values / units)[:, None], names).interval()
        hits += low <= centre <= high
    assert 0.90 <= hits / len(trials) <= 0.97


@pytest.mark.parametrize("count", [6, 7, 40])
def test_the_interval_of_a_mean_is_students(count):
    values = np.random.default_rng(2).normal(3, 2, count)
    units = tuple(map(str, range(count)))
    for level in (0.95, 0.99):
        expected = stats.t.interval(level, count - 1, values.mean(), values.std(ddof=1) / np.sqrt(count))
        low, high = sample(values, units).interval(level)
        assert (low + high) / 2 == pytest.approx(values.mean())
        assert high - low == pytest.approx(
            expected[1] - expected[0], rel=0.05
        )  # 2000 draws: 1.6 % a standard deviation


def test_the_standard_error_adds_units_and_seeds_as_an_analysis_of_variance_does():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(7, 1)) + rng.normal(size=(1, 3)) + 0.1 * rng.normal(size=(7, 3))
    drawn = np.stack([bootstrap.draws(UNITS) @ seed / 7 for seed in values.T], axis=1)
    error, freedom = Sample(values.mean(axis=0), drawn, UNITS).error
    by_unit, by_seed = values.mean(axis=1).var(ddof=1) / 7, values.mean(axis=0).var(ddof=1) / 3
    assert error == pytest.approx(np.sqrt(by_unit + by_seed), rel=0.03)
    assert 2 <= freedom <= 6
    assert Sample(values.mean(axis=0)[:1], drawn[:, :1], UNITS).error[1] == pytest.approx(6)


def test_seeds_alone_have_students_interval_and_need_three():
    values = np.array([1.0, 2.0, 4.0])
    expected = stats.t.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert Sample(values, kind=SEEDS).interval() == pytest.approx(expected)
    with pytest.raises(NotComputable, match="an interval over seeds takes 3; here: 2"):
        Sample(values[:2], kind=SEEDS).interval()


def test_a_rank_correlation_of_six_rows_is_decided_as_by_all_their_orders():
    """Spearman's exact test of six: two-sided 5 % from .886 on, and .3 % for a perfect order."""
    assert RankCorrelation(31 / 35, 6, "rows").interval()[0] > 0
    assert RankCorrelation(29 / 35, 6, "rows").interval()[0] < 0
    assert RankCorrelation(1.0, 6, "rows").interval(0.997)[0] > 0
    assert RankCorrelation(1.0, 6, "rows").interval(0.998)[0] < 0
    low, high = RankCorrelation(-1.0, 6, "rows").interval()
    assert -1 < low < high < 0
    with pytest.raises(NotComputable, match="an interval takes 6 rows; here: 5"):
        RankCorrelation(1.0, 5, "rows").interval()
    with pytest.raises(NotComputable, match="all rows are equal"):
        RankCorrelation(float("nan"), 6, "rows").interval()


def test_pairing_removes_what_two_methods_share():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 7)
    a, b = sample(hard + 1 + rng.normal(0, 0.1, 7)), sample(hard)
    low, high = bootstrap.difference(a, b).interval()
    assert 0.7 < low < 1 < high < 1.3
    assert a.interval()[0] < b.interval()[1]  # unpaired they overlap


@pytest.mark.parametrize("units", [1, 2, 5])
def test_too_few_units_have_no_interval_and_say_so(units):
    with pytest.raises(NotComputable, match=f"an interval takes 6 scenes; here: {units}"):
        sample(np.arange(units, dtype=float), UNITS[:units]).interval()


def test_what_was_not_drawn_has_no_interval():
    with pytest.raises(NotComputable, match="not measured unit by unit"):
        Sample(np.array([1.0, 2.0])).interval()


def test_undefined_draws_are_left_out_until_they_are_most():
    known = np.r_[np.full(60, np.nan), np.arange(40.0)][:, None]
    with pytest.raises(NotComputable, match="undefined in 60 of 100 draws"):
        Sample(np.array([1.0]), known, UNITS).interval()
    assert Sample(np.array([1.0]), np.r_[np.nan, np.ones(99)][:, None], UNITS).interval() == (1, 1)


def test_what_has_one_seed_is_compared_with_every_seed_of_the_other():
    found = bootstrap.difference(
        Sample(np.array([3.0, 4.0, 5.0]), np.tile([3.0, 4.0, 5.0], (10, 1)), UNITS),
        Sample(np.array([1.0]), np.ones((10, 1)), UNITS),
    )
    assert (found.value, found.spread, found.over) == (3, 1, "7 scenes, 3 seeds")
    assert found.replicates.shape == (10, 3)
    low, high = found.interval()
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, 3, 1 / np.sqrt(3)))  # seeds alone vary
    assert Sample(np.array([1.0])).spread is None
    assert bootstrap.negative(found).value == -3


def test_people_of_a_few_scenes_say_how_many():
    people = Sample(np.array([0.9]), np.ones((5, 1)), ("a/1", "a/2", "b/1"), "people")
    assert (people.fixed, people.over) == (2, "3 people")
    assert sample(np.ones(7)).fixed == 0


def test_different_units_are_not_compared():
    with pytest.raises(NotComputable, match="measured on different scenes: 7 and 6"):
        bootstrap.difference(sample(np.ones(7)), sample(np.ones(6), UNITS[:6]))
    with pytest.raises(NotComputable, match="one has 3 seeds, the other 2"):
        bootstrap.difference(Sample(np.ones(3)), Sample(np.ones(2)))


def test_a_drawn_selection_is_combined_as_trackeval_combines_it(make_scene):
    scores = [trackeval.evaluate(*make_scene(k), 8) for k in range(4)]
    rows = trackeval.contributions(scores)
    for taken in ([0, 1, 2, 3], [0, 0, 2, 3], [1, 1, 1, 1]):
        weights = np.bincount(taken, minlength=4).astype(float)
        theirs = trackeval.combine({str(n): scores[k] for n, k in enumerate(taken)}).combined.row()
        for name in trackeval.NAMES:
            scale = 1 if name == "IDSW" else 100
            assert trackeval.measure(weights @ rows, name) == pytest.approx(scale * theirs[name], abs=1e-10), name
    with pytest.raises(InputError, match="there are HOTA, AssA"):
        trackeval.measure(rows, "LocA")


def test_combined_hota_is_not_a_mean_of_hotas(make_scene):
    rows = trackeval.contributions([trackeval.evaluate(*make_scene(k), 8) for k in range(4)])
    apart = trackeval.measure(rows, "HOTA")
    assert abs(trackeval.measure(rows.sum(axis=0), "HOTA") - apart.mean()) > 1e-3


def crowd(seed: int, ties: bool) -> tuple[np.ndarray, Pairs, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame, identity = np.repeat(np.arange(1, 9), 5), np.tile([3, 5, 8, 13, 21], 8)
    chosen = pairs(frame, identity, negatives=2, seed=seed)
    sim = rng.normal(size=len(chosen)).astype(np.float32) + chosen.same
    return (np.round(sim) if ties else sim).astype(np.float32), chosen, identity


@pytest.mark.parametrize("ties", [False, True])
def test_auc_of_drawn_people_is_its_definition(ties):
    sim, chosen, identity = crowd(3, ties)
    found = bootstrap.resample(sim, bootstrap.drawing(chosen, identity, "scene", 12))
    people = np.unique(identity)
    weights = bootstrap.draws([f"scene/{k}" for k in people], 12)
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
    found = bootstrap.resample_first(won, bootstrap.drawing(chosen, identity, "scene", 20))
    weights = bootstrap.draws([f"scene/{k}" for k in (3, 5, 8, 13, 21)], 20)
    for b in range(20):
        drawn = dict(zip((3, 5, 8, 13, 21), weights[b], strict=True))
        repeat = [drawn[identity[i]] * drawn[identity[k]] for i, k in zip(chosen.i, chosen.j, strict=True)]
        again = np.repeat(won, np.array(repeat)[~chosen.same].astype(int))
        assert found[b] == pytest.approx(again.mean()) if len(again) else np.isnan(found[b])


def test_everybody_once_is_the_measure_itself(monkeypatch):
    sim, chosen, identity = crowd(4, False)
    monkeypatch.setattr(bootstrap, "draws", lambda units, count: np.ones((count, len(units))))
    found = bootstrap.resample(sim, bootstrap.drawing(chosen, identity, "scene", 2))
    assert found.auc == pytest.approx(reid.auc(sim, chosen.same), abs=1e-12)
