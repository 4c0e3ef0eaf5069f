"""A verdict on every claim, computed from the tables of a run and from the paper's own numbers."""

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from msfp.config import Settings
from msfp.errors import NotComputable
from msfp.metrics.statistics import Sample
from msfp.paper.claims.effects import Effect, Found
from msfp.paper.claims.listed import Apart, Claim, apart, load
from msfp.paper.claims.numbers import Measured, Printed
from msfp.paper.claims.rules import KINDS
from msfp.paper.claims.words import ALPHA, Word, holm, together, touches, words
from msfp.pipeline.run import Run

SIGN_HOLDS = "the sign holds"
CPU = "an absolute time of a GPU; this run was on a CPU"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim."""

    claim: Claim
    word: Word
    label: str = ""  # what the effect is
    effect: float | None = None  # None where it could not be computed
    low: float | None = None  # 95 % interval over units and seeds; of the paper's own numbers, the bounds of rounding
    high: float | None = None
    spread: float | None = None  # standard deviation over training seeds
    units: str = ""  # what was drawn, `7 scenes, 3 seeds`, or what else the verdict rests on
    unit: str = ""
    paper: float | None = None  # the same effect in the paper's numbers
    reason: str = ""  # why the verdict is not plain
    apart: Apart | None = None  # why it is counted apart


def judge(run: Run, claims: Iterable[Claim] | None = None) -> list[Verdict]:
    """Verdicts in the order of the list."""

    def embedded(claim: Claim) -> bool:
        return dataset(claim, run.settings) in run.embedded_names

    return verdicts(load() if claims is None else claims, Measured(run), run.settings.device, embedded)


def dataset(claim: Claim, settings: Settings) -> str | None:
    """The data set that a claim's numbers are measured on."""
    column = claim.columns[0] if claim.columns else ""
    if claim.table == 19:
        return settings.data.dance
    if claim.table == 2 or column.startswith("MOT20"):
        return settings.data.crowded
    return settings.data.cross if column.startswith("Cross-domain") else settings.data.main


def verdicts(
    claims: Iterable[Claim],
    measured: Printed,
    device: str = "cuda",
    embedded: Callable[[Claim], bool] = lambda claim: False,
) -> list[Verdict]:
    """Claims with those of their families; `embedded`: whether a claim is tested on an embedded world."""
    tested = [_test(claim, measured, device) for claim in claims]
    families: dict[str, dict[str, Found]] = {}
    for known, found in tested:
        if found is not None and not known.reason:
            families.setdefault(known.claim.family or known.claim.id, {})[known.claim.id] = found
    said = {id: word for family in families.values() for id, word in holm(family).items()}
    judged = [v if found is None else _worded(v, found, *said.get(v.claim.id, (v.word, 1))) for v, found in tested]
    return [replace(v, apart=apart(v.claim, embedded(v.claim))) for v in judged]


def _test(claim: Claim, measured: Printed, device: str) -> tuple[Verdict, Found | None]:
    """The claim's effects before its family is corrected, with a reason where they give no word; or a verdict alone."""
    printed: dict[str, Effect] = {}
    if claim.basis == "measured" and claim.kind in KINDS and claim.kind != "counted":
        with suppress(NotComputable):
            printed = {e.label: e for e in KINDS[claim.kind](claim, Printed()).effects}
    paper = min((e.sample.value for e in printed.values()), key=abs, default=None)
    absent = Verdict(claim, "not testable here", paper=paper)
    if claim.kind not in KINDS:
        return replace(absent, reason=claim.remark), None
    if claim.needs == "gpu" and device == "cpu":
        return replace(absent, reason=CPU), None
    try:
        found = KINDS[claim.kind](claim, measured if claim.basis == "measured" else Printed())
    except NotComputable as error:
        return replace(absent, reason=str(error)), None
    if claim.basis == "printed" or claim.kind == "counted":
        return _by_rounding(claim, found), None
    found = replace(found, effects=tuple(_beside(e, printed.get(e.label)) for e in found.effects))
    reason = ""
    if fixed := max((e.sample.fixed for e in found.effects if isinstance(e.sample, Sample)), default=0):
        scenes = "one fixed scene" if fixed == 1 else f"{fixed} fixed scenes"
        reason = f"people of {scenes} were drawn, which says nothing of other scenes"
    try:
        words(found)
    except NotComputable as error:
        reason = str(error)
    return Verdict(claim, "inconclusive", reason=reason), found


def _beside(effect: Effect, theirs: Effect | None) -> Effect:
    """An effect with the paper's, and the least that its digits allow; none for times and counts of its machine."""
    if theirs is None:
        return effect
    size = theirs.sample.value - theirs.slack if effect.margin else None
    return replace(effect, printed=size, paper=theirs.sample.value)


def _worded(known: Verdict, found: Found, word: Word, left: int) -> Verdict:
    """The verdict with its word, told by the effect that decides; `left`: claims of its family that were open."""
    if known.reason:
        return _told(known, found, found.effects)
    alone, at = words(found), words(found, ALPHA / left)
    deciding = [e for e, w in zip(found.effects, at, strict=True) if w == word]
    told = _told(replace(known, word=word), found, deciding)
    reason = ""
    if word != together(alone):
        reason = f"{together(alone)} by itself; Holm's correction, {left} claims of its family being open, leaves this"
    elif word == "inconclusive":
        reason = "the interval lies on both sides"
    elif word == "smaller than the paper says":
        holds = told.low is not None and found.bound is not None and told.low > found.bound
        reason = SIGN_HOLDS if holds else "the sign is open"
    return replace(told, label=told.label + _count(deciding, found, word), reason=reason)


def _told(known: Verdict, found: Found, effects: Iterable[Effect]) -> Verdict:
    """The verdict with one effect and its plain interval."""
    effect = _nearest(effects, found)
    value, sample = effect.sample.value, effect.sample
    told = replace(
        known,
        label=effect.label,
        effect=None if math.isnan(value) else value,
        spread=sample.spread,
        unit=effect.unit,
        units=sample.over,
        paper=effect.paper,
    )
    try:
        low, high = sample.interval()
    except NotComputable:
        return told
    return replace(told, low=low, high=high) if low < high else told


def _nearest(effects: Iterable[Effect], found: Found) -> Effect:
    """The effect that is the least where the claim wants it; an undefined one before all."""

    def inside(effect: Effect) -> float:
        value = effect.sample.value
        return -math.inf if math.isnan(value) else min(value - found.low, found.high - value)

    return min(effects, key=inside)


def _count(deciding: list[Effect], found: Found, word: Word) -> str:
    return f" ({len(deciding)} of {len(found.effects)} {word})" if len(found.effects) > 1 else ""


def _by_rounding(claim: Claim, found: Found) -> Verdict:
    """Numbers that are known but for their last digit: what is counted here, and the paper's own."""

    def word_of(effect: Effect) -> Word:
        value = effect.sample.value
        return "supported" if touches(value - effect.slack, value + effect.slack, found) else "refuted"

    word = together(map(word_of, found.effects))
    deciding = [e for e in found.effects if word_of(e) == word]
    effect = _nearest(deciding, found)
    value, slack = effect.sample.value, effect.slack
    label = effect.label + _count(deciding, found, word)
    told = Verdict(claim, word, label, value, spread=effect.sample.spread, unit=effect.unit)
    if claim.kind == "counted":
        return replace(told, units="counted")
    return replace(told, low=value - slack, high=value + slack, units="rounding") if slack else told
