"""What goes into the store comes out equal, type by type; nothing else goes in."""

import copy
import math
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msfp import types
from msfp.engine.files import digest
from msfp.engine.store import decode, encode
from msfp.errors import MsfpError
from msfp.types import Cell, Detections, Features, Tracks

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def back(value: object) -> object:
    return decode(memoryview(encode(value)))


@given(VALUES)
def test_json_like_values_come_back(value: object) -> None:
    assert digest(back(value)) == digest(value)


@given(
    hnp.arrays(
        st.sampled_from(["f2", "<f4", ">f8", "i1", "u2", "i8", "?", "<U4"]), hnp.array_shapes(min_dims=0, min_side=0)
    )
)
def test_arrays_come_back_in_any_memory_order(array: np.ndarray) -> None:
    for given_ in (array, np.asfortranarray(array), array[::-1] if array.ndim else array):
        found = back({"a/b": given_, "a": {"b": given_}, 3: (given_,)})
        assert isinstance(found, dict)
        for one in (found["a/b"], found["a"]["b"], found[3][0]):
            np.testing.assert_array_equal(one, given_)
            assert one.dtype == given_.dtype.newbyteorder("=")
            assert one.shape == given_.shape
            assert one.flags.writeable
            assert one.flags.c_contiguous
            assert one.flags.aligned


@given(VALUES, hnp.arrays("f4", hnp.array_shapes(min_dims=0, min_side=0)))
def test_equal_values_have_equal_bytes(value: object, array: np.ndarray) -> None:
    assert encode([value, array, array]) == encode(copy.deepcopy([value, array, array.copy()]))


@pytest.mark.parametrize("cut", [0, 7, 70, 160])
def test_bytes_that_end_early_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|buffer|bytes"):
        decode(memoryview(encode({"a": np.arange(5), "b": np.ones(3)}))[:cut])


def test_package_types_come_back() -> None:
    frame = np.array([1, 1, 2], np.int32)
    features = Features(
        frame,
        np.ones(3, bool),
        {4: np.ones((3, 8), np.float16), 9: np.zeros((3, 2), np.float16)},
        frame[:1],
        np.ones((1, 2), np.float16),
    )
    value = {
        "features": features,
        "tracks": [Tracks(frame, frame, np.ones((3, 4)), np.ones(3, np.float32))] * 2,
        "cell": Cell("a", "b", None, source="n/a", reason="no frames", detail={"n": 1}),
        "scalar": np.float32(0.1),
        "nan": float("nan"),
        "png": b"\x89PNG",
        "tuple": (1, (2.5, None)),
    }
    found = back(value)
    assert digest(found) == digest(value)
    assert isinstance(found, dict)
    assert isinstance(found["features"], Features)
    assert list(found["features"].layers) == [4, 9]
    assert type(found["scalar"]) is np.float32
    assert math.isnan(found["nan"])
    assert isinstance(found["tuple"], tuple)
    empty = Detections(np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    assert digest(back(empty)) == digest(empty)


def test_a_mapped_file_comes_back_as_an_array(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "x", np.int16, "w+", shape=(3, 2))
    mapped[:] = 7
    found = back(mapped)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, mapped)


def test_frames_come_back() -> None:
    frame = pd.DataFrame(
        {"name": ["a", None], "x": [1.5, float("nan")], "n": np.array([1, 2], np.int32), "ok": [True, False]},
        index=pd.MultiIndex.from_tuples([("s", 1), ("t", 2)], names=["seq", "seed"]),
    )
    found = back({"scores": frame, "two": frame.iloc[:0]})
    assert isinstance(found, dict)
    pd.testing.assert_frame_equal(found["scores"], frame)
    pd.testing.assert_frame_equal(found["two"], frame.iloc[:0])


def test_what_cannot_be_stored_is_named() -> None:
    for value, name in ((Path("x"), r"pathlib\S*:PosixPath"), (np.array([None]), "numpy:ndarray"), (len, "builtins:")):
        with pytest.raises(MsfpError, match=f"result: {name}.* cannot be stored; return"):
            encode({"a": [1, value]})
    with pytest.raises(MsfpError, match=r"result: this frame cannot be stored as Parquet"):
        encode(pd.DataFrame({"mixed": [1.5, "text"]}))


def refused(pickled: bytes) -> None:
    data = np.array([1, len(pickled)], "<i8").tobytes().ljust(64, b"\0") + pickled
    with pytest.raises(ValueError, match="it names"):
        decode(memoryview(bytearray(data)))


@pytest.mark.parametrize("thing", [os.system, subprocess.Popen, types.Path, types.check_rows, pd.DataFrame, np.load])
def test_only_own_types_are_restored(thing: object) -> None:
    refused(pickle.dumps(thing, protocol=5))


def test_a_name_within_another_is_refused() -> None:
    refused(b"\x80\x05cmsfp.types\nPath.cwd\n.")
