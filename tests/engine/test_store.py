"""The store: nothing computed twice, nothing damaged trusted, nothing lost."""

import errno
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from msfp.engine import store
from msfp.engine.files import atomic_write, locked
from msfp.engine.store import Store
from msfp.errors import MsfpError
from msfp.types import Tracks

CODE = "msfp.types"
HANGS_IN_WRITE = """
import os, sys, time
import numpy as np
from msfp.engine.store import Store
stop, step, real = int(sys.argv[2]), [0], os.replace
def replace(a, b):
    step[0] += 1
    if step[0] == stop:
        print("here", flush=True)
        time.sleep(60)
    real(a, b)
    if step[0] == stop - 10:
        print("here", flush=True)
        time.sleep(60)
os.replace = replace
def compute():
    if stop == 0:
        print("here", flush=True)
        time.sleep(60)
    return {"x": np.arange(1000.0), "y": 1}
Store(sys.argv[1]).get_or_compute("stage", {"n": 1}, compute, code="msfp.types")
"""

COMPUTES_ONCE = """
import sys, time
from pathlib import Path
from msfp.engine.store import Store
print("ready", flush=True)
sys.stdin.readline()
store = Store(sys.argv[1])
def compute():
    with open(sys.argv[2], "a") as file:
        file.write("x")
    time.sleep(0.2)
    return {"n": 7}
for n in range(3):
    assert store.get_or_compute("stage", {"n": n}, compute, code="msfp.types") == {"n": 7}
print(store.hits.total(), store.misses.total(), flush=True)
"""


def compute() -> dict[str, Any]:
    return {"x": np.arange(6.0).reshape(2, 3).T, "name": "abc"}


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_result_is_computed_once(tmp_path: Path) -> None:
    calls: list[int] = []
    store = Store(tmp_path / "store")
    for _ in range(2):
        found = store.get_or_compute("stage", {"seed": 0}, lambda: (calls.append(1), compute())[1], CODE)
        np.testing.assert_array_equal(found["x"], compute()["x"])
        assert found["x"].flags.c_contiguous
    assert (calls, store.hits["stage"], store.misses["stage"]) == ([1], 1, 1)
    Store(tmp_path / "store").get_or_compute("stage", {"seed": 1}, compute, CODE)
    assert len(list((tmp_path / "store" / "stage").glob("*.entry"))) == 2
    assert store.contains("stage", store.key("stage", {"seed": 1}, CODE))


def test_keys_follow_stage_inputs_and_code(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = {
        store.key("a", {"x": 1}),
        store.key("b", {"x": 1}),
        store.key("a", {"x": 2}),
        store.key("a", {"x": 1}, code="msfp.types"),
        store.key("a", {"x": 1}, code=("msfp.types", "msfp.errors")),
    }
    assert len(keys) == 5
    for stage in ("", "../x", "locks", "a/b"):
        with pytest.raises(MsfpError, match="stage name"):
            store.key(stage, {})
    assert store.file_digest(__file__) == store.file_digest(__file__)


def test_every_kind_of_value(tmp_path: Path) -> None:
    frame = np.array([1, 2], np.int32)
    values = {
        "tracks": Tracks(frame, frame, np.ones((2, 4)), np.ones(2, np.float32)),
        "scores": pd.DataFrame({"HOTA": [1.0, 2.0]}),
        "small": {"a": [1, None, "x"]},
    }
    for name, value in values.items():
        for _ in range(2):
            found = Store(tmp_path).get_or_compute(name, {}, lambda value=value: value, CODE)
            assert type(found) is type(value)


def test_a_failure_stores_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fails() -> int:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            store.get_or_compute("stage", {}, fails, CODE)
    assert store.get_or_compute("stage", {}, lambda: 1, CODE) == 1


def test_flipped_bytes_anywhere_are_found_and_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand waits for the disk
    Store(tmp_path).get_or_compute("stage", {}, compute, code="msfp.types")
    paths = [path for path in (tmp_path / "stage").iterdir()]
    assert [path.suffix for path in paths] == [".entry"]
    for path in paths:
        good = path.read_bytes()
        damaged = [good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :] for at in range(len(good))]
        for number, data in enumerate([*damaged, b"", good[:-1], good + b" "]):
            path.write_bytes(data)
            store = Store(tmp_path)
            found = store.get_or_compute("stage", {}, compute, code="msfp.types")
            np.testing.assert_array_equal(found["x"], compute()["x"])
            assert ["damaged entry" in event for event in store.events] == [True], number
            assert path.read_bytes() == good


def test_an_entry_in_the_place_of_another_is_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    store.get_or_compute("stage", {}, compute, code="msfp.types")
    (mine,) = (tmp_path / "stage").iterdir()
    store.get_or_compute("stage", {"n": 1}, lambda: 1, code="msfp.types")
    (other,) = set((tmp_path / "stage").iterdir()) - {mine}
    other.replace(mine)
    assert store.get_or_compute("stage", {}, compute, code="msfp.types")["name"] == "abc"
    assert "damaged entry" in caplog.text
    assert mine.name in store.events[0]
    assert "computed anew" in store.events[0]


