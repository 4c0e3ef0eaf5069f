"""Write what stands in the README and `docs/map.md` between marks: `python scripts/write_readme.py`.

The numbers are those of the run whose figures lie in `figures/demo` (`made.json` beside them), the paper's those of its
reference table. A test holds both files to what this writes.
"""

import json
from pathlib import Path
from typing import Any

from msfp.paper import registry
from msfp.paper.registry import EXTRA, every

ROOT = Path(__file__).resolve().parents[1]
MADE = ROOT / "figures" / "demo" / "made.json"
ROWS = {  # of Table 1, and as the README calls them
    "SORT": "SORT",
    "ByteTrack": "ByteTrack",
    "OC-SORT": "OC-SORT",
    "BoTSORT": "BoT-SORT, with a ReID network",
    "LITE (trained 64-d)": "LITE, trained",
    "MSFP (attention)": "MSFP (attention)",
    "MSFP-Track": "MSFP-Track (MSFP with ATL)",
    "MSFP association, strips (parts)": "MSFP's association with our own embedding, `parts`",
}
PAPER = {"LITE (trained 64-d)": "LITE"}  # rows that the paper calls otherwise
WORDS = {  # of verdicts, in the order of the sentence
    "supported": "held",
    "smaller than the paper says": "hold with less than the paper says",
    "no difference": "show no difference",
    "refuted": "were refuted",
    "inconclusive": "could not be told either way",
    "not testable here": "could not be tested",
}
APART = {"construction": "are decided by how data or methods are made", "hardware": "are about other hardware"}


def marks(name: str) -> tuple[str, str]:
    """The lines between which a part stands."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def put(text: str, name: str, lines: list[str]) -> str:
    """A page with a part written anew."""
    begin, end = marks(name)
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{name}: the page lacks its marks"
    return "\n".join([before + begin, *lines, end + after])


def map_lines() -> list[str]:
    """Every table and figure with the notebook and the command that make it."""
    lines = ["| | what | notebook | command |", "|---|---|---|---|"]
    for one in every():
        name = f"{one.kind.capitalize()} {one.number}" + ("*" if one.number > EXTRA else "")
        lines.append(f"| {name} | {one.title} | `{one.notebook}` | `msfp {one.kind} {one.number}` |")
    return [*lines, "", "\\* not in the paper."]


def table_lines(made: dict[str, Any]) -> list[str]:
    """Table 1 in short: HOTA of the best-known rows beside the paper's."""
    lines = ["| HOTA, Table 1 | released | selected | paper, MOT17 |", "|---|---|---|---|"]
    for row, label in ROWS.items():
        found, entry = made["numbers"][row], registry.lookup(1, PAPER.get(row, row), "HOTA")
        paper = "not the paper's" if entry is None else f"{entry.value}"
        lines.append(f"| {label} | {found['HOTA, as released']} | {found['HOTA']} | {paper} |")
    return lines


def verdict_lines(made: dict[str, Any]) -> list[str]:
    """How many of the paper's sentences hold in that run."""
    counts = made["claims"]
    assert set(counts) <= {*WORDS, *APART}, f"verdicts without words: {set(counts) - {*WORDS, *APART}}"
    judged, apart = (
        ", ".join(f"{counts[word]} {said}" for word, said in words.items() if word in counts)
        for words in (WORDS, APART)
    )
    return [f"of {sum(counts.get(word, 0) for word in WORDS)} sentences, {judged}. Besides, {apart}."]


def pages() -> dict[Path, str]:
    """Each page as it should be."""
    readme, mapped = ROOT / "README.md", ROOT / "docs" / "map.md"
    made = json.loads(MADE.read_text(encoding="utf-8"))
    text = put(readme.read_text(encoding="utf-8"), "table 1", table_lines(made))
    return {
        readme: put(text, "claims", verdict_lines(made)),
        mapped: put(mapped.read_text(encoding="utf-8"), "map", map_lines()),
    }


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
