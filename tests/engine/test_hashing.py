"""Equal content gives an equal digest, any change another one."""

import dataclasses
import enum
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import BaseModel

from msfp.engine import files
from msfp.engine.files import FileMemo, digest, file_digest
from msfp.errors import InputError, MsfpError
from msfp.types import Detections, Sequence

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def shape(value: object) -> object:
    """The value with its kinds spelled out, so that == means equal content."""
    if isinstance(value, dict):
        return ("dict", frozenset((k, shape(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(shape(v) for v in value))
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    return (type(value).__name__, value)


@given(VALUES, VALUES)
def test_digests_are_equal_exactly_when_contents_are(a: object, b: object) -> None:
    assert (digest(a) == digest(b)) == (shape(a) == shape(b))


@given(st.dictionaries(st.text(), SCALARS), st.randoms())
def test_order_of_keys_does_not_count(value: dict[str, object], random: object) -> None:
    keys = list(value)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert digest({key: value[key] for key in keys}) == digest(value)


def test_kinds_of_numbers_are_told_apart() -> None:
    values = [0, 0.0, -0.0, False, None, "", "0", b"", [], {}, (0,), float("nan"), float("inf"), np.float32(0)]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(float("nan")) == digest(-float("nan")) == digest(np.float64("nan"))
    assert digest(np.int32(3)) == digest(3)
    assert digest(np.bool_(True)) == digest(True)


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_nesting_is_not_flattened(a: list[str], b: list[str]) -> None:
    assert (digest([a, b]) == digest([a + b])) is False
    assert (digest([a, b]) == digest([b, a])) == (a == b)


@given(hnp.arrays(st.sampled_from([np.float32, np.int16, np.bool_, "<U3"]), hnp.array_shapes(min_side=0)), st.data())
def test_an_array_counts_by_dtype_shape_and_each_element(array: np.ndarray, data: st.DataObject) -> None:
    before = digest(array)
    assert digest(array.copy()) == before
    assert digest(np.asfortranarray(array)) == before
    assert digest(array[None]) != before
    if array.size:
        at = data.draw(st.integers(0, array.size - 1))
        changed = array.copy().ravel()
        changed[at] = str(changed[at]) + "x" if array.dtype.kind == "U" else not changed[at]
        assert (digest(changed.reshape(array.shape)) == before) == np.array_equal(changed, array.ravel())


def test_arrays_of_other_type_and_same_bytes_differ() -> None:
    zeros = np.zeros(4, np.int32)
    assert len({digest(zeros), digest(zeros.view(np.float32)), digest(zeros.view(np.int64)), digest([0] * 4)}) == 4


def test_dataclasses_settings_enums_and_frames() -> None:
    class Colour(enum.Enum):
        RED = 1

    class Knobs(BaseModel):
        a: int = 1

    class Others(BaseModel):
        a: int = 1

    boxes = Detections(np.array([1], np.int32), np.ones((1, 4)), np.ones(1, np.float32))
    assert digest(boxes) == digest(dataclasses.replace(boxes))
    assert digest(boxes) != digest(dataclasses.replace(boxes, score=np.zeros(1, np.float32)))
    assert len({digest(Knobs()), digest(Knobs(a=2)), digest(Others()), digest(Colour.RED), digest(1)}) == 5
    frame = pd.DataFrame({"x": [1.0, 2.0], "name": ["a", "b"]})
    assert digest(frame) == digest(frame.copy())
    assert digest(frame) != digest(frame.assign(x=[1.0, 3.0]))
    assert digest(frame) != digest(frame.rename(columns={"x": "y"}))
    assert digest({1, 2, 3}) == digest({3, 2, 1}) != digest({1, 2})


def test_a_path_is_no_content(tmp_path: Path) -> None:
    sequence = Sequence("S", "d", "train", tmp_path, 25.0, 1, 10, 10)
    with pytest.raises(MsfpError, match=r"inputs\['seq'\]\['path'\]: .* is a place, not content; give file_digest"):
        digest({"seq": sequence})
    with pytest.raises(MsfpError, match=r"inputs\[1\]: builtins.function|inputs\[1\]: builtins.builtin_function"):
        digest([1, len])
    with pytest.raises(MsfpError, match="array of Python objects"):
        digest(np.array([1, None]))


def test_file_digests_follow_content_and_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "img1"
    (folder / "sub").mkdir(parents=True)
    old = 1_600_000_000
    for name in ("1.jpg", "2.jpg", "sub/3.jpg"):
        (folder / name).write_bytes(name.encode())

        os.utime(folder / name, (old, old))
    memo = FileMemo(tmp_path / "memo")
    first = memo.folder_digest(folder)
    assert first == FileMemo(tmp_path / "other").folder_digest(folder)

    reads: list[Path] = []
    monkeypatch.setattr("msfp.engine.files.file_digest", lambda path: (reads.append(Path(path)), file_digest(path))[1])
    again = FileMemo(tmp_path / "memo")
    assert again.folder_digest(folder) == first
    assert reads == []
    (folder / "2.jpg").write_bytes(b"other")
    changed = again.folder_digest(folder)
    assert changed != first
    assert [path.name for path in reads] == ["2.jpg"]
    # Written just now: it could change again within one tick of the clock, so it is read again.
    (folder / "2.jpg").write_bytes(b"2.jpg")
    assert again.folder_digest(folder) == first
    (folder / "2.jpg").rename(folder / "4.jpg")
    assert again.folder_digest(folder) != first


def test_a_damaged_memo_is_only_slower(tmp_path: Path) -> None:

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    os.utime(tmp_path / "a" / "x", (1_600_000_000, 1_600_000_000))
    truth = FileMemo(tmp_path / "memo").file_digest(tmp_path / "a" / "x")
    (kept,) = (tmp_path / "memo").iterdir()
    kept.write_text(kept.read_text().replace(truth, "0" * len(truth)))
    assert FileMemo(tmp_path / "memo").file_digest(tmp_path / "a" / "x") == truth == file_digest(tmp_path / "a" / "x")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nope\.bin: cannot be read .*check"):
        file_digest(tmp_path / "nope.bin")
    with pytest.raises(InputError, match=r"nope\.bin: cannot be read"):
        FileMemo(tmp_path).file_digest(tmp_path / "nope.bin")
    with pytest.raises(InputError, match="nope: no such folder"):
        FileMemo(tmp_path).folder_digest(tmp_path / "nope")


def test_a_file_above_a_linked_folder_is_the_one_that_is_opened(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "x.txt").write_text(name)
    (tmp_path / "b" / "link").symlink_to(tmp_path / "a" / "sub")
    memo = FileMemo(tmp_path / "memo")
    assert memo.file_digest(tmp_path / "b" / "link" / ".." / "x.txt") == memo.file_digest(tmp_path / "a" / "x.txt")


def test_a_file_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, changes = tmp_path / "frames.bin", [b"second", b"third"]
    path.write_bytes(b"first")
    os.utime(path, (1, 1))
    plain = files.file_digest

    def changing(at: str | Path) -> str:
        found = plain(at)
        if changes:
            path.write_bytes(changes.pop(0))
        return found

    monkeypatch.setattr(files, "file_digest", changing)
    assert files.FileMemo(tmp_path / "memo").file_digest(path) == plain(path)
    assert path.read_bytes() == b"third"
