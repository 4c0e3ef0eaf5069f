"""Verdicts: every test of a claim on numbers made for it, every claim on the paper's tables."""

import csv
import re
from dataclasses import replace
from importlib.resources import files
from math import inf
from pathlib import Path

import numpy as np
import pytest

from msfp.errors import NotComputable
from msfp.metrics import bootstrap
from msfp.metrics.bootstrap import Sample
from msfp.paper import registry
from msfp.paper.claims import KINDS, Claim, Printed, apart, load, reasons_apart
from msfp.paper.registry import EXTRA, artefact
from msfp.paper.verdicts import WORDS, Verdict, verdicts

CLAIMS = {c.id: c for c in load()}


def verdict(one: Claim, measured: object, device: str = "cuda") -> Verdict:
    """One claim by itself."""
    return verdicts([one], measured, device)[0]  # type: ignore[arg-type]


OURS = {"MSFP-Track: ATL"}  # a row of Table 7 that the paper does not have: the stage by itself
UNITS = tuple(f"scene {k}" for k in range(7))
NOISE = np.random.default_rng(1).normal(0, 1, 7)


class Made:
    """Numbers made for a test: by (row, column), a value with little noise over seven scenes and three seeds."""

    def __init__(self, values: dict[tuple[str, str], float], noise: float = 0.05, seeds: float = 0.01) -> None:
        self.values, self.noise, self.seeds = values, noise, seeds

    def sample(self, table: int, row: str, column: str) -> Sample:
        if (row, column) not in self.values:
            raise NotComputable(f"{row} was not measured")
        value = self.values[row, column]
        own = np.random.default_rng(len(row) + sum(map(ord, row))).normal(0, self.noise, 7)
        own -= own.mean()
        drawn = value + bootstrap.draws(UNITS, 500) @ (own + NOISE) / 7
        by_seed = self.seeds * np.array([-1, 0, 1]) * (1 + len(row) % 3)
        return Sample(value + by_seed, drawn[:, None] + by_seed, UNITS)

    def slack(self, table: int, row: str, column: str) -> float:
        return 0.0

    def rows(self, table: int, column: str) -> list[str]:
        return [r for r, c in self.values if c == column]

    def columns(self, table: int, row: str) -> list[str]:
        return [c for r, c in self.values if r == row]


def claim(kind: str, a: str, b: str = "", column: str = "HOTA", **more: object) -> Claim:
    rows = {"a": tuple(filter(None, a.split("|"))), "b": tuple(filter(None, b.split("|"))), "columns": (column,)}
    given = {"basis": "measured", "tables": (1,), "low": -inf, "high": inf, **rows, **more}
    named = {"id": "x", "family": "", "apart": ""} | {k: given.pop(k) for k in ("id", "family", "apart") if k in given}
    return Claim(topic="", section="", quote="", kind=kind, remark="", embedded="", **named, **given)  # type: ignore[arg-type]


def word(one: Claim, values: dict[str, float], column: str = "HOTA", **more: float) -> str:
    return verdict(one, Made({(row, column): v for row, v in values.items()}, **more)).word


@pytest.mark.parametrize(
    ("one", "yes", "no", "unclear"),
    [
        (claim("better", "a", "b|c"), {"a": 3, "b": 1, "c": 2}, {"a": 1, "b": 1, "c": 2}, {"a": 2.02, "b": 1, "c": 2}),
        (claim("best", "a"), {"a": 3, "b": 1, "c": 2}, {"a": 1, "b": 1, "c": 2}, {"a": 2.02, "b": 1, "c": 2}),
        (claim("between", "a", "b|c", low=0.5, high=1.5), {"a": 3, "b": 2, "c": 2}, {"a": 3, "b": 2, "c": 1},
         {"a": 3, "b": 2, "c": 1.5}),
        (claim("between", "a", "b", low=-0.5, high=0.5), {"a": 3, "b": 3}, {"a": 2, "b": 3}, {"a": 2.5, "b": 3}),
        (claim("at most", "a", "b", high=0.3), {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1.3, "b": 1}),
        (claim("at least", "a", "b", low=0.3), {"a": 2, "b": 1}, {"a": 1, "b": 1}, {"a": 1.3, "b": 1}),
        (claim("ordered", "a|b|c"), {"a": 3, "b": 2, "c": 1}, {"a": 3, "b": 1, "c": 2}, {"a": 3, "b": 1, "c": 1.02}),
        (claim("spread", "a|b|c", high=0.4), {"a": 1, "b": 1.1, "c": 1}, {"a": 1, "b": 2, "c": 1},
         {"a": 1, "b": 1.4, "c": 1.2}),
        (claim("relative", "a", "b", high=16), {"a": 101, "b": 100}, {"a": 150, "b": 100}, {"a": 116, "b": 100}),
        (claim("times", "a|b", "c", low=2, high=10), {"a": 30, "b": 50, "c": 10}, {"a": 5, "b": 150, "c": 10},
         {"a": 20, "b": 50, "c": 10}),
    ],
    ids=lambda v: f"{v.kind} {v.low} to {v.high}" if isinstance(v, Claim) else "",
)  # fmt: skip
def test_a_rule_supports_refutes_and_leaves_open(one: Claim, yes: dict, no: dict, unclear: dict) -> None:  # type: ignore[type-arg]
    assert word(one, yes) == "supported"
    assert word(one, no) == "refuted"
    assert word(one, unclear, noise=0.5) == "inconclusive"
    assert word(one, {"b": 1}) == "not testable here"


