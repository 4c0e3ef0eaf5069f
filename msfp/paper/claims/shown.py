"""Verdicts as text: for the report, for a notebook, and as a file."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from msfp.paper.claims.verdict import SIGN_HOLDS, Verdict
from msfp.paper.claims.words import WORDS, Word
from msfp.paper.columns import fixed

if TYPE_CHECKING:
    import pandas as pd

SIGNS: Mapping[Word, str] = {
    "supported": "●",
    "smaller than the paper says": "◐",
    "no difference": "≈",
    "refuted": "✕",
    "inconclusive": "○",
    "not testable here": "–",
}
GROUPS: Mapping[str, tuple[Word, ...]] = {
    "What held": ("supported",),
    "What did not": ("refuted", "no difference", "smaller than the paper says"),
    "What cannot be told here": ("inconclusive", "not testable here"),
}
CONSTRUCTION = "Decided by construction"
HARDWARE = "Times of other hardware"
PRINTED = "The paper's own numbers"


class Group(NamedTuple):
    """Claims that are counted together: how many have which word, and (id, sign, style) of each."""

    title: str
    said: str
    claims: list[tuple[str, str, str]]


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
    }


def groups(verdicts: Iterable[Verdict]) -> list[Group]:
    """Count for the report: what held, what did not, what cannot be told; then what is counted apart."""
    found: dict[str, list[Verdict]] = {title: [] for title in (*GROUPS, CONSTRUCTION, HARDWARE, PRINTED)}
    for one in sorted(verdicts, key=lambda v: WORDS.index(v.word)):
        if one.claim.basis == "printed":
            title = PRINTED
        elif one.apart:
            title = CONSTRUCTION if one.apart.why == "construction" else HARDWARE
        else:
            title = next(title for title, words in GROUPS.items() if one.word in words)
        found[title].append(one)
    return [_group(title, group) for title, group in found.items()]


def _group(title: str, verdicts: list[Verdict]) -> Group:
    """`12 supported, 3 refuted`; words that never occur are left out."""
    said = ", ".join(f"{n} {word}" for word in WORDS if (n := sum(v.word == word for v in verdicts)))
    if holds := sum(v.word == "smaller than the paper says" and v.reason == SIGN_HOLDS for v in verdicts):
        said += f"; of those that are smaller, the sign holds in {holds}"
    return Group(title, said, [(v.claim.id, SIGNS[v.word], v.word.split()[0]) for v in verdicts])


def frame(verdicts: Iterable[Verdict]) -> "pd.DataFrame":
    """A tidy line a claim, numbers with six significant digits; also `claims.csv` and `claims-time.csv` of a run."""
    import pandas as pd

    def digits(value: float | None) -> str:
        return "" if value is None else f"{value + 0.0:.6g}"

    rows = [
        {
            "id": v.claim.id,
            "verdict": v.word,
            "effect": digits(v.effect),
            "low": digits(v.low),
            "high": digits(v.high),
            "over": v.units,
            "seeds' std": digits(v.spread),
            "paper": digits(v.paper),
            "unit": v.unit,
            "what": v.label,
            "counted": v.apart.why if v.apart else "",
            "family": v.claim.family,
            "tables": " ".join(map(str, v.claim.tables)),
            "section": v.claim.section,
            "quote": v.claim.quote,
            "reason": v.reason,
        }
        for v in verdicts
    ]
    return pd.DataFrame(rows)


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
