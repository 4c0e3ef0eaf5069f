"""The jointly trained network as a stage: one pass a part, its boxes tracked, frozen features on the same boxes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from msfp.errors import InputError, NotComputable
from msfp.experiment import data, passes
from msfp.experiment.data import Part
from msfp.experiment.heads import Appearance
from msfp.experiment.methods import evaluate
from msfp.experiment.run import Run
from msfp.experiment.tracks import Method, tracks
from msfp.features import joint as network
from msfp.paper.measure import tracking_cells
from msfp.paper.methods import JOINT_ROWS
from shipped_weights.card import save_weights
from shipped_weights.joint import untrained_joint
from tests.experiment.conftest import LENGTH

pytestmark = pytest.mark.xdist_group("joint")

Make = Callable[..., Run]
NAMES = {"MOT17-02-SDP": LENGTH, "MOT17-02-DPM": 0}
NATIVE = Appearance("native-concat")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded detector with a branch that nothing trained."""
    path = tmp_path_factory.mktemp("weights") / "joint.safetensors"
    save_weights(path, untrained_joint().state_dict(), {})
    return path


@pytest.fixture
def own(make_run: Make, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that keeps every box: drawn rectangles are hardly people."""
    monkeypatch.setattr(passes, "JOINT_CONFIDENCE", 0.001)
    return make_run(NAMES, **{"input.joint_weights": str(weights), "input.size": (192, 128)})


def test_a_part_is_looked_at_once_and_numbered_from_its_first_frame(own: Run, weights: Path) -> None:
    (scene,) = data.scenes(own, "mot17")
    part = Part(scene, 4, 7)
    seen = passes.seen(own, part)
    assert set(seen.detections.frame) <= {1, 2, 3, 4}
    assert len(seen.detections) == len(seen.vectors) > 4
    own.do(passes.seen.jobs(own, [(part,), (part,)]), "joint")
    assert own.store.misses["joint-seen"] == 1
    from msfp.data.frames import FrameReader

    ((_, image),) = list(FrameReader(scene.pixels, [5]))
    direct = network.see(network.load_joint(weights), 5, image, (192, 128), 0.001)
    rows = seen.detections.frame == 2
    np.testing.assert_array_equal(seen.detections.tlwh[rows], direct.tlwh)
    np.testing.assert_array_equal(seen.vectors[rows], direct.vectors)


def test_its_boxes_are_tracked_with_either_embedding(own: Run) -> None:
    (scene,) = data.scenes(own, "mot17")
    part = data.whole(scene)
    boxes = passes.seen(own, part).detections
    low = (("track_high", 0.001), ("new_track_margin", 0.0))
    for look, width in ((passes.LOOK, network.WIDTH), (NATIVE, 64 + 256 + 192)):
        assert passes.joint_embeddings(own, part, look).shape == (len(boxes), width)
        method = Method("x", "joint", look, options=low, boxes="joint")
        first, second = (tracks(own, part, s, method) for s in data.sequences(part))
        assert len(first), "something is tracked"
        np.testing.assert_array_equal(first.tlwh, second.tlwh)  # whichever public detector the sequence names
    assert own.store.misses["tracks"] == 2, "both sequences share one result"
    assert own.store.misses["joint-features"] == 1


def test_frozen_features_of_its_boxes_are_those_of_public_boxes_at_the_same_place(own: Run) -> None:
    from msfp.experiment.features import compute

    (scene,) = data.scenes(own, "mot17")
    part = Part(scene, 5, LENGTH)
    found = passes.seen(own, part).detections
    kept = compute(own, data.whole(scene), "", {"same": (found.frame + np.int32(4), found.tlwh)})
    frozen = passes.frozen_features(own, part)
    for way, layer in (("roi_align", 4), ("lite", 14)):
        np.testing.assert_array_equal(frozen[way].layers[layer], kept[way]["same"].layers[layer])


def test_keys_know_weights_and_confidence(make_run: Make, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(NAMES, **{"input.joint_weights": str(weights)})
    (scene,) = data.scenes(run, "mot17")
    part = data.whole(scene)
    before = passes.seen_inputs(run, part)
    other = weights.with_stem("other")
    save_weights(other, untrained_joint(seed=1).state_dict(), {})
    changed = make_run({}, **{"input.joint_weights": str(other)})
    assert passes.seen_inputs(changed, part)["weights"] != before["weights"]
    monkeypatch.setattr(passes, "JOINT_CONFIDENCE", 0.5)
    assert passes.seen_inputs(run, part) != before


def test_why_there_is_none(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = make_run({"MOT17-04-SDP": 5})
    part = data.whole(data.scenes(partial, "mot17")[0])
    with pytest.raises(NotComputable, match="MOT17-04: 5 of 9 frames present"):
        passes.seen(partial, part)
    with pytest.raises(InputError, match=r"absent.safetensors: file not found"):
        passes.seen_inputs(make_run({}, **{"input.joint_weights": "absent.safetensors"}), part)
    monkeypatch.setattr(network, "EMBEDDED", "absent.safetensors")
    with pytest.raises(NotComputable, match="joint network: no embedded weights absent.safetensors"):
        passes.seen_inputs(partial, part)


def test_its_rows_say_that_their_detections_are_private(own: Run) -> None:
    cells = tracking_cells(evaluate(own, JOINT_ROWS, data.judged_folds(own, "mot17")[0]), ("HOTA", "IDSW"))
    rows = {c.row for c in cells}
    assert rows == {row.row for row in JOINT_ROWS}
    assert all("†" in row for row in rows)
    assert all(c.source == "measured" and c.reason.startswith("†: private detections") for c in cells)
    partial = {row.row: row.configured((), 0) for row in JOINT_ROWS}
    assert {(m.tracker, m.boxes) for m in partial.values()} == {("joint", "joint"), ("msfp-attention", "joint")}
    assert len({m.threshold for m in partial.values()}) == 1, "rows differ in embedding and association alone"