def test_lower_switches_are_better() -> None:
    assert word(claim("better", "a", "b", "IDSW"), {"a": 10, "b": 20}, "IDSW") == "supported"
    assert word(claim("greater", "a", "b", "IDSW"), {"a": 10, "b": 20}, "IDSW") == "refuted"


LITE = CLAIMS["msfp-lite-mot17"]  # the paper prints 2.1 points, known to a tenth


def lite(gain: float, noise: float) -> str:
    """The word for MSFP-Track over LITE, half the width of whose interval is about `noise`."""
    made = Made({("MSFP-Track", "HOTA"): 50 + gain, ("LITE", "HOTA"): 50.0}, noise=noise)
    return verdict(LITE, made).word


@pytest.mark.parametrize(
    ("gain", "noise", "expected"),
    [
        (2.5, 0.2, "supported"),
        (2.0, 0.2, "supported"),  # the printed size lies inside
        (1.0, 0.2, "smaller than the paper says"),
        (0.2, 0.6, "smaller than the paper says"),  # the sign is open
        (0.1, 0.05, "no difference"),
        (-0.1, 0.05, "no difference"),
        (0.0, 0.0, "no difference"),
        (-1.0, 0.2, "refuted"),
        (-0.4, 0.1, "refuted"),
        (1.5, 3.0, "inconclusive"),
    ],
)
def test_every_word_of_a_direction(gain: float, noise: float, expected: str) -> None:
    assert lite(gain, noise) == expected


def test_a_smaller_gain_says_whether_its_sign_holds() -> None:
    for gain, noise, reason in ((1.0, 0.2, "the sign holds"), (0.2, 0.6, "the sign is open")):
        made = Made({("MSFP-Track", "HOTA"): 50 + gain, ("LITE", "HOTA"): 50.0}, noise=noise)
        found = verdict(LITE, made)
        assert (found.reason, found.paper) == (reason, pytest.approx(2.1))


def test_the_margin_of_an_auc_is_its_own() -> None:
    one = CLAIMS["fig3-auc"]
    for gain, expected in ((0.004, "no difference"), (0.008, "smaller than the paper says"), (0.05, "supported")):
        values = {("Attention (instance)", "AUC"): 0.9 + gain, ("Single Layer (LITE)", "AUC"): 0.9}
        assert verdict(one, Made(values, noise=2e-4, seeds=1e-5)).word == expected


def test_a_claimed_size_is_missed_from_either_side() -> None:
    one = claim("between", "a", "b", low=0.6, high=1.0)
    for gain, expected in ((0.0, "no difference"), (0.45, "smaller than the paper says"), (2.0, "refuted"),
                           (-1.0, "refuted")):  # fmt: skip
        assert word(one, {"a": gain, "b": 0}) == expected
    slow = claim("times", "a", "b", low=2, high=10)
    assert word(slow, {"a": 15, "b": 10}) == "smaller than the paper says"


def test_seeds_that_disagree_widen_the_interval_and_veto_nothing() -> None:
    one = claim("better", "a", "bb")  # their seeds spread differently
    for gain, expected in ((1.0, "inconclusive"), (9.0, "supported")):
        found = verdict(one, Made({("a", "HOTA"): gain, ("bb", "HOTA"): 0.0}, noise=0.0, seeds=1.0))
        assert (found.word, found.spread, found.units) == (expected, pytest.approx(1.0), "7 scenes, 3 seeds")
    assert found.low == pytest.approx(9 - 4.303 / 3**0.5, abs=1e-3)  # Student's t of three seeds