@pytest.mark.parametrize("stop", [0, 1, 11])
def test_a_kill_at_any_step_loses_only_the_cell_in_flight(tmp_path: Path, stop: int) -> None:
    earlier = Store(tmp_path).get_or_compute("stage", {"n": 0}, compute, code="msfp.types")
    process = start(HANGS_IN_WRITE, str(tmp_path), str(stop))
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = Store(tmp_path)
    began = time.monotonic()
    found = store.get_or_compute("stage", {"n": 1}, lambda: {"x": np.arange(1000.0), "y": 1}, code="msfp.types")
    assert time.monotonic() - began < 5
    np.testing.assert_array_equal(found["x"], np.arange(1000.0))
    assert store.hits["stage"] == (1 if stop == 11 else 0)
    assert store.events == []
    again = store.get_or_compute("stage", {"n": 0}, lambda: pytest.fail("lost"), code="msfp.types")
    np.testing.assert_array_equal(again["x"], earlier["x"])
    for path in (tmp_path / "stage").glob(".*.partial"):
        os.utime(path, (0, 0))
    Store(tmp_path).get_or_compute("stage", {"n": 2}, compute, code="msfp.types")
    assert list((tmp_path / "stage").glob(".*.partial")) == []


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    runs = [start(COMPUTES_ONCE, str(tmp_path / "store"), str(tmp_path / "calls")) for _ in range(2)]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    outputs = []
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        outputs.append(run.communicate(timeout=30)[0].split())
        assert run.returncode == 0
    assert (tmp_path / "calls").read_text() == "xxx"
    assert sum(int(output[1]) for output in outputs) == 3
    assert list((tmp_path / "store" / "locks").iterdir()) == []


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = Store(tmp_path), []

    def slow() -> dict[str, Any]:
        calls.append(1)
        return compute()

    store.get_or_compute("stage", {"n": 0}, compute, code="msfp.types")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)  # the store does not wait for the disk, so this call tells
        message = r"stage/\S+: cannot write \d+ bytes \(No space left on device, [\d,]+ bytes free\); free some space"
        with pytest.raises(MsfpError, match=message):
            store.get_or_compute("stage", {"n": 1}, slow, code="msfp.types")
        assert list((tmp_path / "stage").glob(".*")) == []
    found = store.get_or_compute("stage", {"n": 1}, slow, code="msfp.types")
    np.testing.assert_array_equal(found["x"], compute()["x"])
    assert calls == [1]
    Store(tmp_path).get_or_compute("stage", {"n": 0}, lambda: pytest.fail("lost"), code="msfp.types")


def test_an_unwritable_place_stops_before_computing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MsfpError, match=r"file/store/locks/\S+: cannot write .*a file lies where a folder is needed"):
        Store(tmp_path / "file" / "store").get_or_compute("stage", {}, lambda: pytest.fail("computed"), CODE)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(
        MsfpError, match=r"cannot write \(Permission denied\); make the folder writable or choose another"
    ):
        Store(tmp_path / "store").get_or_compute("stage", {}, lambda: pytest.fail("computed"), CODE)


def test_a_store_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).get_or_compute("stage", {}, compute, code="msfp.types")
    monkeypatch.setattr(os, "open", full_disk)
    assert Store(tmp_path).get_or_compute("stage", {}, lambda: pytest.fail("lost"), code="msfp.types")["name"] == "abc"


def test_atomic_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic_write(tmp_path / "a" / "b.csv", b"old")
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(MsfpError, match=r"b\.csv: cannot write 3 bytes"):
        atomic_write(tmp_path / "a" / "b.csv", b"new")
    assert [path.read_bytes() for path in (tmp_path / "a").iterdir()] == [b"old"]


def test_file_systems_without_locks_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with locked(tmp_path / "x.lock"):
        pass
    assert "has no locks" in caplog.text


class Calls:
    """What a forged entry might want to be called while it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("called",)


@pytest.mark.parametrize("forged", [Calls(), np.ndarray, np.dtype("O"), {"a": print}])
def test_a_forged_entry_is_refused_and_nothing_is_called(forged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    body = pickle.dumps(forged, protocol=5)
    sizes = np.array([1, len(body)], "<i8").tobytes()
    data = b"".join(part + bytes(-len(part) % store.SEAL) for part in (sizes, body))
    with pytest.raises(ValueError, match="cannot be read"):
        store.decode(memoryview(bytearray(data)))
    assert capsys.readouterr().out == ""


def test_a_limit_on_open_files_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no more files can be mapped they are read."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(store, "MAPPED", 1)
    kept = store.Store(tmp_path)
    first = kept.get_or_compute("stage", {}, lambda: np.arange(5.0), code=CODE)
    monkeypatch.setattr(store.mmap, "mmap", refuse)
    again = kept.get_or_compute("stage", {}, lambda: np.zeros(1), code=CODE)
    assert np.array_equal(first, again)
    assert kept.events == []
