"""A verdict on every claim, computed from the tables of a run and from the paper's own numbers."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from msfp.config import Settings
from msfp.errors import NotComputable
from msfp.metrics.statistics import Sample
from msfp.paper.claims.arithmetic import ARITHMETIC
from msfp.paper.claims.effects import Effect, Found
from msfp.paper.claims.listed import Apart, Claim, apart, load
from msfp.paper.claims.numbers import Measured, Numbers, Printed
from msfp.paper.claims.rules import RULES
from msfp.paper.claims.words import ALPHA, Word, holm, together, touches, words
from msfp.pipeline.run import Run

KINDS = {**RULES, **ARITHMETIC}
SIGN_HOLDS = "the sign holds"
CPU = "an absolute time of a GPU; this run was on a CPU"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: what was tested.
        word: the verdict.
        label: what the effect is.
        effect: its value here, None where it could not be computed.
        low, high: 95 % interval over units and seeds; of the paper's own numbers, the bounds of rounding.
        spread: standard deviation over training seeds.
        units: what was drawn, `7 scenes, 3 seeds`, or what else the verdict rests on.
        unit: of the effect.
        paper: the same effect in the paper's numbers, None where it has none.
        reason: why the verdict is not plain.
        apart: why it is counted apart from the others, None where it is not.
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
    apart: Apart | None = None


@dataclass(frozen=True)
class Tested:
    """A claim with its effects, before its family is corrected.

    Attributes:
        known: the verdict so far; `inconclusive` where there are effects.
        found: the effects and where the claim wants them; None where there are none.
        printed: label of an effect -> the same in the paper's numbers.
        withheld: why no word can be said although there are numbers.
    """

    known: Verdict
    found: Found | None = None
    printed: dict[str, Effect] = field(default_factory=dict)
    withheld: str = ""


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
    measured: Numbers,
    device: str = "cuda",
    embedded: Callable[[Claim], bool] = lambda claim: False,
) -> list[Verdict]:
    """Claims with those of their families; `embedded`: whether a claim is tested on an embedded world."""
    tested = [_test(claim, measured, device) for claim in claims]
    families: dict[str, dict[str, Found]] = {}
    for one in tested:
        if one.found is not None and not one.withheld:
            claim = one.known.claim
            families.setdefault(claim.family or claim.id, {})[claim.id] = one.found
    said = {id: found for family in families.values() for id, found in holm(family).items()}
    judged = [_worded(one, *said.get(one.known.claim.id, ("inconclusive", 1))) for one in tested]
    return [replace(v, apart=_apart(v.claim, embedded(v.claim))) for v in judged]


def _apart(claim: Claim, embedded: bool) -> Apart | None:
    return apart(claim, embedded) if claim.basis == "measured" else None


def _test(claim: Claim, measured: Numbers, device: str) -> Tested:
    """The claim's effects, or the verdict that needs none."""
    printed = _printed(claim)
    shown = Verdict(
        claim, "not testable here", paper=min((e.sample.value for e in printed.values()), key=abs, default=None)
    )
    if claim.kind not in KINDS:
        return Tested(replace(shown, reason=claim.remark))
    if claim.needs == "gpu" and device == "cpu":
        return Tested(replace(shown, reason=CPU))
    try:
        found = KINDS[claim.kind](claim, measured if claim.basis == "measured" else Printed())
    except NotComputable as error:
        return Tested(replace(shown, reason=str(error)))
    if claim.basis == "printed" or claim.kind == "counted":
        return Tested(_by_rounding(claim, found))
    found = replace(found, effects=tuple(replace(e, printed=_size(e, printed)) for e in found.effects))
    known = replace(shown, word="inconclusive")
    fixed = max((e.sample.fixed for e in found.effects if isinstance(e.sample, Sample)), default=0)
    scenes = "one fixed scene" if fixed == 1 else f"{fixed} fixed scenes"
    withheld = f"people of {scenes} were drawn, which says nothing of other scenes" if fixed else ""
    try:
        words(found)
    except NotComputable as error:
        withheld = str(error)
    return Tested(known, found, printed, withheld)


def _printed(claim: Claim) -> dict[str, Effect]:
    """label -> the claim's effects by the paper's numbers."""
    if claim.basis == "printed" or claim.kind not in RULES or claim.kind == "counted":
        return {}
    try:
        return {e.label: e for e in RULES[claim.kind](claim, Printed()).effects}
    except NotComputable:
        return {}


def _size(effect: Effect, printed: dict[str, Effect]) -> float | None:
    """The least that the paper's digits allow for the effect; None for times and counts of its own machine."""
    theirs = printed.get(effect.label)
    return theirs.sample.value - theirs.slack if theirs is not None and effect.margin else None


def _worded(one: Tested, word: Word, left: int) -> Verdict:
    """The verdict with its word, told by the effect that decides."""
    if one.found is None:
        return one.known
    found, known = one.found, one.known
    if one.withheld:
        return _shown(known, _nearest(found.effects, found), one.printed, one.withheld)
    alone, at = words(found), words(found, ALPHA / left)
    same = [e for e, w in zip(found.effects, at, strict=True) if w == word]
    shown = _shown(replace(known, word=word), _nearest(same, found), one.printed, "")
    reason = ""
    if word != together(alone):
        reason = f"{together(alone)} by itself; Holm's correction, {left} claims of its family being open, leaves this"
    elif word == "inconclusive":
        reason = "the interval lies on both sides"
    elif word == "smaller than the paper says":
        holds = shown.low is not None and found.bound is not None and shown.low > found.bound
        reason = SIGN_HOLDS if holds else "the sign is open"
    count = f" ({len(same)} of {len(at)} {word})" if len(at) > 1 else ""
    return replace(shown, label=shown.label + count, reason=reason)


def _shown(known: Verdict, effect: Effect, printed: dict[str, Effect], reason: str) -> Verdict:
    """One effect with its plain interval."""
    sample = effect.sample
    found = replace(
        known,
        label=effect.label,
        effect=None if math.isnan(sample.value) else sample.value,
        spread=sample.spread,
        unit=effect.unit,
        units=sample.over,
        paper=printed[effect.label].sample.value if effect.label in printed else None,
        reason=reason,
    )
    try:
        low, high = sample.interval()
    except NotComputable:
        return found
    return replace(found, low=low, high=high) if low < high else found


def _nearest(effects: Iterable[Effect], found: Found) -> Effect:
    """The effect that is the least where the claim wants it; an undefined one before all."""
    return min(effects, key=lambda e: -math.inf if math.isnan(e.sample.value) else _margin(e.sample.value, found))


def _margin(value: float, found: Found) -> float:
    """How far inside the wanted region a value lies; negative outside."""
    return min(value - found.low, found.high - value)


def _by_rounding(claim: Claim, found: Found) -> Verdict:
    """Numbers that are known but for their last digit: what is counted here, and the paper's own."""
    judged: list[Verdict] = []
    for effect in found.effects:
        value, slack = effect.sample.value, effect.slack
        word: Word = "supported" if touches(value - slack, value + slack, found) else "refuted"
        one = Verdict(claim, word, effect.label, value, spread=effect.sample.spread, unit=effect.unit)
        if claim.kind == "counted":
            one = replace(one, units="counted")
        elif slack:
            one = replace(one, low=value - slack, high=value + slack, units="rounding")
        judged.append(one)
    word = together([v.word for v in judged])
    same = [v for v in judged if v.word == word]
    shown = min(same, key=lambda v: _margin(v.effect or 0.0, found))
    count = f" ({len(same)} of {len(judged)} {word})" if len(judged) > 1 else ""
    return replace(shown, label=shown.label + count)
