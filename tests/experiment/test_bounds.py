"""The two bounds of all embeddings, and the table of associations and embeddings that they frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.features import TRUTH
from msfp.experiment.heads import (
    NOTHING,
    PERFECT,
    STRANGERS,
    appearance,
    bound_embeddings,
    embeddings,
    identity_vectors,
)
from msfp.experiment.methods import Method as Row
from msfp.experiment.methods import configured
from msfp.experiment.passes import default_camera
from msfp.experiment.selection import select
from msfp.experiment.speed import association_times
from msfp.experiment.tracks import Method, subject_of, tracks
from msfp.experiment.verbs import CEILING
from msfp.metrics.oracle import true_identities
from msfp.metrics.scores import evaluate
from msfp.paper.cells import MeasuredCell
from msfp.paper.layout import sheet
from msfp.tracking import make, names, track, tracker_class
from msfp.types import Detections, GroundTruth
from tests.tables import cells_of

from .conftest import LENGTH, Make

pytestmark = [pytest.mark.xdist_group("tables"), pytest.mark.usefixtures("kept")]

ASSOCIATIONS = {
    "MSFP": "msfp-attention",
    "BoT-SORT": "botsort",
    "DeepSORT": "deepsort",
    "StrongSORT": "strongsort",
    "Deep OC-SORT": "deep-ocsort",
}
EMBEDDINGS = (
    "none",
    "LITE as released",
    "layer 14 RoIAligned",
    "strips (parts)",
    "concat",
    "attention",
    "separate ReID",
    "perfect (labels)",
)
MEASURES, TIME = ("HOTA", "AssA", "IDSW"), "ms/frame"
FREE = {"none": NOTHING, "LITE as released": "lite", "layer 14 RoIAligned": "native", "perfect (labels)": PERFECT}


@given(st.lists(st.integers(-1, 6), max_size=60))
def test_people_share_a_vector_with_themselves_alone(identity: list[int]) -> None:
    of = np.array(identity, np.int64)
    vectors = identity_vectors(of)
    assert vectors.shape == (len(of), len(np.unique(of[of >= 0])) + STRANGERS)
    alike = vectors @ vectors.T
    known = (of >= 0)[:, None] | (of >= 0)[None, :]
    same = (of[:, None] == of[None, :]) & (of >= 0)[:, None]
    np.testing.assert_allclose(alike[known], same[known].astype(float), atol=1e-6)
    np.testing.assert_allclose(alike.diagonal(), 1, atol=1e-6)
    nobody = alike[~known & ~np.eye(len(of), dtype=bool)]
    assert (np.abs(nobody) < 0.8).all(), "a box without a person looks like no other one"


def swap() -> tuple[GroundTruth, Detections]:
    """Two people, one half behind the other, change places while both are hidden for two frames."""
    rows = [
        (t, person, 100.0 + 10.0 * ((person == 2) != (t > 20)), 100.0, 40.0, 100.0)
        for t in range(1, 41)
        for person in (1, 2)
    ]
    table = np.array(rows)
    frame, identity, one = table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), np.ones(len(table), np.float32)
    truth = GroundTruth(frame, identity, table[:, 2:], one, identity * 0 + 1, one)
    seen = (frame < 20) | (frame > 21)
    return truth, Detections(frame[seen], table[seen, 2:], one[seen] * np.float32(0.9))


@pytest.mark.parametrize("tracker", ASSOCIATIONS.values())
def test_where_appearance_decides_the_perfect_one_is_the_ceiling(tracker: str) -> None:
    """Motion alone and wrong looks give each the other's name; with identities nobody's changes."""
    truth, found = swap()
    identity = true_identities(truth, found)
    wrong = np.where(found.frame > 20, 3 - identity, identity)
    vectors: dict[str, NDArray[np.float32]] = {
        "perfect": identity_vectors(identity),
        "wrong": identity_vectors(wrong),
        "none": np.zeros((len(found), 1), np.float32),
    }
    scores = {name: evaluate(truth, track(make(tracker), found, 40, v), 40) for name, v in vectors.items()}
    others = scores["none"].assoc_a, scores["wrong"].assoc_a
    assert scores["perfect"].assoc_a > max(others) + 0.1, others  # at strict overlaps: at half of it both boxes match


@pytest.mark.parametrize("name", [n for n in names() if tracker_class(n).needs_embeddings])
def test_nothing_is_what_boxes_without_embeddings_are(name: str) -> None:
    _, found = swap()
    zero = np.zeros((len(found), 1), np.float32)
    first = track(make(name), found, 40, zero)
    second = track(make(name), found, 40, None, has_embedding=np.zeros(len(found), np.bool_))
    assert all(np.array_equal(getattr(first, f), getattr(second, f)) for f in ("frame", "id", "tlwh", "score"))


def test_rows_are_the_part_s_and_no_pixels_are_needed(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    (scene,) = data.scenes(run, "mot17")
    part = data.halves(scene)[1]
    truth = data.window(data.truth(scene), part)
    for boxes in (TRUTH, "SDP"):  # which show the same people at the same places here
        vectors = embeddings(run, part, boxes, appearance(PERFECT, (), 0))
        np.testing.assert_array_equal(vectors, identity_vectors(truth.id))
        assert not bound_embeddings(part, boxes, NOTHING).any()
        assert len(bound_embeddings(part, boxes, NOTHING)) == len(truth)
    (sequence,) = data.sequences(part)
    assert len(tracks(run, part, sequence, Method("x", "msfp-attention", appearance(PERFECT, (), 0))))
    with pytest.raises(NotComputable, match="MOT17-02: 0 of 9 frames present"):
        tracks(run, part, sequence, Method("x", "msfp-attention", appearance("lite", (), 0)))


def test_the_table_is_whole_and_says_which_column_is_a_bound(make_run: Make) -> None:
    settings = {"selection.trials": 3, "data.separate_reid": False, "training.identities": 2, "training.instances": 2}
    cells = cells_of(make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": LENGTH}, **settings), 102)
    places = {(c.row, c.column): c for c in cells}
    measures = (*MEASURES, TIME)
    wanted = {(a, f"{m}, {e}") for a in ASSOCIATIONS for m in measures for e in EMBEDDINGS}
    assert set(places) == wanted | {(CEILING, f"{m}, perfect (labels)") for m in MEASURES}
    assert len(places) == len(cells)
    for (row, column), one in places.items():
        assert (one.source == "measured") == ("separate ReID" not in column), one
        bound = column.endswith("perfect (labels)") and row != CEILING and not column.startswith(TIME)
        assert one.reason.startswith("an upper bound") == bound
        assert one.source == "n/a" or isinstance(one, MeasuredCell) or column.startswith(TIME)
    columns = [c.partition(", ")[0] for c in sheet(cells, 102).columns]
    assert columns == sorted(columns, key=measures.index), "a measure's columns stand together"


def test_a_row_has_one_association_and_one_camera(make_run: Make) -> None:
    """Whatever its embedding, a row has the settings that are selected for the one it is like."""
    run = make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": LENGTH}, **{"selection.trials": 3})
    fold = data.folds(run, "mot17")[0]
    for tracker in ASSOCIATIONS.values():
        like = Row("own", tracker, "native")
        own = select(run, subject_of(like.configured(fold.learn, 0))).options
        for embedding in FREE.values():
            (method,) = configured(run, Row("row", tracker, embedding, like=like), fold)
            assert (method.tracker, method.camera) == (tracker, default_camera(tracker))
            assert method.look == appearance(embedding, (), 0)
            assert method.options == own
            assert method.learn == (), "nothing is selected again for the one embedding"


def test_frames_that_are_missing_are_told_in_place_of_times(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 4})
    part = data.halves(data.scenes(run, "mot17")[0])[1]
    looks = (appearance(NOTHING, (), 0), appearance("lite", (), 0))
    found = association_times(run, [Method(look.strategy, "msfp-attention", look) for look in looks], [part])
    assert found["lite"] == "MOT17-02: 4 of 9 frames present"
    assert len(found[NOTHING]) == part.length - part.length // 4
    with pytest.raises(NotComputable, match="no sequence with detections is present"):
        association_times(run, [], [])
