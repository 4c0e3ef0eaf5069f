"""Several detectors in one run: rows for those whose weights were named, a remedy for the others."""

import shlex
from pathlib import Path

import pytest

from msfp.errors import InputError
from msfp.experiment.detections import detectors
from msfp.experiment.run import open_run
from msfp.features.weights import build
from tests.notebooks.plain import plain
from tests.tables import made

from .conftest import LENGTH, Make

pytestmark = [pytest.mark.xdist_group("tables"), pytest.mark.usefixtures("kept")]

SMALL = {"training.identities": 2, "training.instances": 2, "training.joint_epochs": 1, "atl.grid": (0.1, 0.3)}


def test_every_named_detector_is_a_run_of_its_own_in_the_same_store(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **{"input.families": "yolov8s-paper=random-init"})
    found = detectors(run)
    assert list(found) == ["yolov8n-paper", "yolov8s-paper"]
    other = found["yolov8s-paper"]
    assert (other.settings.input.preset, other.settings.input.weights) == ("yolov8s-paper", "random-init")
    assert other.store.root == run.store.root
    assert other.settings.data == run.settings.data
    assert list(plain("06").rows_beside(run, {"YOLOv8s": "YOLOv8s"}).values()) == ["yolov8s-paper", "yolov8n-paper"]


def test_weights_keep_their_full_path_for_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in build("yolov8n").state_dict().items()}, tmp_path / "n.safetensors")
    monkeypatch.chdir(tmp_path)
    run = open_run("demo", home=tmp_path, overrides="input.families=yolov8n-paper=n.safetensors atl.beta=0.7")
    expected = f"yolov8n-paper={tmp_path / 'n.safetensors'}"
    assert run.settings.input.families == (expected,)
    assert shlex.split(run.overrides) == ["atl.beta=0.7", f"input.families={expected}"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("yolov8s-paper", r"yolov8s-paper: write PRESET=WEIGHTS"),
        ("yolov9=x.pt", "preset 'yolov9' is not known; there are: .*yolov8s-paper"),
        ("yolov8s-paper=no/such.pt", "weights no/such.pt: file not found"),
        ("yolov8s-paper=random-init,yolov8s-paper=random-init", "yolov8s-paper is named twice"),
    ],
)
def test_what_cannot_be_is_refused_at_once(tmp_path: Path, given: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_run("demo", home=tmp_path, overrides=f"input.families={given}")


def test_tables_measure_the_named_and_say_how_to_name_the_others(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **{"input.families": "yolov8s-paper=random-init", **SMALL})
    cells = made(run, 22)
    for row in ("YOLOv8s", "yolov8n-paper (random-init weights)"):
        assert cells[row, "HOTA"].source == "measured"
    assert cells["YOLOv8s", "Notes"].value == "yolov8s, layers 4/9/14: 128/512/384 channels at strides 8/32/8"
    lacking = cells["RT-DETR-R50", "AssA"]
    assert (lacking.source, lacking.value) == ("n/a", None)
    assert "--param input.families=rtdetr-resnet50=FILE" in lacking.reason
    own = made(run, 18)
    assert "--param input.families=yolov8m-paper=FILE" in own["YOLOv8m (same)", "Δ"].reason
    fixed, learned = (own["YOLOv8s", column].value for column in ("HOTA (fixed τ)", "HOTA (ATL)"))
    assert own["YOLOv8s", "Δ"].value == pytest.approx(float(learned or 0) - float(fixed or 0))
