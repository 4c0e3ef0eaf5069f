"""Cells from measurements: mean, spread, reasons."""

import pytest

from msfp.errors import NotComputable
from msfp.paper.measured_cells import absent, attempt, cell


def test_mean_and_sample_deviation_over_seeds() -> None:
    made = cell("row", "HOTA", [1.0, 2.0, 4.0], "%")
    assert made.value == pytest.approx(7 / 3)
    assert made.std == pytest.approx(1.5275252316519468)
    assert made.detail == {"runs": 3}


def test_one_run_has_no_spread() -> None:
    assert cell("row", "HOTA", [3.0]).std is None


def test_what_cannot_be_computed_says_why() -> None:
    def impossible() -> list[float]:
        raise NotComputable("8 of 1050 frames present")

    made = attempt("row", "AUC", impossible)
    assert (made.value, made.source, made.reason) == (None, "n/a", "8 of 1050 frames present")
    assert [c.column for c in absent("row", ["HOTA", "IDSW"], "because")] == ["HOTA", "IDSW"]