def test_too_few_sequences_leave_it_open_and_say_so() -> None:
    class One(Made):
        def sample(self, table: int, row: str, column: str) -> Sample:
            found = super().sample(table, row, column)
            return Sample(found.seeds, found.replicates, UNITS[:5])

    found = verdict(claim("better", "a", "b"), One({("a", "HOTA"): 3, ("b", "HOTA"): 1}))
    assert (found.word, found.effect) == ("inconclusive", pytest.approx(2))
    assert "an interval takes 6 scenes; here: 5" in found.reason


def test_people_of_fixed_scenes_give_an_interval_and_no_word() -> None:
    class People(Made):
        def sample(self, table: int, row: str, column: str) -> Sample:
            found = super().sample(table, row, column)
            return Sample(found.seeds, found.replicates, tuple(f"{k % 3}/{k}" for k in range(7)), "people")

    values = {("Attention (instance)", "AUC"): 0.9, ("Single Layer (LITE)", "AUC"): 0.8}
    found = verdict(CLAIMS["fig3-auc"], People(values, noise=1e-3, seeds=1e-4))
    assert (found.word, found.effect) == ("inconclusive", pytest.approx(0.1))
    assert found.reason == "people of 3 fixed scenes were drawn, which says nothing of other scenes"
    assert found.low is not None
    assert verdict(CLAIMS["fig3-auc"], Made(values, noise=1e-3, seeds=1e-4)).word == "supported"


def test_identical_results_are_no_difference() -> None:
    assert word(claim("better", "a", "a"), {"a": 1}) == "no difference"
    assert word(claim("better", "a", "a", "IDSW"), {"a": 1}, "IDSW") == "no difference"  # without any margin


def test_each_rival_is_compared_alone_and_the_deciding_one_is_told() -> None:
    one = claim("better", "a", "b|c|d")
    found = verdict(one, Made({(row, "HOTA"): v for row, v in {"a": 2, "b": 0, "c": 3, "d": 2.6}.items()}))
    assert (found.word, found.label) == ("refuted", "a over c (2 of 3 refuted)")
    same = verdict(one, Made({(row, "HOTA"): v for row, v in {"a": 2, "b": 0, "c": 2, "d": 1}.items()}))
    assert (same.word, same.label) == ("no difference", "a over c (1 of 3 no difference)")


def test_one_of_several_rivals_counts_against_a_claim_at_its_share_of_the_level() -> None:
    """The same rival, alone and among five that are clearly beaten."""
    values = {("a", "HOTA"): 0.0, ("b", "HOTA"): 1.0} | {(row, "HOTA"): -9.0 for row in "cdef"}
    noise = next(n for n in np.arange(0.5, 3, 0.05)[::-1] if verdict(claim("better", "a", "b"), Made(values, n)).word ==
                 "refuted")  # fmt: skip
    assert verdict(claim("better", "a", "b|c|d|e|f"), Made(values, noise)).word == "inconclusive"
    assert verdict(claim("better", "a", "b|c|d|e|f"), Made(values, noise / 2)).word == "refuted"


def test_a_family_is_corrected_by_holm_and_says_so() -> None:
    """Two claims just clear by themselves and one far clear: alone all hold, together the far one holds first."""
    values = {("a", "HOTA"): 1.0, ("b", "HOTA"): 0.0, ("far", "HOTA"): -9.0}
    near = claim("better", "a", "b")
    noise = max(n for n in np.arange(0.5, 3, 0.02) if verdict(near, Made(values, n)).word == "supported")
    made = Made(values, noise)
    family = [replace(claim("better", "a", b), id=str(k), family="f") for k, b in enumerate(["b", "b", "far"])]
    found = verdicts(family, made)
    assert [v.word for v in found] == ["inconclusive", "inconclusive", "supported"]
    assert found[0].reason == ("supported by itself; Holm's correction, 2 claims of its family being open, leaves this")
    assert [v.word for v in verdicts([replace(c, family=c.id) for c in family], made)] == ["supported"] * 3
    assert verdicts(family[1:], made)[0].word == "supported"  # with one left, the level is whole again


