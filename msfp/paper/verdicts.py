"""A verdict on every claim, computed from the tables of a run and from the paper's own numbers, and as it is shown."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from msfp.config import Settings
from msfp.errors import NotComputable
from msfp.experiment.run import Run
from msfp.metrics.bootstrap import LEVEL, Sample
from msfp.paper.claims import KINDS, Apart, Claim, Effect, Found, Measured, Printed, apart, load
from msfp.paper.layout import fixed

Word = Literal[
    "supported", "smaller than the paper says", "no difference", "refuted", "inconclusive", "not testable here"
]
WORDS: tuple[Word, ...] = get_args(Word)
SIGNS: Mapping[Word, str] = dict(zip(WORDS, "●◐≈✕○–", strict=True))
DECIDING: tuple[Word, ...] = ("refuted", "no difference", "smaller than the paper says", "inconclusive", "supported")
"""Of several effects' words, the first of these that occurs is the claim's."""
ALPHA = 1 - LEVEL
ROUNDING = 1e-9
SIGN_HOLDS = "the sign holds"


def words(found: Found, alpha: float = ALPHA) -> list[Word]:
    """The word of every effect, in a claim that may be wrong with chance alpha; NotComputable: one has no interval."""
    return [effect_word(effect, found, alpha, len(found.effects)) for effect in found.effects]


def together(said: Iterable[Word]) -> Word:
    """The word of a claim from those of its effects."""
    return min(said, key=DECIDING.index)


def effect_word(effect: Effect, found: Found, alpha: float = ALPHA, effects: int = 1) -> Word:
    """One effect's word; `effects`: how many the claim has. NotComputable: there is no interval."""
    low, high = effect.sample.interval(1 - alpha / effects)
    if found.bound is None:
        if not _touches(low, high, found):
            return "refuted"
    else:
        if low >= found.bound - effect.margin - ROUNDING and high <= found.bound + effect.margin + ROUNDING:
            return "no difference"
        if high < found.bound or low > found.high + ROUNDING:
            return "refuted"
        size = found.low if found.low > found.bound else effect.printed
        if size is not None and high < size - ROUNDING:
            return "smaller than the paper says"
    if effects > 1:
        low, high = effect.sample.interval(1 - alpha)
    return "supported" if _touches(low, low, found) and _touches(high, high, found) else "inconclusive"


def _touches(low: float, high: float, found: Found) -> bool:
    """True where an interval reaches the region that the claim wants; a strict region ends before its lower bound."""
    above = high > found.low + ROUNDING if found.strict else high >= found.low - ROUNDING
    return above and low <= found.high + ROUNDING


def holm(families: Mapping[str, Found], alpha: float = ALPHA) -> dict[str, tuple[Word, int]]:
    """The words of a family's claims, and with how many it was corrected; NotComputable: one has no interval.

    All that have a word at alpha / h get it, h being those still open; then the rest is tried with what is left.
    """
    open_, said = dict(families), dict[str, tuple[Word, int]]()
    while open_:
        left = len(open_)
        now = {name: together(words(found, alpha / left)) for name, found in open_.items()}
        said |= {name: (word, left) for name, word in now.items()}
        open_ = {name: found for name, found in open_.items() if now[name] == "inconclusive"}
        if len(open_) == left:
            break
    return said


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


def judge(run: Run) -> list[Verdict]:
    """Verdicts in the order of the list; none where a run's numbers mean nothing."""
    if not run.settings.compared:
        return []
    here = run.embedded_names
    return verdicts(load(), Measured(run), run.settings.device, lambda claim: dataset(claim, run.settings) in here)


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
        return replace(absent, reason="an absolute time of a GPU; this run was on a CPU"), None
    try:
        found = KINDS[claim.kind](claim, measured if claim.basis == "measured" else Printed())
    except NotComputable as error:
        return replace(absent, reason=str(error)), None
    if claim.basis == "printed" or claim.kind == "counted":
        return _by_rounding(claim, found), None
    effects = []
    for effect in found.effects:  # beside the paper's, and the least that its digits allow
        if theirs := printed.get(effect.label):
            size = theirs.sample.value - theirs.slack if effect.margin else None  # not for times and counts
            effect = replace(effect, printed=size, paper=theirs.sample.value)
        effects.append(effect)
    found = replace(found, effects=tuple(effects))
    reason = ""
    if fixed := max((e.sample.fixed for e in found.effects if isinstance(e.sample, Sample)), default=0):
        scenes = "one fixed scene" if fixed == 1 else f"{fixed} fixed scenes"
        reason = f"people of {scenes} were drawn, which says nothing of other scenes"
    try:
        words(found)
    except NotComputable as error:
        reason = str(error)
    return Verdict(claim, "inconclusive", reason=reason), found


