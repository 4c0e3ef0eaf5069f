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
from msfp.metrics import statistics
from msfp.metrics.statistics import Sample
from msfp.paper import reference
from msfp.paper.claims.arithmetic import ARITHMETIC
from msfp.paper.claims.listed import Claim, load
from msfp.paper.claims.numbers import Printed
from msfp.paper.claims.rules import RULES
from msfp.paper.claims.verdict import KINDS, WORDS, verdict

CLAIMS = {c.id: c for c in load()}
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
        drawn = value + statistics.draws(UNITS, 500) @ (own + NOISE) / 7
        return Sample(value + self.seeds * np.array([-1, 0, 1]) * (1 + len(row) % 3), drawn, UNITS)

    def slack(self, table: int, row: str, column: str) -> float:
        return 0.0

    def rows(self, table: int, column: str) -> list[str]:
        return [r for r, c in self.values if c == column]

    def columns(self, table: int, row: str) -> list[str]:
        return [c for r, c in self.values if r == row]


def claim(kind: str, a: str, b: str = "", column: str = "HOTA", **more: object) -> Claim:
    rows = {"a": tuple(filter(None, a.split("|"))), "b": tuple(filter(None, b.split("|"))), "columns": (column,)}
    given = {"basis": "measured", "tables": (1,), "low": -inf, "high": inf, **rows, **more}
    return Claim(id="x", topic="", section="", quote="", kind=kind, remark="", embedded="", **given)  # type: ignore[arg-type]


def word(one: Claim, values: dict[str, float], column: str = "HOTA", **more: float) -> str:
    return verdict(one, Made({(row, column): v for row, v in values.items()}, **more)).word


@pytest.mark.parametrize(
    ("one", "yes", "no", "unclear"),
    [
        (claim("better", "a", "b|c"), {"a": 3, "b": 1, "c": 2}, {"a": 1, "b": 1, "c": 2}, {"a": 2.02, "b": 1, "c": 2}),
        (claim("best", "a"), {"a": 3, "b": 1, "c": 2}, {"a": 1, "b": 1, "c": 2}, {"a": 2.02, "b": 1, "c": 2}),
        (claim("between", "a", "b|c", low=0.5, high=1.5), {"a": 3, "b": 2, "c": 2}, {"a": 3, "b": 2, "c": 1},
         {"a": 3, "b": 2, "c": 1.5}),
        (claim("at most", "a", "b", high=0.3), {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1.3, "b": 1}),
        (claim("at least", "a", "b", low=0.3), {"a": 2, "b": 1}, {"a": 1, "b": 1}, {"a": 1.3, "b": 1}),
        (claim("ordered", "a|b|c"), {"a": 3, "b": 2, "c": 1}, {"a": 3, "b": 1, "c": 2}, {"a": 3, "b": 1, "c": 1.02}),
        (claim("spread", "a|b|c", high=0.4), {"a": 1, "b": 1.1, "c": 1}, {"a": 1, "b": 2, "c": 1},
         {"a": 1, "b": 1.4, "c": 1.2}),
        (claim("relative", "a", "b", high=16), {"a": 101, "b": 100}, {"a": 150, "b": 100}, {"a": 116, "b": 100}),
        (claim("times", "a|b", "c", low=2, high=10), {"a": 30, "b": 50, "c": 10}, {"a": 30, "b": 150, "c": 10},
         {"a": 20, "b": 50, "c": 10}),
    ],
    ids=lambda v: v.kind if isinstance(v, Claim) else "",
)  # fmt: skip
def test_a_rule_supports_refutes_and_leaves_open(one: Claim, yes: dict, no: dict, unclear: dict) -> None:  # type: ignore[type-arg]
    assert word(one, yes) == "supported"
    assert word(one, no) == "refuted"
    assert word(one, unclear) == "inconclusive"
    assert word(one, {"b": 1}) == "not testable here"


def test_lower_switches_are_better() -> None:
    assert word(claim("better", "a", "b", "IDSW"), {"a": 10, "b": 20}, "IDSW") == "supported"
    assert word(claim("greater", "a", "b", "IDSW"), {"a": 10, "b": 20}, "IDSW") == "refuted"


def test_seeds_that_disagree_leave_it_open_and_say_so() -> None:
    one = claim("better", "a", "bb")  # their seeds spread differently
    found = verdict(one, Made({("a", "HOTA"): 1.0, ("bb", "HOTA"): 0.8}, noise=0.0, seeds=1.0))
    assert (found.word, found.reason) == ("inconclusive", "the claim holds for 2 of 3 seeds")
    assert found.low is not None
    assert found.low > 0
    assert found.spread == pytest.approx(1.0)


def test_too_few_sequences_leave_it_open_and_say_so() -> None:
    class One(Made):
        def sample(self, table: int, row: str, column: str) -> Sample:
            found = super().sample(table, row, column)
            return Sample(found.seeds, found.replicates, UNITS[:1])

    found = verdict(claim("better", "a", "b"), One({("a", "HOTA"): 3, ("b", "HOTA"): 1}))
    assert (found.word, found.effect) == ("inconclusive", pytest.approx(2))
    assert "an interval takes 4 scenes; here: 1" in found.reason


