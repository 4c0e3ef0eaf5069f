"""`msfp reid` on folders: what is measured is never learned from, and what is missing is told."""

import json
from pathlib import Path

import pytest

from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.folders import learning_parts, method_from, others, reid_folder
from msfp.experiment.run import Run
from tests.experiment.conftest import LENGTH, Make, write_sequence


def two_scenes(make_run: Make, more: dict[str, int] | None = None) -> Run:
    """A run over two scenes whose pixels differ."""
    run = make_run({"MOT17-02-SDP": LENGTH, **(more or {})})
    write_sequence(run.settings.data.root / "train" / "MOT17-04-SDP", LENGTH, gt=True, grey=140)
    return run


def test_a_scene_is_measured_with_what_the_others_taught(make_run: Make) -> None:
    run = two_scenes(make_run)
    root = run.settings.data.root
    found = reid_folder(run, ["parts", "native-concat"], "train", root)
    assert [(row["appearance"], row["scene"]) for row in found.rows] == [
        (name, scene) for name in ("parts", "native-concat") for scene in ("MOT17-02", "MOT17-04", "mean")
    ]
    assert all(0 <= row["auc"] <= 1 for row in found.rows)
    assert found.rows[0]["hard_auc"] is None, "nobody is there for twenty frames"
    json.dumps(found.rows, allow_nan=False)
    both = learning_parts(run, root)
    first, second = data.scenes(run, "mot17")
    assert [part.scene for part in others(run, both, first)] == [second]


def test_the_same_frames_under_another_name_are_not_learned_from(make_run: Make, tmp_path: Path) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    write_sequence(tmp_path / "elsewhere" / "train" / "MOT17-13-SDP", LENGTH, gt=True)
    with pytest.raises(InputError, match="no other scene to learn from"):
        reid_folder(run, ["parts"], "train", tmp_path / "elsewhere")


def test_what_cannot_be_measured_is_named(make_run: Make) -> None:
    run = two_scenes(make_run, {"MOT17-09-SDP": LENGTH - 2})
    found = reid_folder(run, ["native"], "train", None)
    assert list(found.skipped) == ["MOT17-09"]
    assert f"{LENGTH - 2} of {LENGTH} frames" in found.skipped["MOT17-09"]
    with pytest.raises(InputError, match="--appearance osnet: not known; there are: .*parts.*reid"):
        reid_folder(run, ["osnet"], "train", None)


def test_a_folder_to_learn_from_needs_labels(make_run: Make, tmp_path: Path) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    write_sequence(tmp_path / "bare" / "train" / "MOT17-13-SDP", LENGTH, gt=False)
    with pytest.raises(InputError, match="--learn .*bare: no scene under train/ has labels"):
        learning_parts(run, tmp_path / "bare")


def test_settings_are_selected_on_what_is_learned_from(make_run: Make, tmp_path: Path) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, tuning="selected")
    write_sequence(tmp_path / "learn" / "train" / "MOT17-13-SDP", LENGTH, gt=True)
    method = method_from(run, "msfp-attention", "parts", "default", {}, 0, learn=tmp_path / "learn")
    assert method.look is not None
    assert [part.scene.name for part in (*method.learn, *method.look.learn)] == ["MOT17-13"] * 2
