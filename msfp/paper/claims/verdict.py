"""A verdict on every claim, computed from the tables of a run and from the paper's own numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from msfp.errors import NotComputable
from msfp.paper.claims.arithmetic import ARITHMETIC
from msfp.paper.claims.listed import Claim, load
from msfp.paper.claims.numbers import Measured, Numbers, Printed
from msfp.paper.claims.rules import RULES, Effect, Found
from msfp.pipeline.run import Run

Word = Literal["supported", "refuted", "inconclusive", "not testable here"]
WORDS: tuple[Word, ...] = ("supported", "refuted", "inconclusive", "not testable here")
KINDS = {**RULES, **ARITHMETIC}
ROUNDING = 1e-9
CPU = "an absolute time of a GPU; this run was on a CPU"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: what was tested.
        word: the verdict.
        label: what the effect is.
        effect: its value here, None where it could not be computed.
        low, high: 95 % interval over units; of the paper's own numbers, the bounds of rounding.
        spread: standard deviation over training seeds, apart from the interval.
        units: what was drawn, `7 scenes`, or what else the verdict rests on.
        unit: of the effect.
        paper: the same effect in the paper's numbers, None where it has none.
        reason: why the verdict is not plain.
    """

    claim: Claim
    word: Word
    label: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    units: str = ""
    unit: str = ""
    paper: float | None = None
    reason: str = ""


def judge(run: Run, claims: Iterable[Claim] | None = None) -> list[Verdict]:
    """Verdicts in the order of the list."""
    measured = Measured(run)
    device = run.settings.device
    return [verdict(claim, measured, device) for claim in (load() if claims is None else claims)]


def verdict(claim: Claim, measured: Numbers, device: str = "cuda") -> Verdict:
    """One claim, on measured numbers or on the paper's own as it says."""
    printed = Printed()
    shown = _paper_effect(claim, printed)
    paper, unit = (shown.sample.value, shown.unit) if shown else (None, "")
    if claim.kind not in KINDS:
        return Verdict(claim, "not testable here", reason=claim.remark)
    if claim.needs == "gpu" and device == "cpu":
        return Verdict(claim, "not testable here", unit=unit, paper=paper, reason=CPU)
    try:
        found = KINDS[claim.kind](claim, measured if claim.basis == "measured" else printed)
    except NotComputable as error:
        return Verdict(claim, "not testable here", unit=unit, paper=paper, reason=str(error))
    judged = [_decide(claim, effect, found) for effect in found.effects]
    return _together(found, judged, paper)


def _paper_effect(claim: Claim, printed: Printed) -> Effect | None:
    """The claim's effect by the paper's numbers: where there are several, the nearest to contradicting it."""
    if claim.basis == "printed" or claim.kind not in RULES or claim.kind == "counted":
        return None
    try:
        found = RULES[claim.kind](claim, printed)
    except NotComputable:
        return None
    return min(found.effects, key=lambda e: _margin(e.sample.value, found))


def _together(found: Found, judged: list[Verdict], paper: float | None) -> Verdict:
    """All effects have to be where the claim wants them; the one that decides is shown."""
    words = {v.word for v in judged}
    word: Word = "refuted" if "refuted" in words else "inconclusive" if "inconclusive" in words else "supported"
    same = [v for v in judged if v.word == word]
    shown = min(same, key=lambda v: math.inf if v.effect is None else _margin(v.effect, found))
    count = f" ({len(same)} of {len(judged)} {word})" if len(judged) > 1 else ""
    return replace(shown, label=shown.label + count, paper=paper)


def _margin(value: float, found: Found) -> float:
    """How far inside the wanted region a value lies; negative outside."""
    return min(value - found.low, found.high - value)


def _decide(claim: Claim, effect: Effect, found: Found) -> Verdict:
    """One effect against the wanted region: by rounding, by seeds, or by interval and seeds."""
    sample = effect.sample
    known = Verdict(claim, "inconclusive", effect.label, sample.value, spread=sample.spread, unit=effect.unit)
    if claim.basis == "printed" or claim.kind == "counted":
        low, high = sample.value - effect.slack, sample.value + effect.slack
        known = replace(known, word="supported" if _touches(low, high, found) else "refuted")
        if claim.kind == "counted":
            return replace(known, units="counted")
        return replace(known, low=low, high=high, units="rounding") if effect.slack else known
    seeds = [_inside(float(x), found) for x in sample.seeds]
    if effect.by_seed:
        units = f"{len(seeds)} seeds" if len(seeds) > 1 else "one value"
        return _worded(replace(known, units=units), all(seeds), not any(seeds), seeds)
    try:
        low, high = sample.interval()
    except NotComputable as error:
        return replace(known, reason=str(error))
    within, apart = _inside(low, found) and _inside(high, found), not _touches(low, high, found)
    known = replace(known, low=low, high=high, units=f"{len(sample.units)} {sample.kind}")
    if not within and not apart:
        return replace(known, reason="the interval lies on both sides")
    return _worded(known, within and all(seeds), apart and not any(seeds), seeds)


def _worded(known: Verdict, holds: bool, fails: bool, seeds: list[bool]) -> Verdict:
    """Supported or refuted where all seeds agree."""
    if holds or fails:
        return replace(known, word="supported" if holds else "refuted")
    return replace(known, reason=f"the claim holds for {sum(seeds)} of {len(seeds)} seeds")


def _inside(value: float, found: Found) -> bool:
    """Whether one value is where the claim wants it."""
    return _touches(value, value, found)


def _touches(low: float, high: float, found: Found) -> bool:
    """Whether an interval reaches the region that the claim wants; a strict region ends before its lower bound."""
    above = high > found.low + ROUNDING if found.strict else high >= found.low - ROUNDING
    return above and low <= found.high + ROUNDING
