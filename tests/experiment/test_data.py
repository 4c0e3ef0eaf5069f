"""Who learns from what, and is judged on what: no fold evaluates what it learned from, except where it says so."""

import shutil
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from msfp.data.frames import FrameReader
from msfp.errors import NotComputable, each_once
from msfp.experiment import data
from msfp.experiment.run import Run, open_run
from msfp.types import Scene

from .conftest import LENGTH, Make

THREE = {f"MOT17-{n}-SDP": LENGTH for n in ("02", "04", "09")}


def overlap(one: data.Part, other: data.Part) -> bool:
    return one.scene == other.scene and one.first <= other.last and other.first <= one.last


@pytest.mark.parametrize("split", ["half", "loso", "paper"])
def test_folds(make_run: Make, split: str) -> None:
    run = make_run(THREE, split=split)
    folds = data.folds(run, "mot17")
    assert [f.name for f in folds] == (
        ["loso:MOT17-02", "loso:MOT17-04", "loso:MOT17-09"] if split == "loso" else [split]
    )
    leaks = any(overlap(a, b) for f in folds for a in f.learn for b in f.evaluate)
    assert leaks == (split == "paper")
    judged = sorted((p.scene.name, p.first, p.last) for f in folds for p in f.evaluate)
    first = LENGTH // 2 + 1 if split == "half" else 1
    assert judged == [(name.removesuffix("-SDP"), first, LENGTH) for name in sorted(THREE)]


def test_one_scene_left_is_halved(make_run: Make) -> None:
    (fold,) = data.folds(make_run({"MOT17-02-SDP": LENGTH}, split="loso"), "mot17")
    assert fold.name == "half"
    assert not overlap(fold.learn[0], fold.evaluate[0])
    assert fold.learn[0].length + fold.evaluate[0].length == LENGTH


def test_scenes_that_do_not_learn_are_held_out_whole(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "TUD-Stadtmitte-FRCNN": LENGTH})
    assert [s.name for s in data.learnable(run, "mot17")] == ["MOT17-02"]
    (part,) = data.unseen(run, "mot17")
    assert (part.scene.name, part.first, part.last) == ("TUD-Stadtmitte", 1, LENGTH)
    assert all(not overlap(part, other) for f in data.folds(run, "mot17") for other in (*f.learn, *f.evaluate))


def test_a_test_split_without_labels_is_not_evaluated(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "test/MOT17-01-SDP": LENGTH})
    with pytest.raises(NotComputable, match="labels of MOT17-01 are kept by the evaluation server"):
        data.test_fold(run, "mot17")
    with pytest.raises(NotComputable, match="there is no test split"):
        data.test_fold(open_run("mot17", root=run.settings.data.root / "train", home=run.home), "mot17")


def test_what_is_absent_is_counted(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 3})
    (scene,) = data.scenes(run, "mot17")
    before, after = data.halves(scene)
    assert data.missing_pixels(data.whole(scene)) == f"MOT17-02: 3 of {LENGTH} frames present"
    assert data.missing_pixels(data.Part(scene, 1, 3)) == ""
    with pytest.raises(NotComputable, match=f"^MOT17-02: 3 of {LENGTH} frames present$"):
        data.need_pixels((before, after))


