"""The compiled reader of plain tables: the same values as Python's, and nothing where it is not sure."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.datasets.decimals import plain_table

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
FIELD = st.from_regex(r"[+-]?(\d{1,9}(\.\d{0,6})?|\.\d{1,6})", fullmatch=True).filter(
    lambda text: re.fullmatch(r"[0-9.+-]+", text) is not None
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """An example's time is not the compiler's."""
    plain_table(b"1\n")


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(FIELD, min_size=n, max_size=n), min_size=1, max_size=8)),
       st.sampled_from(["\n", "\r\n", "\n\n", "\n\r\n"]))  # fmt: skip
def test_plain_tables(table: list[list[str]], end: str) -> None:
    found = plain_table("".join(",".join(row) + end for row in table).encode())
    assert found is not None
    values, line = found
    wanted = np.array([[float(field) for field in row] for row in table])
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(np.signbit(values), np.signbit(wanted))
    each = end.count("\n")
    np.testing.assert_array_equal(line, 1 + each * np.arange(len(table)))


@given(st.text(alphabet="0129.,-+e \t\r\n", max_size=24))
def test_it_says_what_the_slow_reader_says_or_nothing(text: str) -> None:
    data = text.encode()
    found = plain_table(data)
    if found is None:
        return
    values, line = found
    lines = [(n, part.removesuffix("\r")) for n, part in enumerate(text.split("\n"), 1)]
    filled = [(n, part) for n, part in lines if part]
    np.testing.assert_array_equal(line, [n for n, _ in filled])
    np.testing.assert_array_equal(values, [[float(field) for field in part.split(",")] for _, part in filled])
    for field in ",".join(part for _, part in filled).split(","):
        assert NUMBER.fullmatch(field)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"1,2", b"1,2\n3", b"1,2\n3\n", b"1\n2,3\n", b"1e3\n", b"nan\n",
        b" 1\n", b"1 \n", b"1;2\n", b"1,\n",
        b",1\n", b"--1\n", b"1-2\n", b"-\n", b".\n", b"1.2.3\n", b"1\r2\n", b"\r", b"1\r\r\n", b"1234567890123456\n",
        b"0.00000000000000001\n", b"1,-,2\n", b"\xef\xbb\xbf1\n", b"+-1\n", b"0x1\n", b"1\n+\n", b"+\n1\n", b"1\n+\r\n",
    ],
)  # fmt: skip
def test_whatever_else_is_left_to_others(data: bytes) -> None:
    assert plain_table(data) is None


def test_fifteen_digits_are_rounded_as_python_rounds_them() -> None:
    rng = np.random.default_rng(0)
    numbers = [f"{whole}.{part:0{k}d}"[:16] for whole, part, k in zip(
        rng.integers(0, 10**7, 4000), rng.integers(0, 10**7, 4000), rng.integers(7, 9, 4000), strict=True)]  # fmt: skip
    found = plain_table(("\n".join(numbers) + "\n").encode())
    assert found is not None
    np.testing.assert_array_equal(found[0][:, 0], [float(n) for n in numbers])
