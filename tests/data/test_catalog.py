"""Scenes of a folder, known data sets, hidden labels, and what `check` tells."""

from collections import Counter
from pathlib import Path

import pytest

from msfp.data import catalog
from msfp.data.sequences import dataset_of
from msfp.errors import InputError
from msfp.types import DETECTORS

GT = "1,1,10,20,30,20,1,1,0.5\n"
DET = "1,-1,10,20,30,20,0.9\n"


def mot17(make, scene: str = "MOT17-02", split: str = "train", frames: tuple[int, ...] = (1, 2), **keys) -> None:
    for detector in DETECTORS:
        pixels = frames if detector == "FRCNN" else ()
        gt = GT if split == "train" else None
        make(f"{scene}-{detector}", frames=pixels, det=DET, gt=gt, under=f"{split}", **keys)


def test_scenes_are_grouped_and_the_member_with_frames_gives_the_pixels(make, tmp_path: Path) -> None:
    mot17(make, "MOT17-04")
    mot17(make, "MOT17-02")
    make("TUD-Campus", frames=(1,), gt=GT)
    found = catalog.load(tmp_path)
    assert [s.name for s in found] == ["MOT17-02", "MOT17-04", "TUD-Campus"]
    assert [s.name for s in found[0].sequences] == ["MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP"]
    assert found[0].pixels.name == "MOT17-02-FRCNN"
    assert [s.pixels.dataset for s in found] == ["mot17", "mot17", "mot15"]
    assert found[0].pixels.frames == (1, 2)


def test_the_root_may_be_the_split_or_lie_above_the_data_set(make, tmp_path: Path) -> None:
    mot17(make, split="MOT17/train")
    for root in (tmp_path / "MOT17" / "train", tmp_path / "MOT17", tmp_path):
        assert [s.name for s in catalog.load(root)] == ["MOT17-02"]
    mot17(make, "MOT20-01", split="mot20/train")
    assert catalog.load(tmp_path, "mot20")[0].name == "MOT20-01"
    with pytest.raises(InputError, match=r"holds several data sets \(MOT17, mot20\); name one of them as the root"):
        catalog.load(tmp_path)


def test_a_data_set_asked_for_leaves_the_others_out(make, tmp_path: Path) -> None:
    mot17(make)
    make("TUD-Campus", gt=GT)
    make("my-street", gt=GT)
    assert [s.name for s in catalog.load(tmp_path, "mot15")] == ["TUD-Campus", "my-street"]
    assert [s.pixels.dataset for s in catalog.load(tmp_path)] == ["mot17", "mot15", "custom"]


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("MOT17-02-DPM", "mot17"),
        ("MOT20-05", "mot20"),
        ("TUD-Stadtmitte-FRCNN", "mot15"),
        ("PETS09-S2L1", "mot15"),
        ("dancetrack0007", "dancetrack"),
        ("uid_vid_00012.mp4", "personpath22"),
        ("SYNTH17-02-SDP", "synth17"),
        ("SYNTHPP22-01-SDP", "synthpp22"),
        ("kitchen", "custom"),
    ],
)
def test_a_name_tells_the_data_set(name: str, dataset: str) -> None:
    assert dataset_of(name) == dataset


def test_known_data_sets() -> None:
    assert set(catalog.DATASETS) == {
        *("mot15", "mot17", "mot20", "dancetrack", "personpath22"),
        *("synth17", "synth20", "synthdance", "synthlong", "synthpp22"),
    }
    for entry in catalog.DATASETS.values():
        assert entry.role
        assert entry.licence
        for split, scenes in entry.sequences.items():
            assert len(scenes) == entry.counts[split]
            assert all(dataset_of(name) == entry.name for name in entry.folders(split))
    assert len(catalog.DATASETS["mot17"].folders("train")) == 21
    assert sum(catalog.DATASETS["mot17"].sequences["train"].values()) == 5316
    assert sum(catalog.DATASETS["mot17"].sequences["test"].values()) == 5919
    assert sum(catalog.DATASETS["mot20"].sequences["train"].values()) == 8931
    assert sum(catalog.DATASETS["mot20"].sequences["test"].values()) == 4479


def test_every_embedded_world_is_told_by_its_name() -> None:
    scenes = pytest.importorskip("msfp.worlds.world").SCENES
    for dataset, found in scenes.items():
        assert {dataset_of(scene.name) for scene in found} == {dataset}
        splits = Counter(scene.split for scene in found)
        assert {split: splits[split] for split in ("train", "test")} == catalog.DATASETS[dataset].counts


def test_an_unknown_data_set_or_split_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset='mot18' is not known; choose one of dancetrack, mot15, mot17"):
        catalog.load(tmp_path, "mot18")
    with pytest.raises(InputError, match=r"split='all' is not known; choose one of train, val, test"):
        catalog.load(tmp_path, split="all")


def test_a_root_without_sequences_is_told(make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no train sequences; expected ROOT/train/.*, found an empty folder"):
        catalog.load(tmp_path)
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"no train sequences; expected .*, found holiday.jpg"):
        catalog.load(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: no such folder; name the one that holds ROOT/train/MOT17-02"):
        catalog.load(tmp_path / "nowhere")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"train: no sequences; expected .*, found an empty folder"):
        catalog.load(tmp_path)
    make("TUD-Campus")
    with pytest.raises(InputError, match=r"train: no mot17 sequences; expected .*, found TUD-Campus/"):
        catalog.load(tmp_path, "mot17")
    with pytest.raises(InputError, match=r"holds the train split, test was asked for; name its folder"):
        catalog.load(tmp_path / "train", split="test")


