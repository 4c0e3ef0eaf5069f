"""One pass of the detector fills the stages that are passes of their own otherwise, with the same arrays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msfp.experiment import data
from msfp.experiment.features import Pooled, pooled, variants
from msfp.experiment.passes import extract_once
from msfp.experiment.run import Run
from msfp.features.backbone import Backbone
from msfp.features.detector import Detector

from .conftest import LENGTH, Make


def stages(run: Run) -> dict[str, Pooled]:
    """Usual features, variants, features of the own boxes."""
    own = run.variant(detections="detector")
    (scene,), (seen,) = data.scenes(run, "mot17"), data.scenes(own, "mot17")
    return {"features": pooled(run, scene), "variants": variants(run, scene), "own": pooled(own, seen)}


@pytest.mark.parametrize("extra", [{}, {"input.geometry": "paper_scale"}])
def test_it_gives_what_passes_of_their_own_give(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, str]
) -> None:
    apart = make_run({"MOT17-02-SDP": LENGTH}, **extra)
    together = replace(apart, home=tmp_path / "other")
    wanted = stages(apart)
    passes = []
    forward = Backbone._forward
    monkeypatch.setattr(Backbone, "_forward", lambda self, *given: passes.append(type(self)) or forward(self, *given))
    extract_once(together, data.scenes(together, "mot17"))
    assert passes.count(Detector) == LENGTH + 1, "one looks at its shapes"
    made = stages(together)
    assert passes.count(Detector) == LENGTH + 1
    assert passes.count(Backbone) <= 1, "nothing is looked at again"
    for stage, ways in wanted.items():
        assert list(made[stage]) == list(ways), stage
        for way, sets in ways.items():
            assert list(made[stage][way]) == list(sets), (stage, way)
            for name, features in sets.items():
                found = made[stage][way][name]
                assert list(found.layers) == list(features.layers)
                for layer, vectors in features.layers.items():
                    np.testing.assert_array_equal(found.layers[layer], vectors, err_msg=f"{stage} {way} {name} {layer}")
                for field in ("frame", "present", "scene_frame", "scene"):
                    np.testing.assert_array_equal(getattr(found, field), getattr(features, field))
    assert any(len(f.frame) for f in made["own"]["roi_align"].values())


def test_missing_frames_leave_the_own_boxes_to_others(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 3})
    extract_once(run, data.scenes(run, "mot17"))
    assert run.store.misses == {"features": 1, "variants": 1}
