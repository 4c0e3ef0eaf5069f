"""Table 23's rows: BoostTrack++ whole, with and without an embedding, and ATL's thresholds inside it."""

from msfp.paper.tables.table23 import NOTES, ROWS, remark
from msfp.pipeline.tracks import Threshold
from msfp.tracking import make


def test_rows_with_boosttrack_are_that_tracker_and_the_others_bytetracks() -> None:
    methods = [row.methods((), (0,))[0] for row in ROWS]
    boosted = [m.tracker for m in methods]
    assert boosted[:4] == ["bytetrack", "boosttrack-motion", "bytetrack", "boosttrack-motion"]
    assert boosted[4:] == ["msfp-attention", "boosttrack", "msfp-attention", "boosttrack"]
    assert [m.threshold.kind for m in methods] == ["default", "default", "atl", "atl"] * 2
    assert [m.camera for m in methods] == ["none", "ecc", "none", "ecc"] * 2
    for method in methods:
        assert method.label in {row.label for row in ROWS}
        make(method.tracker, **dict(method.options))  # refuses settings that it does not have


def test_boosting_keeps_the_embedding_and_the_thresholds_of_atl() -> None:
    fixed, boosted, adapted, both = (row.methods((), (1,))[0] for row in ROWS[4:])
    assert fixed.look == boosted.look == adapted.look == both.look is not None
    assert boosted.threshold == Threshold()
    assert both.threshold == adapted.threshold


def test_what_the_rows_take_of_it_is_said() -> None:
    said = [remark(label) for label in NOTES]
    assert [bool(text) for text in said] == [False, True, False, True]
    assert "ATL's τ_high" in said[3]
    assert "ATL" not in said[1]
