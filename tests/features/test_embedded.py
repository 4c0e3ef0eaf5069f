"""The shipped weights load by name, carry their cards, and do what the cards say on frames drawn here."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from msfp.errors import InputError
from msfp.features import weights
from msfp.features.backbone import load_backbone
from msfp.features.joint import EMBEDDED as JOINT
from msfp.features.joint import load_joint
from msfp.features.presets import presets
from msfp.features.reid import EMBEDDED, load_reid
from msfp.features.weights import SUMS, embedded_path, listed_sums
from shipped_weights.card import save_weights
from shipped_weights.detector import held_out_precision
from shipped_weights.joint import held_out_auc
from shipped_weights.make import Pool, render_samples
from tests.whole_model import load_person_detector

SHIPPED = [preset.embedded for preset in presets().values() if preset.embedded] + [EMBEDDED, JOINT]


@pytest.mark.parametrize("file", SHIPPED)
def test_each_file_is_small_half_precision_and_has_a_card(file: str) -> None:
    path = embedded_path(file)
    assert path.stat().st_size < 7_000_000
    with safe_open(path, "pt") as tensors:
        assert tensors.metadata()["licence"] == "AGPL-3.0-only"
        kinds = {tensors.get_tensor(key).dtype for key in tensors.keys()}  # noqa: SIM118 (a safetensors handle)
    assert kinds <= {torch.float16, torch.int64}
    card = path.with_suffix(".md").read_text()
    for heading in ("## Held out", "## Data", "## Recipe", "## Made again with", "AGPL-3.0-only"):
        assert heading in card


def test_a_shipped_file_with_one_bit_flipped_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    file = "osnet_x0_25-synth.safetensors"
    whole = embedded_path(file)
    for one in (whole, whole.with_name(SUMS)):
        shutil.copy(one, tmp_path / "weights")
    monkeypatch.setattr(weights.resources, "files", lambda package: tmp_path)
    assert embedded_path(file) == tmp_path / "weights" / file
    data = bytearray(whole.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "weights" / file).write_bytes(data)
    with pytest.raises(InputError, match=f"{file}: not the weights that were shipped"):
        embedded_path(file)


def test_trained_weights_are_listed_where_they_are_written(tmp_path: Path) -> None:
    for value in (1, 2):
        save_weights(tmp_path / "one.safetensors", {"a": torch.full((3,), float(value))}, {})
    save_weights(tmp_path / "two.safetensors", {"a": torch.zeros(3)}, {})
    digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.glob("*.safetensors")}
    assert listed_sums(tmp_path) == digests


def test_the_default_preset_runs_on_what_is_shipped() -> None:
    backbone = load_backbone("yolov8n-paper", "embedded")
    assert backbone.channels == {4: 64, 9: 256, 14: 192}
    assert next(load_person_detector("yolov8n-paper").parameters()).dtype == torch.float32


def test_reid_features_differ_between_crops() -> None:
    """A collapsed network gives every crop the same vector."""
    with torch.inference_mode():
        crops = torch.randn(2, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(2, 3, 256, 128)
        features = torch.nn.functional.normalize(load_reid()(crops)).numpy()
    assert np.isfinite(features).all()
    assert features[0] @ features[1] < 0.999


def test_the_joint_network_finds_people_and_tells_them_apart_in_a_world_it_never_saw() -> None:
    """Its card says AP 0.87 and AUC 0.88 over 36 such worlds."""
    samples = render_samples(Pool({"synth17": 1}, frames=48, every=16, seed=2000))
    network = load_joint()
    assert held_out_precision(network, samples, (640, 384))[0] > 0.7
    assert held_out_auc(network, samples, (640, 384))[0] > 0.7