def test_times_are_judged_as_they_are() -> None:
    class Timed(Made):
        def sample(self, table: int, row: str, column: str) -> Sample:
            return Sample(super().sample(table, row, column).seeds[1:2])

    one = claim("at most", "a", column="Runtime", high=0.1, tables=(8,))
    assert verdict(one, Timed({("a", "Runtime"): 0.05})).word == "supported"
    assert verdict(one, Timed({("a", "Runtime"): 0.5})).word == "refuted"
    assert verdict(one, Timed({("a", "Runtime"): 0.5})).units == "one value"


def test_absolute_times_of_a_gpu_are_not_judged_on_a_cpu() -> None:
    one = replace(claim("at least", "a", column="FPS", low=25.0, tables=(7,)), needs="gpu")
    assert verdict(one, Made({("a", "FPS"): 2.0})).word == "refuted"
    assert verdict(one, Made({("a", "FPS"): 2.0}), "cpu").word == "not testable here"
    assert {c.id for c in load() if c.needs} >= {"real-time", "atl-time"}


def test_gains_on_every_sequence() -> None:
    values = {("a", "02"): 2.0, ("b", "02"): 1.0, ("a", "04"): 3.0, ("b", "04"): 2.0}
    one, size = claim("everywhere", "a", "b", tables=(6,)), claim("alike", "a", "b", low=0, high=0.5, tables=(6,))
    assert verdict(one, Made(values)).word == "supported"
    worse = Made({**values, ("a", "04"): 1.0})
    assert verdict(one, worse).word == "refuted"
    assert verdict(one, worse).label == "04 (1 of 2 refuted)"
    assert verdict(one, Made({**values, ("a", "04"): 2.0})).word == "no difference"
    assert verdict(one, Made({("a", "02"): 1.0, ("b", "04"): 1.0})).word == "not testable here"
    assert verdict(one, Made({**values, ("a", "all"): 0.0, ("b", "all"): 9.0})).word == "supported"  # no sequence
    assert verdict(size, Made({("a", "02"): 2.0, ("b", "02"): 1.0})).word == "not testable here"


class Gains(Made):
    """Gains on seven sequences, of which each seed moves every one by itself."""

    def __init__(self, gains: list[float], noise: float) -> None:
        names = registry.columns(6)
        rng = np.random.default_rng(4)
        self.table = {name: gain + rng.normal(0, noise, 3) for name, gain in zip(names, gains, strict=True)}
        super().__init__({(row, name): 0.0 for row in "ab" for name in names})

    def sample(self, table: int, row: str, column: str) -> Sample:
        return Sample(self.table[column] if row == "a" else np.zeros(3))


@pytest.mark.parametrize(
    ("gains", "noise", "is_alike", "is_everywhere"),
    [
        ([1.0] * 7, 0.05, "supported", "supported"),
        ([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0], 0.05, "supported", "supported"),
        ([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 3.0], 0.05, "refuted", "supported"),
        ([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, -1.0], 0.01, "refuted", "refuted"),
        ([1.0] * 7, 0.6, "inconclusive", "inconclusive"),
    ],
)
def test_gains_are_alike_and_everywhere_or_not(
    gains: list[float], noise: float, is_alike: str, is_everywhere: str
) -> None:
    made = Gains(gains, noise)
    assert verdict(claim("alike", "a", "b", low=0, high=0.5, tables=(6,)), made).word == is_alike
    assert verdict(claim("everywhere", "a", "b", tables=(6,)), made).word == is_everywhere


@pytest.mark.parametrize(("order", "expected"), [("012345", "supported"), ("543210", "refuted")])
def test_a_correlation_of_two_columns_is_over_their_rows(order: str, expected: str) -> None:
    found = verdict(CORRELATED, ranked(order))
    assert (found.word, found.units) == (expected, "6 strategies")


def test_a_correlation_of_six_rows_that_is_just_enough_is_too_little_for_two_claims() -> None:
    one = verdict(CORRELATED, ranked("102354"))
    assert (one.word, one.effect) == ("supported", pytest.approx(31 / 35))
    both = verdicts([replace(CORRELATED, family="f", id=i) for i in "12"], ranked("102354"))
    assert {v.word for v in both} == {"inconclusive"}


def test_rows_that_are_all_equal_have_no_correlation_to_show() -> None:
    equal = Made({(r, c): 1.0 for r in "abcdef" for c in ("AUC", "AssA")}, noise=0, seeds=0)
    found = verdict(CORRELATED, equal)
    assert (found.word, found.effect) == ("inconclusive", None)
    assert found.reason == "no rank correlation: all rows are equal in one of the two"


