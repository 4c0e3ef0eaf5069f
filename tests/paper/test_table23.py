"""Table 23's rows: BoostTrack++ whole, with and without an embedding, and ATL's thresholds inside it."""

from pathlib import Path

import pytest

from msfp.experiment.methods import Method
from msfp.experiment.thresholds import Threshold
from msfp.paper import registry
from msfp.paper.notebook import begin
from msfp.paper.registry import artefact
from msfp.tracking import make


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Method]:
    """The methods that the table's cell evaluates; nothing is tracked."""
    run, seen = begin("smoke", home=Path(tmp_path_factory.mktemp("home"))), []

    class Stop(Exception):
        pass

    def evaluate(methods: list[Method], _folds: object) -> None:
        seen.extend(methods)
        raise Stop

    run.__dict__["evaluate"] = evaluate
    run.__dict__["shown"] = lambda: run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msfp.paper.measure.validation", lambda _run: ())
        with pytest.raises(Stop):
            registry.execute(run, "05_tracking", artefact("table", 23).tag)
    return seen


def test_rows_with_boosttrack_are_that_tracker_and_the_others_bytetracks(rows: list[Method]) -> None:
    methods = [row.configured((), 0) for row in rows]
    boosted = [m.tracker for m in methods]
    assert boosted[:4] == ["bytetrack", "boosttrack-motion", "bytetrack", "boosttrack-motion"]
    assert boosted[4:] == ["msfp-attention", "boosttrack", "msfp-attention", "boosttrack"]
    assert [m.threshold.kind for m in methods] == ["default", "default", "atl", "atl"] * 2
    assert [m.camera for m in methods] == ["none", "ecc", "none", "ecc"] * 2
    for method in methods:
        make(method.tracker, **dict(method.options))  # refuses settings that it does not have


def test_boosting_keeps_the_embedding_and_the_thresholds_of_atl(rows: list[Method]) -> None:
    fixed, boosted, adapted, both = (row.configured((), 1) for row in rows[4:])
    assert fixed.look == boosted.look == adapted.look == both.look is not None
    assert boosted.threshold == Threshold()
    assert both.threshold == adapted.threshold


def test_what_the_rows_take_of_it_is_said(rows: list[Method]) -> None:
    said = [row.remark for row in rows[:4]]
    assert [bool(text) for text in said] == [False, True, False, True]
    assert "ATL's τ_high" in said[3]
    assert "ATL" not in said[1]
