"""Verdicts as text: for the report, for a notebook, and as a file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msfp.paper.claims.verdict import SIGN_HOLDS, Verdict
from msfp.paper.claims.words import WORDS, Word

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


@dataclass(frozen=True)
class Group:
    """Claims that are counted together.

    Attributes:
        title: `What held`.
        said: how many have which word.
        claims: (id, sign, style) of each.
    """

    title: str
    said: str
    claims: tuple[tuple[str, str, str], ...]

    @property
    def count(self) -> int:
        """How many claims."""
        return len(self.claims)


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
        counted: `counted apart: by construction`; empty where it counts as the others do.
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
    counted: str = ""
    shown_in: tuple[tuple[int, str], ...] = ()


def lines(verdicts: Iterable[Verdict], embedded: bool) -> dict[str, list[Line]]:
    """topic -> its claims; `embedded`: the run's worlds are rendered, so what to know of them is told."""
    found: dict[str, list[Line]] = {}
    for one in verdicts:
        found.setdefault(one.claim.topic, []).append(line(one, embedded))
    return found


def line(one: Verdict, embedded: bool = False) -> Line:
    """One verdict as text."""
    claim = one.claim
    apart = one.apart.reason if one.apart else ""
    of_worlds = claim.embedded if embedded and claim.basis == "measured" else ""
    notes = [one.reason, claim.remark if claim.remark != one.reason else "", apart, of_worlds]
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
        style=_style(one.word),
        effect=_number(one.effect, one.unit),
        label=one.label,
        interval=f"[{_plain(one.low, one.unit)}, {_plain(one.high, one.unit)}]" if bounds else "",
        drawn=drawn,
        seeds=f"seeds ±{_plain(one.spread, one.unit, False)}" if one.spread is not None else "",
        paper=_number(one.paper, one.unit),
        tables=claim.tables,
        notes=tuple(note for note in notes if note),
        place=WORDS.index(one.word),
        counted={"construction": "decided by construction", "hardware": "other hardware"}[one.apart.why]
        if one.apart
        else "",
    )


def groups(verdicts: Iterable[Verdict]) -> list[Group]:
    """Count for the report: what held, what did not, what cannot be told; then what is counted apart."""
    every = list(verdicts)
    measured = [v for v in every if v.claim.basis == "measured"]
    ordinary = [v for v in measured if v.apart is None]
    found = {title: [v for v in ordinary if v.word in words] for title, words in GROUPS.items()}
    found[CONSTRUCTION] = [v for v in measured if v.apart and v.apart.why == "construction"]
    found[HARDWARE] = [v for v in measured if v.apart and v.apart.why == "hardware"]
    found[PRINTED] = [v for v in every if v.claim.basis == "printed"]
    return [_group(title, group) for title, group in found.items()]


def _group(title: str, verdicts: list[Verdict]) -> Group:
    counts = {word: sum(v.word == word for v in verdicts) for word in WORDS}
    holds = sum(v.word == "smaller than the paper says" and v.reason == SIGN_HOLDS for v in verdicts)
    said = counted(counts) + (f"; of those that are smaller, the sign holds in {holds}" if holds else "")
    ordered = sorted(verdicts, key=lambda v: WORDS.index(v.word))
    return Group(title, said, tuple((v.claim.id, SIGNS[v.word], _style(v.word)) for v in ordered))


def _style(word: Word) -> str:
    return word.partition(" ")[0]


def counted(numbers: Mapping[Word, int]) -> str:
    """`12 supported, 3 refuted, 20 inconclusive, 5 not testable here`; what never occurs is left out."""
    return ", ".join(f"{n} {word}" for word, n in numbers.items() if n)


def frame(verdicts: Iterable[Verdict]) -> "pd.DataFrame":
    """A tidy line a claim, numbers with six significant digits; also the files `claims.csv` and
    `claims-time.csv` of a run."""
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