def test_a_sequence_without_seqinfo_is_told(make, tmp_path: Path) -> None:
    (make(det=DET) / "seqinfo.ini").unlink()
    with pytest.raises(InputError, match=r"MOT17-02-FRCNN/seqinfo.ini: no such file"):
        catalog.load(tmp_path)


def test_members_of_a_scene_have_one_length_and_size(make, tmp_path: Path) -> None:
    make("MOT17-02-FRCNN", frames=(1,))
    make("MOT17-02-SDP", seqLength=7)
    message = r"MOT17-02-SDP/seqinfo.ini: length 7, but MOT17-02-FRCNN of the same scene has 5; .*correct or rename one"
    with pytest.raises(InputError, match=message):
        catalog.load(tmp_path)


def test_hidden_labels_are_found_only_for_evaluation(make, tmp_path: Path) -> None:
    mot17(make, "SYNTH17-01", split="test")
    pixels = catalog.load(tmp_path, "synth17", "test")[0].pixels
    assert pixels.gt_path is None
    assert catalog.hidden_truth(pixels) is None
    truth = tmp_path / "truth/SYNTH17-01/gt.txt"
    truth.parent.mkdir(parents=True)
    truth.write_text(GT)
    assert catalog.hidden_truth(pixels) == truth
    mot17(make, "SYNTH17-01")
    (train,) = catalog.load(tmp_path, "synth17", "train")
    assert catalog.hidden_truth(train.pixels) is None


def test_check_tells_what_is_right_missing_and_wrong(make, tmp_path: Path) -> None:
    mot17(make, "MOT17-02", frames=(1, 2, 4), seqLength=600)
    (tmp_path / "train/MOT17-02-SDP/det/det.txt").write_text(DET + "1,-1,1,1,0,4,1\n")
    (tmp_path / "train/MOT17-02-DPM/gt/gt.txt").unlink()
    mot17(make, "MOT17-04", frames=(1,))
    (tmp_path / "train/MOT17-04-FRCNN/img1/000001.jpg").write_bytes(b"")
    (tmp_path / "train/MOT17-04-SDP/seqinfo.ini").write_bytes(b"")
    text = "\n".join(map(str, catalog.check(tmp_path)))
    for line in (
        "right   train/MOT17-02-FRCNN: seqinfo.ini: 600 frames of 64x48 at 30/s",
        "right   train/MOT17-02-FRCNN: gt/gt.txt: 1 rows",
        "missing train/MOT17-02-FRCNN: 3 of 600 frames present (1-2, 4), 3 decoded",
        "missing train/MOT17-02-DPM: gt/gt.txt: absent",
        "right   train/MOT17-02-DPM: frames: those of MOT17-02-FRCNN are used",
        f"wrong   train/MOT17-02-SDP: {tmp_path}/train/MOT17-02-SDP/det/det.txt:2: box of size 0 x 4",
        "wrong   train/MOT17-04-DPM: seqinfo.ini: 5 frames, the published sequence has 1050",
        f"wrong   train/MOT17-04-FRCNN: {tmp_path}/train/MOT17-04-FRCNN/img1/000001.jpg: cannot be decoded",
        f"wrong   train/MOT17-04-SDP: {tmp_path}/train/MOT17-04-SDP/seqinfo.ini: no section",
        "missing train/mot17: 15 of 21 sequences: MOT17-05-DPM, MOT17-05-FRCNN, ",
    ):
        assert line in text
    with pytest.raises(InputError, match="no sequences; expected"):
        catalog.check(tmp_path / "train/MOT17-02-DPM/det")


def test_check_of_a_complete_data_set_finds_nothing_amiss(make, tmp_path: Path) -> None:
    for split, numbers in (("train", ("01", "02")), ("test", ("03", "04", "05", "06", "07", "08"))):
        for number in numbers:
            mot17(make, f"SYNTHDANCE-{number}", split, frames=(1, 2, 3, 4, 5))
    found = catalog.check(tmp_path, thorough=True)
    assert all(f.right for f in found), [str(f) for f in found if not f.right]
    assert Counter(f.split for f in found) == {"train": 24, "test": 72}


@pytest.mark.real
def test_real_folders(shared: Path) -> None:
    dev = catalog.load(shared / "mot17-dev")
    assert [s.name for s in dev] == ["MOT17-02", "MOT17-04", "MOT17-05", "MOT17-09"]
    assert len(dev[1].pixels.frames) == 8
    assert all(len(s.sequences) == 3 and s.pixels.detector == "FRCNN" for s in dev)
    video = catalog.load(shared / "real-video")
    found = {s.name: (s.pixels.dataset, len(s.pixels.frames)) for s in video}
    assert found["MOT17-02"] == ("mot17", 600)
    assert found["TUD-Stadtmitte"] == ("mot15", 179)
    assert not [f for f in catalog.check(shared / "mot17-dev") if f.state == "wrong"]
