"""`msfp reid` and `msfp run --learn`, from the words to what is printed and written."""

import json
from pathlib import Path

from tests.cli.conftest import Command, refused
from tests.experiment.conftest import LENGTH, write_sequence

SMALL = ["--weights", "random-init", "-p", "input.size=96,64", "-p", "seeds=0,"]


def test_embeddings_of_a_folder_as_a_table_and_as_json(msfp: Command, tmp_path: Path) -> None:
    for name, grey in (("MOT17-02-SDP", 90), ("MOT17-04-SDP", 140)):
        write_sequence(tmp_path / "root" / "train" / name, LENGTH, gt=True, grey=grey)
    words = ["reid", "root", "--learn", "root", "--appearance", "native", "--appearance", "parts", *SMALL]
    found = msfp(*words, "--json")
    assert found.code == 0, found
    rows = json.loads(found.out)
    assert [row["scene"] for row in rows] == 2 * ["MOT17-02", "MOT17-04", "mean"]
    head, *lines = msfp(*words).out.splitlines()
    assert head.split() == ["auc", "gap", "hard_auc", "first_of_two", "same_frame_auc"]
    assert lines[-1].split()[:2] == ["parts", "mean"]
    assert "-" in lines[-1].split(), "nobody is there for twenty frames"


def test_a_tracker_learns_from_a_folder_and_selects_on_it(msfp: Command, tmp_path: Path) -> None:
    for name, grey in (("root/train/MOT17-02-SDP", 90), ("learn/train/MOT17-04-SDP", 140)):
        write_sequence(tmp_path / name, LENGTH, gt=True, grey=grey)
    words = ["run", "root", "--tracker", "msfp-attention", "--appearance", "parts", "--learn", "learn", "--select"]
    few = ["-p", "selection.trials=3", "-p", "selection.finalists=1"]
    found = msfp(*words, *SMALL, *few, "--out", "out")
    assert found.code == 0, found
    assert (tmp_path / "out" / "MOT17-02-SDP.txt").read_text(), "somebody is followed"
    assert "learned from" not in found.err
    leaking = msfp(*words[:-2], "root", *SMALL, *few, "--out", "out")
    assert leaking.code == 0, "MOT17-02 is there to be looked at"
    assert "MOT17-02: learned from --learn root, so these results say nothing of scenes that are new" in leaking.err
    refused(msfp(*words[:-2], "nowhere", *SMALL, "--out", "out"), "nowhere")
