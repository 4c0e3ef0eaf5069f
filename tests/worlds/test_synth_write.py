"""The embedded data sets as folders."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from msfp.data.motchallenge import read_detections, read_ground_truth, read_sequence
from msfp.errors import InputError
from msfp.worlds import DATASETS, Job, generate, jobs
from msfp.worlds.world import SCENES

SMALL = {"frames": 2, "size": (128, 72)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate("synthpp22", tmp_path_factory.mktemp("data"), **SMALL)


def test_layout(shop: Path) -> None:
    assert sorted(path.name for path in shop.iterdir()) == [".complete", "test", "train", "truth"]
    for split, scenes in (("train", ("01", "02")), ("test", ("03", "04", "05", "06", "07", "08"))):
        names = [f"SYNTHPP22-{scene}-{detector}" for scene in scenes for detector in ("DPM", "FRCNN", "SDP")]
        assert sorted(path.name for path in (shop / split).iterdir()) == names
        for name in names:
            folder = shop / split / name
            sequence = read_sequence(folder, "synthpp22", split)
            assert (sequence.width, sequence.height, sequence.length) == (128, 72, 2)
            assert sequence.frames == ((1, 2) if name.endswith("FRCNN") else ())
            assert (folder / "gt" / "gt.txt").is_file() == (split == "train")
            read_detections(folder / "det" / "det.txt", sequence)
    image = cv2.imread(str(shop / "train" / "SYNTHPP22-01-FRCNN" / "img1" / "000002.jpg"))
    assert image.shape == (72, 128, 3)


def test_truth_of_the_test_scenes_is_kept_apart(shop: Path) -> None:
    assert not list((shop / "test").rglob("gt*"))
    assert sorted(path.parent.name for path in (shop / "truth").rglob("gt.txt")) == [
        f"SYNTHPP22-{number:02d}" for number in range(3, 9)
    ]
    truth = read_ground_truth(shop / "truth" / "SYNTHPP22-03" / "gt.txt")
    assert truth.pedestrian.sum() > 4


def test_members_of_a_scene_share_their_labels(shop: Path) -> None:
    one, two, three = (shop / "train" / f"SYNTHPP22-01-{d}" / "gt" / "gt.txt" for d in ("DPM", "FRCNN", "SDP"))
    assert one.read_bytes() == two.read_bytes() == three.read_bytes()
    truth = read_ground_truth(one)
    assert truth.frame.max() == 2
    text = one.read_text()
    assert all(len(line.split(",")) == 9 for line in text.splitlines())
    assert np.all(np.diff(np.loadtxt(one, delimiter=",")[:, 1]) >= 0)  # by identity, as MOT17 has it


def test_the_same_again_byte_for_byte(shop: Path, tmp_path: Path) -> None:
    def backwards(function: Callable[[Job], None], work: list[Job]) -> Iterable[None]:
        return [function(job) for job in reversed(work)]

    again = generate("synthpp22", tmp_path, map=backwards, **SMALL)
    assert files(again) == files(shop)


def test_nothing_is_done_twice_and_other_settings_replace(tmp_path: Path) -> None:
    done: list[str] = []

    def fake(function: Callable[[Job], None], work: list[Job]) -> Iterable[None]:
        for job in work:
            done.append(job.world.name)
            (job.folder / "train").mkdir(exist_ok=True)
            yield None

    target = generate("synthdance", tmp_path, map=fake)
    assert target == tmp_path / "synthdance"
    assert len(done) == len(SCENES["synthdance"])
    generate("synthdance", tmp_path, map=fake)
    assert len(done) == 8
    generate("synthdance", tmp_path, map=fake, seed=1)
    assert len(done) == 16
    assert json.loads((target / ".complete").read_text())["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["synthdance"]


def test_a_file_that_was_altered_is_rendered_anew(shop: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, spoil in (
        ("train/SYNTHPP22-01-FRCNN/img1/000002.jpg", lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]),
        ("train/SYNTHPP22-02-DPM/gt/gt.txt", lambda data: b""),
        ("test/SYNTHPP22-03-SDP/det/det.txt", lambda data: data[: len(data) // 2]),
        ("truth/SYNTHPP22-04/gt.txt", None),
    ):
        shutil.rmtree(tmp_path / "synthpp22", ignore_errors=True)
        copy = Path(shutil.copytree(shop, tmp_path / "synthpp22"))
        assert generate("synthpp22", tmp_path, map=lambda function, work: pytest.fail("rendered again"), **SMALL)
        path = copy / name
        if spoil is None:
            path.unlink()
        else:
            path.write_bytes(spoil(path.read_bytes()))
        caplog.clear()
        assert generate("synthpp22", tmp_path, **SMALL) == copy
        assert f"{path}: is not as it was rendered" in caplog.text
        assert files(copy) == files(shop)


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken(function: Callable[[Job], None], work: list[Job]) -> Iterable[None]:
        function(work[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate("synthdance", tmp_path, map=broken, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_one_at_work_is_not(tmp_path: Path) -> None:
    dead, other = tmp_path / ".synthdance.1-ab.partial", tmp_path / ".synthdance.2-ab.partial"
    dead.mkdir()
    other.mkdir()
    os.utime(dead, (0, 0))
    generate("synthdance", tmp_path, map=lambda function, work: [])
    assert not dead.exists()
    assert other.exists()


def test_of_two_runs_at_once_the_second_waits_and_renders_nothing(tmp_path: Path) -> None:
    started, asked = threading.Event(), []

    def slow(function: Callable[[Job], None], work: list[Job]) -> Iterable[None]:
        asked.append(len(work))
        started.set()
        time.sleep(0.3)
        return []

    first = threading.Thread(target=generate, args=("synthdance", tmp_path), kwargs={"map": slow})
    first.start()
    assert started.wait(10)
    generate("synthdance", tmp_path, map=slow)
    first.join()
    assert asked == [8]
    assert [path.name for path in tmp_path.iterdir()] == ["synthdance"]


def test_an_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the embedded data set .*choose another folder"):
        generate("synthdance", tmp_path / "file", **SMALL)


def test_an_unknown_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown embedded data set 'synth99': use one of synth17, synth20"):
        generate("synth99", tmp_path)


def test_evaluated_halves_are_as_long_as_test_sequences() -> None:
    for name, times in (("synth17", 2), ("synth20", 2), ("synthdance", 1), ("synthpp22", 1), ("synthlong", 1)):
        work = jobs(name, Path("x"), frames=50, train_times=2)
        assert {job.world.length for job in work if job.split == "train"} <= {50 * times}, name
        assert {job.world.length for job in work if job.split == "test"} == {300 if name == "synthlong" else 50}, name


def test_the_data_sets_have_the_roles_they_need() -> None:
    splits = {name: [scene.split for scene in SCENES[name]] for name in DATASETS}
    assert {name: (s.count("train"), s.count("test")) for name, s in splits.items()} == {
        "synth17": (7, 7),
        "synth20": (4, 6),
        "synthdance": (2, 6),
        "synthpp22": (2, 6),
        "synthlong": (0, 2),
    }
    modes = {job.world.camera.mode for job in jobs("synth17", Path("x"))}
    assert modes == {"static", "pan", "handheld"}