def _worded(known: Verdict, found: Found, word: Word, left: int) -> Verdict:
    """The verdict with its word, told by the effect that decides; `left`: claims of its family that were open."""
    if known.reason:
        return _told(known, found, found.effects)
    alone, at = together(words(found)), words(found, ALPHA / left)
    told = _told(replace(known, word=word), found, [e for e, w in zip(found.effects, at, strict=True) if w == word])
    reason = ""
    if word != alone:
        reason = f"{alone} by itself; Holm's correction, {left} claims of its family being open, leaves this"
    elif word == "inconclusive":
        reason = "the interval lies on both sides"
    elif word == "smaller than the paper says":
        holds = told.low is not None and found.bound is not None and told.low > found.bound
        reason = SIGN_HOLDS if holds else "the sign is open"
    return replace(told, reason=reason)


def _told(known: Verdict, found: Found, effects: Iterable[Effect]) -> Verdict:
    """The verdict with the one of the deciding effects that tells it, and its plain interval."""
    effect, label = _deciding(list(effects), found, "" if known.reason else known.word)
    value, sample = effect.sample.value, effect.sample
    shown = None if math.isnan(value) else value
    known = replace(known, label=label, effect=shown, spread=sample.spread, unit=effect.unit, units=sample.over)
    known = replace(known, paper=effect.paper)
    with suppress(NotComputable):
        low, high = sample.interval()
        return replace(known, low=low, high=high) if low < high else known
    return known


def _deciding(effects: Sequence[Effect], found: Found, word: str) -> tuple[Effect, str]:
    """The effect that is the least where the claim wants it, an undefined one before all; its label, and how many of
    the claim's effects have the word."""

    def inside(effect: Effect) -> float:
        value = effect.sample.value
        return -math.inf if math.isnan(value) else min(value - found.low, found.high - value)

    effect = min(effects, key=inside)
    count = f" ({len(effects)} of {len(found.effects)} {word})" if word and len(found.effects) > 1 else ""
    return effect, effect.label + count


def _by_rounding(claim: Claim, found: Found) -> Verdict:
    """Numbers that are known but for their last digit: what is counted here, and the paper's own."""
    ends = [(e.sample.value - e.slack, e.sample.value + e.slack) for e in found.effects]
    said: list[Word] = ["supported" if _touches(*both, found) else "refuted" for both in ends]
    word = together(said)
    effect, label = _deciding([e for e, w in zip(found.effects, said, strict=True) if w == word], found, word)
    value, slack = effect.sample.value, effect.slack
    told = Verdict(claim, word, label, value, spread=effect.sample.spread, unit=effect.unit)
    if claim.kind == "counted":
        return replace(told, units="counted")
    return replace(told, low=value - slack, high=value + slack, units="rounding") if slack else told


GROUPS: Mapping[str, tuple[Word, ...]] = {
    "What held": ("supported",),
    "What did not": ("refuted", "no difference", "smaller than the paper says"),
    "What cannot be told here": ("inconclusive", "not testable here"),
}
CONSTRUCTION, HARDWARE = "Decided by construction", "Times of other hardware"
PRINTED = "The paper's own numbers"


class Group(NamedTuple):
    """Claims that are counted together: how many have which word, and their ids."""

    title: str
    said: str
    claims: list[str]


def groups(verdicts: Iterable[Verdict]) -> list[Group]:
    """Count for the report: what held, what did not, what cannot be told; then what is counted apart.

    `12 supported, 3 refuted`; words that never occur are left out.
    """
    found: dict[str, list[Verdict]] = {title: [] for title in (*GROUPS, CONSTRUCTION, HARDWARE, PRINTED)}
    for one in sorted(verdicts, key=lambda v: WORDS.index(v.word)):
        title = next(title for title, words in GROUPS.items() if one.word in words)
        if one.claim.basis == "printed":
            title = PRINTED
        elif one.apart:
            title = CONSTRUCTION if one.apart.why == "construction" else HARDWARE
        found[title].append(one)
    made = []
    for title, group in found.items():
        said = ", ".join(f"{n} {word}" for word in WORDS if (n := sum(v.word == word for v in group)))
        if holds := sum(v.word == "smaller than the paper says" and v.reason == SIGN_HOLDS for v in group):
            said += f"; of those that are smaller, the sign holds in {holds}"
        made.append(Group(title, said, [v.claim.id for v in group]))
    return made