def test_identical_results_are_no_gain() -> None:
    assert word(claim("better", "a", "a"), {"a": 1}) == "refuted"


def test_times_are_judged_as_they_are() -> None:
    assert word(claim("at most", "a", column="Runtime", high=0.1, tables=(8,)), {"a": 0.05}, "Runtime") == "supported"
    assert word(claim("at most", "a", column="Runtime", high=0.1, tables=(8,)), {"a": 0.5}, "Runtime") == "refuted"
    open_ = claim("at most", "a", column="Runtime", high=0.1, tables=(8,))
    assert word(open_, {"a": 0.1}, "Runtime") == "inconclusive"


def test_absolute_times_of_a_gpu_are_not_judged_on_a_cpu() -> None:
    one = replace(claim("at least", "a", column="FPS", low=25.0, tables=(7,)), needs="gpu")
    assert verdict(one, Made({("a", "FPS"): 2.0})).word == "refuted"
    assert verdict(one, Made({("a", "FPS"): 2.0}), "cpu").word == "not testable here"
    assert {c.id for c in load() if c.needs} >= {"real-time", "atl-time"}


def test_gains_on_every_sequence() -> None:
    values = {("a", "02"): 2.0, ("b", "02"): 1.0, ("a", "04"): 3.0, ("b", "04"): 2.0}
    one, size = claim("everywhere", "a", "b", tables=(6,)), claim("alike", "a", "b", low=0, high=0.5, tables=(6,))
    assert verdict(one, Made(values)).word == "supported"
    assert verdict(size, Made(values)).word == "supported"
    worse = Made({**values, ("a", "04"): 1.0})
    assert verdict(one, worse).word == "refuted"
    assert verdict(one, worse).label == "04 (1 of 2 refuted)"
    assert verdict(size, worse).word == "refuted"
    assert verdict(one, Made({("a", "02"): 1.0, ("b", "04"): 1.0})).word == "not testable here"


def test_correlation_of_two_columns() -> None:
    one = claim("correlate", "", column="AUC~AssA", tables=(3,))
    rows = "abcdef"
    for sign, expected in ((1, "supported"), (-1, "refuted")):
        values = {(r, "AUC"): float(k) for k, r in enumerate(rows)}
        values |= {(r, "AssA"): sign * float(k) for k, r in enumerate(rows)}
        found = verdict(one, Made(values))
        assert (found.word, found.effect) == (expected, pytest.approx(sign))
    flat = {(r, c): float(k % 2) for k, r in enumerate(rows) for c in ("AUC", "AssA")}
    flat |= {("a", "AssA"): 1.0, ("b", "AssA"): 0.0, ("c", "AssA"): 1.0}
    assert verdict(one, Made(flat)).word == "inconclusive"


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
        found = ARITHMETIC[one.kind](one, Made(values, seeds=0))
        apart = [e.sample.value for e in found.effects]
        inside = all(found.low - 1e-9 <= x <= found.high + 1e-9 and (x > found.low or not found.strict) for x in apart)
        assert ("supported" if inside else "refuted") == expected


def test_an_average_of_sequences() -> None:
    assert ARITHMETIC["mean"](CLAIMS["table6-mean"], Printed()).effects[0].sample.value == pytest.approx(
        np.mean([58.2, 72.1, 56.8, 64.5, 61.2, 68.5, 52.1]) - 61.1
    )


@pytest.mark.parametrize("one", load(), ids=lambda c: c.id)
def test_a_claim_names_rows_and_columns_of_the_paper(one: Claim) -> None:
    assert one.kind in KINDS or (one.kind == "not testable" and one.remark)
    assert one.quote
    assert one.section
    for n, table in enumerate(one.tables):
        rows, columns = set(reference.rows(table)), set(reference.columns(table))
        assert rows  # the table exists
        for name in (*one.a, *one.b):
            if len(one.tables) < 3:
                first, _, second = name.partition("==")
                own = reference.here(second or first if n else first)
                assert own in rows | OURS, f"Table {table} has no row {name}"
        if one.kind in RULES and one.columns:
            assert set(one.columns[0].split("~")) <= columns


def test_ids_are_unique_and_there_are_about_forty_or_more() -> None:
    assert len(CLAIMS) == len(load()) >= 40
    assert {c.kind for c in load()} - {"not testable"} == set(KINDS)


def test_no_verdict_is_typed_in() -> None:
    text = (files("msfp.paper") / "claims.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        assert not set(row.values()) & set(WORDS)
        assert "verdict" not in row


@pytest.mark.parametrize(
    "one", [c for c in load() if c.basis == "measured" and c.kind in RULES and c.id != "atl-time"], ids=lambda c: c.id
)
def test_the_paper_s_numbers_lie_where_it_says(one: Claim) -> None:
    """Read as measured, the paper's own tables bear its sentences out, but for those that they contradict."""
    contradicted = {"transfer-fixed", "roialign-size"}
    found = RULES[one.kind](one, Printed())
    assert found.effects
    inside = [
        e.sample.value + e.slack > found.low and e.sample.value - e.slack < found.high + 1e-9
        if found.strict
        else found.low - e.slack - 1e-9 <= e.sample.value <= found.high + e.slack + 1e-9
        for e in found.effects
    ]
    assert all(inside) != (one.id in contradicted)


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