CORRELATED = claim("correlate", "", column="AUC~AssA", tables=(3,))


def ranked(order: str) -> Made:
    values = {(r, "AUC"): float(k) for k, r in enumerate("abcdef")}
    return Made(values | {(r, "AssA"): float(k) for r, k in zip("abcdef", order, strict=True)}, noise=0, seeds=0)


def test_counted_numbers_are_compared_to_the_paper_s_digits() -> None:
    one = CLAIMS["parameters"]
    rows = {"Proj(4)": 8320.0, "Proj(9)": 33000.0, "Proj(14)": 24800.0, "Attention MLP": 1155.0}
    found = Made({(r, "Parameters"): v for r, v in rows.items()}, seeds=0)
    assert verdict(one, found).word == "supported"
    found.values["Proj(9)", "Parameters"] = 32896.0
    assert verdict(one, found).word == "refuted"
    assert verdict(one, found).label.startswith("Proj(9)")


@pytest.mark.parametrize(
    ("one", "yes", "no"),
    [
        (claim("agree", "a", column="X==Y", tables=(1, 2)), {("a", "X"): 1, ("a", "Y"): 1},
         {("a", "X"): 1, ("a", "Y"): 2}),
        (claim("distinct", "a", column="X==Y", tables=(1, 2)), {("a", "X"): 1, ("a", "Y"): 2},
         {("a", "X"): 1, ("a", "Y"): 1}),
        (claim("root", "", high=0.1), {("a", "HOTA"): 6, ("a", "AssA"): 4, ("a", "DetA"): 9},
         {("a", "HOTA"): 6.5, ("a", "AssA"): 4, ("a", "DetA"): 9}),
        (claim("sum", "", column="T=X+Y"), {("a", "T"): 3, ("a", "X"): 1, ("a", "Y"): 2},
         {("a", "T"): 4, ("a", "X"): 1, ("a", "Y"): 2}),
        (claim("total", "a|b", "t", "X"), {("a", "X"): 1, ("b", "X"): 2, ("t", "X"): 3},
         {("a", "X"): 1, ("b", "X"): 2, ("t", "X"): 4}),
        (claim("inverse", "", column="F=M"), {("a", "F"): 50, ("a", "M"): 20}, {("a", "F"): 52, ("a", "M"): 20}),
        (claim("gain", "a", "b", "d"), {("a", "X"): 3, ("b", "X"): 1, ("d", "X"): 2},
         {("a", "X"): 3, ("b", "X"): 1, ("d", "X"): 1}),
    ],
    ids=lambda v: v.kind if isinstance(v, Claim) else "",
)  # fmt: skip
def test_arithmetic_holds_or_not(one: Claim, yes: dict, no: dict) -> None:  # type: ignore[type-arg]
    for values, expected in ((yes, "supported"), (no, "refuted")):
        found = KINDS[one.kind](one, Made(values, seeds=0))
        apart = [e.sample.value for e in found.effects]
        inside = all(found.low - 1e-9 <= x <= found.high + 1e-9 and (x > found.low or not found.strict) for x in apart)
        assert ("supported" if inside else "refuted") == expected


def test_an_average_of_sequences() -> None:
    assert KINDS["mean"](CLAIMS["table6-mean"], Printed()).effects[0].sample.value == pytest.approx(
        np.mean([58.2, 72.1, 56.8, 64.5, 61.2, 68.5, 52.1]) - 61.1
    )


@pytest.mark.parametrize("one", load(), ids=lambda c: c.id)
def test_a_claim_names_rows_and_columns_of_the_paper(one: Claim) -> None:
    assert one.kind in KINDS or (one.kind == "not testable" and one.remark)
    assert one.quote
    assert one.section
    if one.table > EXTRA:  # measured beside the paper, which gives no such numbers
        assert artefact("table", one.table).status == "ready"
        return
    for n, table in enumerate(one.tables):
        rows, columns = set(registry.rows(table)), set(registry.columns(table))
        assert rows  # the table exists
        for name in (*one.a, *one.b):
            if len(one.tables) < 3:
                first, _, second = name.partition("==")
                own = registry.here(second or first if n else first)
                assert own in rows | OURS, f"Table {table} has no row {name}"
        if one.basis == "measured" and one.columns:
            assert set(one.columns[0].split("~")) <= columns


