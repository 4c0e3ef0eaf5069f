"""Numbers that README and docs quote are of the run whose figures are in the repository, or the paper's."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import write_readme  # noqa: E402

from msfp.engine.files import file_digest  # noqa: E402


@pytest.mark.parametrize("page", ["README.md", "docs/map.md"])
def test_pages_quote_what_was_computed(page: str) -> None:
    expected = write_readme.pages()[ROOT / page]
    assert (ROOT / page).read_text(encoding="utf-8") == expected, "run: python scripts/write_readme.py"


def test_the_figures_in_the_repository_are_of_that_run() -> None:
    made = json.loads(write_readme.MADE.read_text(encoding="utf-8"))
    there = {path.name for path in write_readme.MADE.parent.glob("figure0[1-7].*") if path.suffix in (".png", ".svg")}
    assert set(made["figures"]) == there
    for name, digest in made["figures"].items():
        assert file_digest(write_readme.MADE.parent / name) == digest, f"{name}: make reproduce, commit figures/"


def test_quoted_numbers_are_the_runs() -> None:
    """Read once more without the script: each row's numbers stand in the run's own file."""
    made = json.loads(write_readme.MADE.read_text(encoding="utf-8"))
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| HOTA, Table 1 |")[2].partition("<!--")[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|$", table, re.M)
    assert len(rows) == len(write_readme.ROWS)
    labels = {label: row for row, label in write_readme.ROWS.items()}
    for label, released, selected, _ in rows:
        numbers = made["numbers"][labels[label]]
        assert (released, selected) == (numbers["HOTA, as released"], numbers["HOTA"])


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