def line(one: Verdict, embedded: bool = False) -> dict[str, Any]:
    """One claim as the report prints it; `embedded`: the run's worlds are rendered, so what to know of them is told."""
    claim, unit, why = one.claim, one.unit, one.apart.why if one.apart else ""
    of_worlds = claim.embedded if embedded and claim.basis == "measured" else ""
    remark = claim.remark if claim.remark != one.reason else ""
    numbered = claim.section[0].isdigit() or claim.section.startswith("A.")
    bounds = one.low is not None and one.high is not None
    return {
        "id": claim.id,
        "quote": claim.quote,
        "section": f"section {claim.section}" if numbered else claim.section,
        "word": one.word,
        "sign": SIGNS[one.word],
        "style": one.word.split()[0],
        "place": WORDS.index(one.word),  # from supported to not testable
        "effect": _number(one.effect, unit),
        "label": one.label,
        "interval": f"[{_plain(one.low, unit)}, {_plain(one.high, unit)}]" if bounds else "",
        "drawn": "" if one.units == "one value" else one.units,
        "seeds": f"seeds ±{_plain(one.spread, unit, False)}" if one.spread is not None else "",
        "paper": _number(one.paper, unit),
        "tables": claim.tables,
        "notes": [note for note in (one.reason, remark, one.apart.reason if one.apart else "", of_worlds) if note],
        "counted": {"construction": "decided by construction", "hardware": "other hardware"}.get(why, ""),
        "bar": bar(one),
        "printed": claim.basis == "printed",
    }


def _number(value: float | None, unit: str) -> str:
    """`+2.10 points`; empty for None."""
    return f"{_plain(value, unit)} {unit}".strip().replace(" %", "%") if value is not None else ""


def _plain(value: float | None, unit: str, signed: bool = True) -> str:
    """A number with the digits its unit deserves, and its sign where it is a difference."""
    if value is None:
        return ""
    digits = {"%": 1, "times": 1, "points": 2, "ms": 2}.get(unit)
    if digits is None:
        digits = 0 if float(value).is_integer() or abs(value) >= 100 else 3
    return fixed(value, digits, signed and unit != "times").replace("-", "−")


LEAST, MOST = -2.0, 3.0
"""Ends of the chart's axis; 0 is no effect, 1 the paper's. What lies beyond is drawn at the end, with an arrow."""
TICKS = {-1: "−1", 0: "no effect", 1: "the paper’s", 2: "2 ×"}


class Bar(NamedTuple):
    """A claim on the axis: places in percent of its width."""

    effect: float
    low: float  # the effect's own place where it has no interval
    high: float
    ends: str  # of `<` and `>`: where it goes on beyond the axis


def place(ratio: float) -> float:
    """Where a multiple of the paper's effect lies, in percent of the axis' width."""
    return round(100 * (min(max(ratio, LEAST), MOST) - LEAST) / (MOST - LEAST), 2)


def bar(one: Verdict) -> Bar | None:
    """The claim's bar; None where there is no effect, or none of the paper's to hold it against."""
    if one.effect is None or not one.paper or one.claim.basis != "measured":
        return None
    effect = one.effect / one.paper
    low, high = sorted(effect if end is None else end / one.paper for end in (one.low, one.high))
    ends = ("<" if min(low, effect) < LEAST else "") + (">" if max(high, effect) > MOST else "")
    return Bar(place(effect), place(low), place(high), ends)


def frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """A tidy line a claim, numbers with six significant digits; also `claims.csv` and `claims-time.csv` of a run."""

    def digits(value: float | None) -> str:
        return "" if value is None else f"{value + 0.0:.6g}"

    rows = []
    for v in verdicts:
        numbers = {"effect": v.effect, "low": v.low, "high": v.high, "over": v.units, "seeds' std": v.spread}
        texts = {name: one if isinstance(one, str) else digits(one) for name, one in numbers.items()}
        told = {"paper": digits(v.paper), "unit": v.unit, "what": v.label, "counted": v.apart.why if v.apart else ""}
        claim = {"family": v.claim.family, "tables": " ".join(map(str, v.claim.tables)), "section": v.claim.section}
        rows.append(
            {"id": v.claim.id, "verdict": v.word, **texts, **told, **claim, "quote": v.claim.quote, "reason": v.reason}
        )
    return pd.DataFrame(rows)
