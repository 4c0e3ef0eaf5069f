"""Peers in processes of their own: those that are there agree with ours, those that are not are found missing."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench.parity_pairs import PAIRS, Pair
from msfp.metrics import hota
from msfp.metrics.scores import identical

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(autouse=True)
def scripts_importable() -> Iterator[None]:
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.fixture
def outside() -> ModuleType:
    return importlib.import_module("outside")


def test_an_environment_that_was_not_made_is_not_there(
    outside: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "ORACLE", tmp_path)
    assert not outside.there("motrics")
    assert outside.there("ultralytics", "ocsort")
    (tmp_path / "boxmot").mkdir()
    (tmp_path / "boxmot" / ".ready").touch()
    assert outside.there("boxmot", "bytetrack")
    assert not outside.there("boxmot", "bytetrack-cpp")


def test_a_peer_that_fails_says_what_it_said(
    outside: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "ORACLE", tmp_path)
    python = tmp_path / "motrics" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho no motrics here >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(SystemExit, match=r"run_motrics.py folder: no motrics here"):
        outside.call("motrics", "folder", "out")


CHECKED = [pair for pair in PAIRS if pair.reference == "pyxtrackers" or pair.key == ("ultralytics", "deep-ocsort")]


@pytest.mark.parametrize("pair", CHECKED, ids=lambda pair: "-".join(pair.key))
def test_a_tracker_follows_two_people(outside: ModuleType, pair: Pair) -> None:
    if not outside.there(*pair.key):
        pytest.skip(f"{pair.reference} is not in {outside.ORACLE}; `make oracle` brings it")
    moved = np.arange(12)[:, None, None] * np.array([3.0, 0.0, 3.0, 0.0])
    boxes = (np.array([[50, 50, 90, 150], [300, 80, 350, 200]]) + moved).reshape(-1, 4).astype(np.float32)
    arrays = {
        "boxes": boxes,
        "scores": np.full(24, 0.9, np.float32),
        "embeddings": np.tile(np.eye(2, 8, dtype=np.float32), (12, 1)),
        "bounds": np.arange(0, 25, 2),
    }
    tracks, seconds = outside.run(*pair.key, pair.theirs, arrays)
    assert seconds > 0
    assert set(tracks.id) == {1, 2}
    assert (tracks.frame == 12).sum() == 2
    left = tracks.tlwh[(tracks.frame == 12) & (tracks.tlwh[:, 0] < 200)]
    assert np.allclose(left, [[83, 50, 40, 100]], atol=3)


def test_the_score_of_motrics_is_read_by_its_names() -> None:
    bench = importlib.import_module("bench_evaluation")
    crowd = importlib.import_module("crowd")
    scene = crowd.scene(6, 10, 0)
    ours = hota.evaluate(scene.truth, bench.track(bench.make("bytetrack"), scene.found, 10), 10)
    columns: dict[str, Any] = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(ours).items()}
    told = {part: {b: columns[a] for a, b in names.items()} for part, names in bench.MOTRICS_NAMES.items()}
    told["clear"]["motp"] = ours.motp
    assert identical(bench.of_motrics(told), ours, 1e-12)
