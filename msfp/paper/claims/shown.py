"""Verdicts as text: for the report, for a notebook, and as a file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msfp.paper.claims.verdict import WORDS, Verdict

if TYPE_CHECKING:
    import pandas as pd

SIGNS = {"supported": "●", "refuted": "✕", "inconclusive": "○", "not testable here": "–"}
BASES = {"measured": "On this run's tables", "printed": "On the paper's own numbers"}


@dataclass(frozen=True)
class Line:
    """One claim as the report prints it.

    Attributes:
        id, quote, section: of the claim.
        word, sign, style: the verdict, a sign for it, and its style class.
        effect: what was measured, with its unit.
        label: what the effect is.
        interval, drawn: bounds, and what was drawn; empty where there are none.
        seeds: spread over training seeds, empty where there is none.
        paper: the same effect in the paper.
        tables: numbers of the tables it stands on.
        notes: how the sentence was read, why the verdict is not plain, what the world decides by construction.
        place: of the verdict in the order from supported to not testable.
        shown_in: (number, artefact id) of those tables that the report shows.
    """

    id: str
    quote: str
    section: str
    word: str
    sign: str
    style: str
    effect: str
    label: str
    interval: str
    drawn: str
    seeds: str
    paper: str
    tables: tuple[int, ...]
    notes: tuple[str, ...]
    place: int = 0
    shown_in: tuple[tuple[int, str], ...] = ()


def lines(verdicts: Iterable[Verdict], embedded: bool) -> dict[str, list[Line]]:
    """topic -> its claims; `embedded`: the run's worlds are rendered, so what they decide by construction is told."""
    found: dict[str, list[Line]] = {}
    for one in verdicts:
        found.setdefault(one.claim.topic, []).append(line(one, embedded))
    return found


def line(one: Verdict, embedded: bool = False) -> Line:
    """One verdict as text."""
    claim = one.claim
    by_construction = claim.embedded if embedded and claim.basis == "measured" else ""
    notes = [one.reason, claim.remark if claim.remark != one.reason else "", by_construction]
    bounds = one.low is not None and one.high is not None
    drawn = "" if not one.units or one.units == "one value" else one.units
    return Line(
        id=claim.id,
        quote=claim.quote,
        section=f"section {claim.section}"
        if claim.section[0].isdigit() or claim.section[:2] == "A."
        else claim.section,
        word=one.word,
        sign=SIGNS[one.word],
        style=one.word.partition(" ")[0],
        effect=_number(one.effect, one.unit),
        label=one.label,
        interval=f"[{_plain(one.low, one.unit)}, {_plain(one.high, one.unit)}]" if bounds else "",
        drawn=drawn,
        seeds=f"seeds ±{_plain(one.spread, one.unit, False)}" if one.spread is not None else "",
        paper=_number(one.paper, one.unit),
        tables=claim.tables,
        notes=tuple(note for note in notes if note),
        place=WORDS.index(one.word),
    )


def counts(verdicts: Iterable[Verdict]) -> dict[str, dict[str, int]]:
    """basis in words -> verdict -> how many."""
    found: dict[str, dict[str, int]] = {said: dict.fromkeys(map(str, WORDS), 0) for said in BASES.values()}
    for one in verdicts:
        found[BASES[one.claim.basis]][one.word] += 1
    return found


def counted(numbers: Mapping[str, int]) -> str:
    """`12 supported, 3 refuted, 20 inconclusive, 5 not testable here`; what never occurs is left out."""
    return ", ".join(f"{n} {word}" for word, n in numbers.items() if n)


def frame(verdicts: Iterable[Verdict]) -> "pd.DataFrame":
    """A tidy line a claim, numbers with six significant digits; also the file `claims.csv` of a run."""
    import pandas as pd

    rows = [
        {
            "id": v.claim.id,
            "verdict": v.word,
            "effect": _digits(v.effect),
            "low": _digits(v.low),
            "high": _digits(v.high),
            "over": v.units,
            "seeds' std": _digits(v.spread),
            "paper": _digits(v.paper),
            "unit": v.unit,
            "what": v.label,
            "tables": " ".join(map(str, v.claim.tables)),
            "section": v.claim.section,
            "quote": v.claim.quote,
            "reason": v.reason,
        }
        for v in verdicts
    ]
    return pd.DataFrame(rows)


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:.6g}"


def _number(value: float | None, unit: str) -> str:
    """`+2.10 points`; empty for None."""
    if value is None:
        return ""
    return f"{_plain(value, unit)} {unit}".strip().replace(" %", "%")


def _plain(value: float | None, unit: str, signed: bool = True) -> str:
    """A number with the digits its unit deserves, and its sign where it is a difference."""
    if value is None:
        return ""
    size = abs(value)
    digits = (
        1
        if unit in ("%", "times")
        else 2
        if unit in ("points", "ms")
        else 0
        if float(value).is_integer() or size >= 100
        else 3
    )
    text = f"{value:+.{digits}f}" if signed and unit != "times" else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")
