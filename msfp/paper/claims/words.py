"""The words of a verdict, and when each is said.

A claim wants an effect somewhere: above a bound ("a is better than b": above 0), or inside a region ("similar": within
half a point). Its 95 % interval, over units and training seeds together, decides; `MEANINGS` defines the words, and the
first that fits is said. The margin of indifference is the spread that the paper prints for itself (`MARGINS`).
"No difference" and "smaller" are said of bounds only: a region has its margin in itself.

Several effects (better than each of k rivals; on every sequence): all have to be supported, each at the claim's own
level, as a claim with an "and" is only as likely to be wrong as its weakest part (Berger's intersection-union test,
1982). One that is refuted, without difference or smaller is enough to end the claim, so these are said at 1 / k of the
level: the first step of Holm's correction.

Claims of a family, which ask the same question of the same method, are corrected by Holm over all of them that have an
interval: the words are read from intervals at 1 - 0.05 / h, with h claims of the family still open. The interval that
is shown is the plain one of 95 %.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from msfp.metrics.statistics import LEVEL
from msfp.paper import reference
from msfp.paper.claims.effects import Effect, Found

Word = Literal[
    "supported", "smaller than the paper says", "no difference", "refuted", "inconclusive", "not testable here"
]


def _std(row: str, table: int, column: str) -> float:
    entry = reference.lookup(table, row, column)
    assert entry is not None and entry.std is not None, (row, column)  # noqa: PT018
    return entry.std


MARGINS = MappingProxyType(
    {
        "points": _std("MSFP-Track", 1, "HOTA"),
        "AUC": _std("Attention (instance)", 3, "AUC"),
        "Gap": _std("Attention (instance)", 3, "Gap"),
    }
)
"""Differences that the paper's own runs show by themselves, by unit or by column."""
MEANINGS: MappingProxyType[Word, str] = MappingProxyType(
    {
        "supported": "The whole interval lies where the claim wants it, and does not exclude the printed size.",
        "smaller than the paper says": "The interval reaches the side that the claim wants, where the sign holds or is "
        "open, but all of it lies below the size that the paper prints for the same effect.",
        "no difference": "The whole interval lies within the margin of indifference around the bound, on either side: "
        f"{MARGINS['points']:g} points, {MARGINS['AUC']:g} AUC, {MARGINS['Gap']:g} of gap, the ± that the paper prints "
        "for its own runs; 0 for everything else.",
        "refuted": "The whole interval lies on the wrong side, or outside the range that the claim names.",
        "inconclusive": "None of these, or no interval: fewer than six scenes, or people of a few fixed scenes were "
        "drawn, which says nothing of other scenes.",
        "not testable here": "This run has no number for it; the reason is told.",
    }
)
WORDS: tuple[Word, ...] = tuple(MEANINGS)
DECIDING: tuple[Word, ...] = ("refuted", "no difference", "smaller than the paper says", "inconclusive", "supported")
"""Of several effects' words, the first of these that occurs is the claim's."""
ALPHA = 1 - LEVEL
ROUNDING = 1e-9


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
        if not touches(low, high, found):
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
    return "supported" if touches(low, low, found) and touches(high, high, found) else "inconclusive"


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


def touches(low: float, high: float, found: Found) -> bool:
    """True where an interval reaches the region that the claim wants; a strict region ends before its lower bound."""
    above = high > found.low + ROUNDING if found.strict else high >= found.low - ROUNDING
    return above and low <= found.high + ROUNDING
