"""What `msfp track` says and where it puts results: for newcomers, and for two calls at once."""

import json
import logging
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from msfp.online import recording
from msfp.online.folders import PARTS, STATE, claim, earlier, free_folder, holder, release
from msfp.online.recording import stopping
from msfp.online.video import folder_fingerprint, open_source

from .conftest import Command, refused

WORDS = ("--tracker", "bytetrack", "--threshold", "0.6,0.1", "--weights", "random-init", "--home", ".", "--no-film")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    (tmp_path / "street").mkdir()
    for t in range(1, 7):
        cv2.imwrite(str(tmp_path / "street" / f"{t:06d}.jpg"), np.full((64, 96, 3), 20 * t, np.uint8))
    return tmp_path / "street"


@pytest.mark.parametrize("command", ["track", "run"])
def test_options_are_listed_by_what_they_concern(msfp: Command, command: str) -> None:
    shown = msfp(command, "--help").out
    titles = [line for line in shown.splitlines() if line and not line.startswith(" ")][1:]
    assert titles == ["Input:", "Tracker:", "Learning:", "Output:", "Other:"]
    places = [shown.index(f"\n  --{name} ") for name in ("weights", "tracker", "learn", "out")]
    assert places == sorted(places)
    assert "default: parts for msfp-track" in " ".join(shown.split())


@pytest.mark.parametrize("what", ["trackers", "appearances", "thresholds", "notebooks"])
def test_lists_say_what_each_is(msfp: Command, what: str) -> None:
    rows = json.loads(msfp("list", what, "--json").out)
    assert all(len(row["what"]) > 10 for row in rows)


def test_other_classes_are_followed_in_boxes_of_ones_own(msfp: Command, street: Path) -> None:
    refused(msfp("track", street, "--classes", "person,2"), "--classes 2: ", "people only", "update(frame, boxes)")


def test_the_same_call_again_says_where_the_result_lies(msfp: Command, street: Path) -> None:
    first = msfp("track", street, *WORDS, "--json")
    assert first.code == 0, first.err
    about = json.loads(Path("tracked/street/street.json").read_text())
    assert about["settings"]["method"]["tracker"] == "bytetrack"
    assert about["settings"]["video"]["frames"] == 6
    assert "\n " in Path("tracked/street/street.json").read_text(), "a person reads it"
    again = msfp("track", street, *WORDS)
    said = "tracked/street holds the same result from before, which is made anew; --exist-ok takes it as it is"
    assert said in again.err
    before = Path("tracked/street/street.txt").stat().st_mtime_ns
    taken = msfp("track", street, *WORDS, "--exist-ok", "--json")
    assert Path("tracked/street/street.txt").stat().st_mtime_ns == before
    ours, theirs = json.loads(taken.out), json.loads(first.out)
    assert {**ours, "frames_per_second": 0} == {**theirs, "frames_per_second": 0}
    other = msfp("track", street, *WORDS, "--conf", "0.2")
    assert (
        "tracked/street holds earlier results, so these go to tracked/street-2; --exist-ok replaces those" in other.err
    )
    some = msfp("track", street, *WORDS, "--exist-ok", "--frames", "2", "--json")
    assert json.loads(some.out)["frames"] == 2, "an earlier result of more frames is not what was asked"
    Path("tracked/street/street.txt").unlink()
    msfp("track", street, *WORDS, "--exist-ok", "--frames", "2")
    assert Path("tracked/street/street.txt").is_file(), "what somebody took away is made again"
    refused(msfp("track", street, *WORDS, "--tracker", "lite", "--set", "nonsense=1", "--quiet"), "nonsense")
    assert not Path("tracked/street-3").exists(), "a mistake leaves no folder"


def test_one_of_two_calls_at_once_gets_a_folder(street: Path, tmp_path: Path) -> None:
    source, out, won = open_source(str(street)), tmp_path / "tracked" / "street", []
    start = threading.Barrier(8)

    def call(number: int) -> None:
        state = {"call": number}
        start.wait()
        while not claim(folder := free_folder(out, source, state), state):
            pass
        won.append(folder)

    calls = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for one in calls:
        one.start()
    for one in calls:
        one.join()
    assert len(set(won)) == 8
    assert holder(out, source, {"call": -1}) == "parts"
    release(out)
    assert not out.exists()
    assert claim(out, {"call": 1})
    (out / PARTS / "000000001.npz").write_bytes(b"kept")
    release(out)
    assert json.loads((out / PARTS / STATE).read_text()) == {"call": 1}


def test_fewer_frames_than_are_kept_is_said(
    msfp: Command, street: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "PART", 2)
    real = recording.frames

    def stopped(*given: object):  # type: ignore[no-untyped-def]
        for number, pixels in real(*given):  # type: ignore[arg-type]
            if number == 5:
                raise KeyboardInterrupt
            yield number, pixels

    with monkeypatch.context() as patch:
        patch.setattr(recording, "frames", stopped)
        assert msfp("track", street, *WORDS).code == 130
    with caplog.at_level(logging.WARNING):
        done = msfp("track", street, *WORDS, "--frames", "1", "--json")
    assert json.loads(done.out)["frames"] == 4
    assert "an earlier call followed 4 frames already, which are kept" in caplog.text
    source = open_source(str(street))
    assert earlier(Path("tracked/street"), source, {}, 1) is None


def test_what_is_learned_from_counts_by_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "gt").mkdir(parents=True)
        (tmp_path / name / "gt" / "gt.txt").write_text("1,1,5,5,10,20,1,1,1\n")
    assert folder_fingerprint(tmp_path / "a") == folder_fingerprint(tmp_path / "b")
    (tmp_path / "b" / "gt" / "gt.txt").write_text("1,1,5,5,10,21,1,1,1\n")
    assert folder_fingerprint(tmp_path / "a") != folder_fingerprint(tmp_path / "b")


def test_a_stop_before_the_first_frame_waits_for_nothing() -> None:
    import os
    import signal

    with pytest.raises(KeyboardInterrupt), stopping(lambda: True):  # such as while kernels are compiled
        os.kill(os.getpid(), signal.SIGINT)
    with stopping(lambda: False) as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
