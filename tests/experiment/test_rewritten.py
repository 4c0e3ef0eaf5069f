"""Inputs that are rewritten while a process lives: the new ones count, also where the old ones were used before."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file

from msfp.engine.files import digest
from msfp.errors import InputError
from msfp.experiment import data, external
from msfp.experiment.features import features
from msfp.experiment.heads import Appearance
from msfp.experiment.run import Run, open_run
from msfp.experiment.scores import score
from msfp.experiment.tracks import Method, tracks
from msfp.features.weights import random_detector

from .conftest import FEW, LENGTH, Make

NAME = "MOT17-02-SDP"
METHOD = Method("any", "msfp-attention", Appearance("native"), camera="sparse-flow")


def result(run: Run) -> dict[str, str]:
    """Digest what a run makes of its sequence, stage by stage."""
    scene = data.scenes(run, "mot17")[0]
    part, sequence = data.whole(scene), scene.sequences[0]
    found = tracks(run, part, sequence, METHOD)
    stages = {
        "sequence": [scene.pixels.fps, scene.pixels.frames],
        "detections": data.detections(sequence),
        "truth": data.truth(scene),
        "features": [(name, f.layers) for name, f in features(run, scene).items()],
        "tracks": found,
        "score": score(run, part, found).hota,
    }
    return {name: digest(value) for name, value in stages.items()}


def fewer_detections(folder: Path) -> None:
    path = folder / "det" / "det.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[::2]))


def moved_detections(folder: Path) -> None:
    """As many bytes in the same file, and its time of change set back."""
    path = folder / "det" / "det.txt"
    was = path.stat()
    with path.open("r+b") as file:
        text = file.read()
        file.seek(0)
        file.write(re.sub(rb",16,36,", b",12,34,", text))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def fewer_labels(folder: Path) -> None:
    path = folder / "gt" / "gt.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if line.split(",")[1] != "3"))


def other_frame(folder: Path) -> None:
    path = folder / "img1" / "000004.jpg"
    cv2.imwrite(str(path), 255 - cv2.imread(str(path)))


def other_rate(folder: Path) -> None:
    path = folder / "seqinfo.ini"
    path.write_text(path.read_text().replace("frameRate=30", "frameRate=10"))


CHANGES = {
    fewer_detections: {"detections", "features", "tracks", "score"},
    moved_detections: {"detections", "features", "tracks", "score"},
    fewer_labels: {"truth", "features", "score"},
    other_frame: {"features"},
    other_rate: {"sequence"},
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_rewritten_file_counts_from_then_on(make_run: Make, tmp_path: Path, change: Callable[[Path], None]) -> None:
    run = make_run({NAME: LENGTH})
    before = result(run)
    change(tmp_path / "root" / "train" / NAME)
    after = result(run)
    assert {name for name in after if after[name] != before[name]} >= CHANGES[change]
    assert result(elsewhere(run, run.home)) == after, "what was stored is not what another process would compute"
    assert result(elsewhere(run, tmp_path / "fresh")) == after


def elsewhere(run: Run, home: Path) -> Run:
    """The same run with nothing remembered."""
    return Run(run.settings, home)


def test_a_scene_listed_before_is_refused_where_results_are_kept(make_run: Make, tmp_path: Path) -> None:
    run = make_run({NAME: LENGTH})
    scene = data.scenes(run, "mot17")[0]
    fewer_detections(tmp_path / "root" / "train" / NAME)
    assert len(data.detections(scene.sequences[0])) == len(data.detections(data.scenes(run, "mot17")[0].sequences[0]))
    with pytest.raises(InputError, match=r"det\.txt: changed while"):
        tracks(run, data.whole(scene), scene.sequences[0], METHOD)
    other_frame(tmp_path / "root" / "train" / NAME)
    with pytest.raises(InputError, match=r"img1: changed while"):
        run.pixels_digest(scene)


def test_rewritten_weights_count_from_then_on(make_run: Make, tmp_path: Path) -> None:
    weights = tmp_path / "detector.safetensors"
    settings = {"input.size": (96, 64), "training.epochs": 1, "seeds": (0,), **FEW}

    def opened(home: str) -> Run:
        return open_run("mot17", root=tmp_path / "root", weights=weights, home=tmp_path / home, overrides=settings)

    def write(seed: int) -> None:
        save_file(random_detector("yolov8n", seed).state_dict(), weights)

    make_run({NAME: LENGTH})
    write(1)
    run = opened("home")
    before = result(run)
    write(2)
    after = result(run)
    assert after["features"] != before["features"]
    assert result(opened("home")) == result(opened("fresh")) == after


def test_rewritten_results_count_from_then_on(make_run: Make, tmp_path: Path) -> None:
    run = make_run({NAME: LENGTH})
    scene = data.scenes(run, "mot17")[0]
    part, sequence = data.whole(scene), scene.sequences[0]
    path = external.place(run, "Theirs") / f"{NAME}.txt"
    path.parent.mkdir(parents=True)
    path.write_text("1,1,5,9,16,36,1\n")
    was = path.stat()
    first = external.read_tracks(run, "Theirs", part, sequence)
    kept = external.contents(run)
    path.write_text("1,1,7,9,16,36,1\n")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    second = external.read_tracks(run, "Theirs", part, sequence)
    np.testing.assert_array_equal(second.tlwh - first.tlwh, [[2, 0, 0, 0]])
    assert external.contents(run) != kept