def test_a_window_is_the_rows_between_two_frames(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    (scene,) = data.scenes(run, "mot17")
    labels = data.labels(scene)
    cut = data.window(labels, data.Part(scene, 3, 5))
    kept = [i for i, t in enumerate(labels.frame) if 3 <= t <= 5]
    assert cut.frame.tolist() == [labels.frame[i] - 2 for i in kept]
    for field in fields(labels):
        if field.name != "frame":
            assert np.array_equal(getattr(cut, field.name), getattr(labels, field.name)[kept])
    assert sum(len(data.window(labels, data.Part(scene, t, t))) for t in range(1, LENGTH + 1)) == len(labels)


@pytest.mark.real
def test_real_video(shared: Path, tmp_path: Path) -> None:
    run = open_run("mot17", root=shared / "real-video", weights="random-init", home=tmp_path)
    (fold,) = data.folds(run, "mot17")
    assert [(p.scene.name, p.first, p.last) for p in fold.learn] == [("MOT17-02", 1, 300), ("MOT17-09", 1, 262)]
    assert [(p.scene.name, p.first, p.last) for p in fold.evaluate] == [("MOT17-02", 301, 600), ("MOT17-09", 263, 525)]
    judged = fold.evaluate[0]
    assert sorted(s.detector for s in data.sequences(judged)) == ["DPM", "FRCNN", "SDP"]
    (never,) = data.unseen(run, "mot17")
    assert (never.scene.name, never.length) == ("TUD-Stadtmitte", 179)
    assert data.missing_pixels(judged) == data.missing_pixels(never) == ""
    assert len(data.labels(never.scene)) > 500
    assert data.labels(never.scene).pedestrian.all()
    for part, size in ((judged, (540, 960)), (never, (480, 640))):
        with FrameReader(part.scene.pixels) as reader:
            numbers = [(t, frame.shape) for t, frame in reader]
        assert [t for t, _ in numbers] == list(range(1, part.scene.pixels.length + 1))
        assert all(shape == (*size, 3) for _, shape in numbers)
        assert all(b[0] == a[0] + 1 for a, b in pairwise(numbers))


def test_reasons_are_said_once() -> None:
    assert each_once(["a: 1 of 9; b: 2 of 9", "b: 2 of 9", "", "c"]) == "a: 1 of 9; b: 2 of 9; c"


def test_protocols_differ_in_what_they_learn_from_only(make_run: Make) -> None:
    found = data.protocols(make_run(THREE), "mot17")
    judged = {n: sorted((p.scene.name, p.first, p.last) for f in fs for p in f.evaluate) for n, fs in found.items()}
    assert judged["half"] == judged["loso"] == judged["paper"]
    assert {first for _, first, _ in judged["half"]} == {LENGTH // 2 + 1}
    shared = {n: any(overlap(a, b) for f in fs for a in f.learn for b in f.evaluate) for n, fs in found.items()}
    assert shared == {"half": False, "loso": False, "paper": True}
    for fold in found["loso"]:
        assert fold.evaluate[0].scene not in {p.scene for p in fold.learn}
        assert len(fold.learn) == 2


def test_one_scene_has_no_other_to_learn_from(make_run: Make) -> None:
    assert data.protocols(make_run({"MOT17-02-SDP": LENGTH}), "mot17")["loso"] == ()


def test_scenes_are_listed_once_and_again_when_a_file_changes(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": LENGTH})
    listed: list[str] = []
    every = data.every_scene

    def counted(run: Run, dataset: str, split: str) -> tuple[Scene, ...]:
        listed.append(dataset)
        return every(run, dataset, split)

    monkeypatch.setattr(data, "every_scene", counted)
    first = data.scenes(run, "mot17")
    assert data.scenes(run, "mot17") is first
    assert len(listed) == 1
    folder = run.settings.data.root / "train" / "MOT17-02-SDP"
    changes: list[Callable[[], object]] = [
        lambda: (folder / "img1" / "000001.jpg").write_bytes((folder / "img1" / "000002.jpg").read_bytes()),
        lambda: (folder / "img1" / "000009.jpg").unlink(),
        lambda: (folder / "gt" / "gt.txt").write_text((folder / "gt" / "gt.txt").read_text() * 1),
        lambda: (folder / "seqinfo.ini").write_text((folder / "seqinfo.ini").read_text() + "\n"),
        lambda: (folder / "det" / "det.txt").unlink(),
        lambda: shutil.copytree(folder, folder.with_name("MOT17-09-SDP")),
        lambda: shutil.rmtree(folder),
    ]
    for number, change in enumerate(changes, 2):
        change()
        found = data.scenes(run, "mot17")
        assert len(listed) == number
        assert data.scenes(run, "mot17") is found
        assert len(listed) == number
    assert [scene.name for scene in data.scenes(run, "mot17")] == ["MOT17-04", "MOT17-09"]


def test_a_variant_lists_for_itself(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    raw = data.scenes(run, "mot17")
    scored = run.variant(scores="calibrated")
    assert data.scenes(scored, "mot17") != raw
    assert data.scenes(run, "mot17") is raw
    path = run.settings.data.root / "train" / "MOT17-02-SDP" / "gt" / "gt.txt"
    before = data.scenes(scored, "mot17")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))
    assert data.scenes(scored, "mot17") is not before
