"""The shipped networks can be made again: worlds of their own, weights that load, a card, nothing overwritten."""

import subprocess
import sys
from pathlib import Path

import pytest

from msfp.errors import InputError
from msfp.features.backbone import load_backbone
from msfp.features.reid import load_reid
from shipped_weights import make as training
from shipped_weights.make import Pool, pools, render_samples, train_backbone, train_reid


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One small world to learn from and one to be judged on."""

    def small(scale: float, seed: int) -> tuple[Pool, Pool]:
        return tuple(Pool({"synthpp22": 1}, frames=6, every=2, size=(192, 108), seed=s) for s in (seed, seed + 1000))  # type: ignore[return-value]

    monkeypatch.setattr(training, "pools", small)
    monkeypatch.setattr(training, "INPUT", (192, 128))


def test_judged_worlds_are_others() -> None:
    seen, judged = pools(0.01)
    assert all(count == 1 for count in seen.worlds.values())
    assert seen.seed != judged.seed
    with pytest.raises(InputError, match="training worlds have seeds 1000 to 1999"):
        pools(seed=2000)


def test_people_are_numbered_over_all_worlds() -> None:
    samples = render_samples(Pool({"synthpp22": 1, "synthdance": 1}, frames=4, every=2, size=(96, 54)))
    assert len(samples) == 4
    first, second = ({int(i) for s in part for i in s.id} for part in (samples[:2], samples[2:]))
    assert first
    assert second
    assert not first & second


@pytest.mark.usefixtures("few")
def test_a_detector_is_trained_and_loads(tmp_path: Path) -> None:
    made = train_backbone(tmp_path, crops=16)
    assert load_backbone("yolov8n-paper", made.weights).channels == {4: 64, 9: 256, 14: 192}
    card = made.card.read_text()
    for word in (
        "person AP@0.5",
        "synthpp22 1",
        "1000; held out 2000",
        "python scripts/make_weights.py backbone --crops 16",
        "AGPL-3.0",
    ):
        assert word in card
    assert sorted(p.name for p in tmp_path.iterdir()) == ["SHA256SUMS", "yolov8n-synth.md", "yolov8n-synth.safetensors"]
    with pytest.raises(InputError, match="is there already; give another --out, or --fresh to replace it"):
        train_backbone(tmp_path, crops=16)


@pytest.mark.usefixtures("few")
def test_a_reid_network_is_trained_and_loads(tmp_path: Path) -> None:
    made = train_reid(tmp_path, steps=1)
    assert load_reid(made.weights) is not None
    assert "make_weights.py reid --steps 1" in made.card.read_text()
    assert 0 <= made.measured["AUC"] <= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backbone", "--seed", "7"), "--seed 7: training worlds have seeds 1000 to 1999"),
        (("reid", "--out", "file/weights"), "cannot write"),
    ],
)
def test_what_cannot_be_made_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "file").write_text("in the way")
    script = Path(__file__).resolve().parents[2] / "scripts" / "make_weights.py"
    done = subprocess.run([sys.executable, str(script), *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 or "cannot write" in said, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