def test_why_a_claim_is_counted_apart_depends_on_the_data() -> None:
    assert {c.apart for c in load()} - {""} == set(reasons_apart())
    for one in load():
        assert one.family or one.basis == "printed" or one.kind in ("counted", "not testable"), one.id
    on_worlds = {c.id: apart(c, True) for c in load()}
    on_films = {c.id: apart(c, False) for c in load()}
    for name, why, everywhere in (("ema-frame", "construction", False), ("oscillates", "construction", True),
                                  ("lite-speedup", "hardware", True)):  # fmt: skip
        found = on_worlds[name]
        assert found is not None
        assert found.why == why
        assert (on_films[name] is not None) == everywhere
    assert on_worlds["msfp-lite-mot17"] is None


def test_a_reason_that_no_longer_holds_is_dropped_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    one = CLAIMS["ema-frame"]
    monkeypatch.setitem(reasons_apart(), "density", replace(reasons_apart()["density"], where="nowhere"))
    assert apart(one, True) is None
    assert apart(CLAIMS["offset-best"], True) is None  # the simulated detectors see the picture's haze and dusk


def test_no_two_claims_test_the_same_contrast() -> None:
    measured = [c for c in load() if c.basis == "measured" and c.kind in KINDS]
    contrasts = [(c.table, c.a, c.b, c.columns) for c in measured if c.kind in ("better", "between")]
    assert len(set(contrasts)) == len(contrasts)


def test_ids_are_unique_and_there_are_about_forty_or_more() -> None:
    assert len(CLAIMS) == len(load()) >= 40
    assert {c.kind for c in load()} - {"not testable"} == set(KINDS)


def test_no_verdict_is_typed_in() -> None:
    text = (files("msfp.paper") / "claims.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        assert not set(row.values()) & set(WORDS)
        assert "verdict" not in row


@pytest.mark.parametrize(
    "one",
    [c for c in load() if c.basis == "measured" and c.kind in KINDS and c.id != "atl-time" and c.table <= EXTRA],
    ids=lambda c: c.id,
)
def test_the_paper_s_numbers_lie_where_it_says(one: Claim) -> None:
    """Read as measured, the paper's own tables bear its sentences out."""
    found = KINDS[one.kind](one, Printed())
    assert found.effects
    for e in found.effects:
        if found.strict:
            assert e.sample.value + e.slack > found.low
        else:
            assert found.low - e.slack - 1e-9 <= e.sample.value <= found.high + e.slack + 1e-9


def test_the_paper_s_own_numbers_are_judged_without_a_run() -> None:
    found = {c.id: verdict(c, Made({})).word for c in load()}
    assert {i for i, c in CLAIMS.items() if c.basis == "measured"} == {
        i for i, w in found.items() if w == "not testable here"
    }
    assert found["percent"] == found["fairmot-mota"] == found["bold-switches"] == found["train-test"] == "refuted"
    assert found["overhead-reid"] == found["total-sum"] == found["fps-table7"] == found["params-sum"] == "supported"
    assert verdict(CLAIMS["percent"], Made({})).effect == pytest.approx(100 * (63.2 / 61.1 - 1))


def test_verdicts_follow_the_numbers() -> None:
    """The same sentence, with the rows' values exchanged."""
    one = CLAIMS["instance-global-auc"]
    ours = {("Attention (instance)", "AUC"): 0.96, ("Attention (global)", "AUC"): 0.95}
    turned = {("Attention (instance)", "AUC"): 0.95, ("Attention (global)", "AUC"): 0.96}
    assert verdict(one, Made(ours, noise=1e-4, seeds=1e-5)).word == "supported"
    assert verdict(one, Made(turned, noise=1e-4, seeds=1e-5)).word == "refuted"
    assert verdict(one, Made(ours)).paper == pytest.approx(0.01)
    assert verdict(replace(one, basis="printed"), Made({})).word == "supported"


@pytest.mark.real
def test_quotes_are_the_paper_s_words(shared: Path) -> None:
    def plain(text: str) -> str:
        for name, sign in {"beta": "β", "tau": "τ", "Delta": "Δ", "times": "×"}.items():
            text = text.replace(f"\\{name}", sign)
        text = re.sub(r"</?[a-z]+>|\\[a-z]+|[$*_{}\\]", "", text)
        return re.sub(r"[\s’'`”“\"−-]+", "", text).lower()

    paper = plain((shared / "paper" / "msfp-track.txt").read_text(encoding="utf-8"))
    for one in load():
        for part in re.split(r"\[[^\]]*\]|\.\.\.", one.quote):
            assert plain(part.strip(" ,")) in paper, (one.id, part)
