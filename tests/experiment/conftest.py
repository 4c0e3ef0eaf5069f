"""Runs over small folders, made without rendering a world."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from msfp.experiment.run import Run, open_run

WIDTH, HEIGHT, LENGTH = 96, 64, 9
FEW = {"selection.trials": 4, "selection.finalists": 2}  # three hundred draws show no more of a few frames
Make = Callable[..., Run]


def write_sequence(folder: Path, frames: int, gt: bool, grey: int = 90) -> None:
    """Three people who walk side by side before a grey wall, in pixels as far as `frames` goes."""
    (folder / "img1").mkdir(parents=True)
    keys = f"name={folder.name}\nimDir=img1\nframeRate=30\nseqLength={LENGTH}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    (folder / "seqinfo.ini").write_text(f"[Sequence]\n{keys}imExt=.jpg\n")
    labels, found = [], []
    for t in range(1, LENGTH + 1):
        image = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
        for number in (1, 2, 3):
            left, top = 28 * number - 24 + t, 8 + number
            cv2.rectangle(image, (left - 1, top - 1), (left + 15, top + 35), (60 * number, 200, 40 * t % 256), -1)
            labels.append(f"{t},{number},{left},{top},16,36,1,1,1\n")
            found.append(f"{t},-1,{left},{top},16,36,{0.2 * number + 0.3:g}\n")
        if t <= frames:
            cv2.imwrite(str(folder / "img1" / f"{t:06d}.jpg"), image)
    (folder / "det").mkdir()
    (folder / "det" / "det.txt").write_text("".join(found))
    if gt:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text("".join(labels))


def run_of_one_street(folder: Path) -> Run:
    """A run over one sequence with all its frames, whose boxes are the detector's own, as for somebody's film."""
    write_sequence(folder / "root" / "train" / "MOT17-02-SDP", LENGTH, gt=True)
    settings = {"input.size": (96, 64), "training.epochs": 1, "seeds": (0,), "detections": "detector", **FEW}
    return open_run("mot17", root=folder / "root", weights="random-init", home=folder / "home", overrides=settings)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests of one process share."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def kept(results: Path, tmp_path: Path) -> None:
    """What one test computed is found by the others that use this: their tables are made of the same streets."""
    place = tmp_path / "home" / "runs" / "mot17"
    place.mkdir(parents=True)
    (place / "store").symlink_to(results)


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    """`make_run({"MOT17-02-SDP": frames, ...}, **overrides)`; `test/NAME` puts a sequence in the test split."""

    def make(sequences: dict[str, int], **overrides: object) -> Run:
        root = tmp_path / "root"
        for name, frames in sequences.items():
            split, _, own = name.rpartition("/")
            write_sequence(root / (split or "train") / own, frames, gt=split != "test")
        settings = {"input.size": (96, 64), "training.epochs": 1, "seeds": (0,), **FEW, **overrides}
        return open_run("mot17", root=root, weights="random-init", home=tmp_path / "home", overrides=settings)

    return make
