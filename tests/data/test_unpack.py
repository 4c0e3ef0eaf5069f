"""Archives from elsewhere: what would leave the folder, grow too much or is damaged writes nothing."""

import contextlib
import io
import stat
import struct
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.data.download import unpack
from msfp.errors import InputError, MsfpError


def archive(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in entries:
            opened.writestr(name, data)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_entries_land_where_they_are_placed(tmp_path):
    made = archive(tmp_path / "a.zip", ("Top/x.txt", b"1"), ("Top/sub/y.txt", b"2"), ("__MACOSX/z", b""))
    told: list[int] = []
    out = tmp_path / "out"
    written = unpack(made, out, lambda n: PurePosixPath(*n.parts[1:]), progress=told.append)
    assert [str(p.relative_to(out)) for p in written] == ["x.txt", "sub/y.txt"]
    assert files(out) == ["sub", "sub/y.txt", "x.txt"]
    assert (out / "x.txt").read_bytes() == b"1"
    assert sum(told) == 2


@pytest.mark.parametrize("name", ["../up.txt", "/etc/x", "a/../../b", "C:/x", "..\\up", "a\x07b"])
def test_what_would_leave_the_folder_is_refused_whole(tmp_path, name):
    made = archive(tmp_path / "a.zip", ("good.txt", b"1"), (name, b"2"))
    out = tmp_path / "out"
    with pytest.raises(InputError, match="would leave the folder; not unpacked"):
        unpack(made, out)
    assert not out.exists()


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="is a link or a device"):
        unpack(archive(tmp_path / "a.zip", (link, b"/etc/passwd")), tmp_path / "out")


def test_a_bomb_is_refused_before_a_byte_is_written(tmp_path):
    made = archive(tmp_path / "a.zip", ("zeros", bytes(300 << 20)), method=zipfile.ZIP_DEFLATED)
    assert made.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"would grow to 314,572,800 bytes, at most .* not unpacked"):
        unpack(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path):
    made = archive(tmp_path / "a.zip", ("zeros", bytes(1 << 20)), method=zipfile.ZIP_DEFLATED)
    data = bytearray(made.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 10)
    made.write_bytes(data)
    with pytest.raises(InputError, match="not a whole zip file"):
        unpack(made, tmp_path / "out")
    assert files(tmp_path / "out") == []


def test_damage_leaves_nothing_behind(tmp_path):
    made = archive(tmp_path / "a.zip", ("first", b"1" * 100), ("second", b"2" * 100))
    data = bytearray(made.read_bytes())
    data[data.index(b"2" * 100)] ^= 1
    made.write_bytes(data)
    with pytest.raises(InputError, match=r"not a whole zip file .*second.*fetch it again"):
        unpack(made, tmp_path / "out")
    assert files(tmp_path / "out") == []


def test_two_entries_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        made = archive(tmp_path / "a.zip", ("x", b"1"), ("x", b"2"))
    with pytest.raises(InputError, match="holds 'x' twice"):
        unpack(made, tmp_path / "out")


@given(data=st.binary(max_size=400))
def test_any_bytes_are_unpacked_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr("x", b"payload")
    whole = bytearray(stream.getvalue())
    whole[: len(data)] = data[: len(whole)]
    (folder / "a.zip").write_bytes(whole)
    with contextlib.suppress(InputError):
        assert [p.read_bytes() for p in unpack(folder / "a.zip", folder / "out")] in ([], [b"payload"])


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@given(
    method=st.sampled_from(METHODS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    size=st.integers(1, 400),
)
def test_any_damage_is_a_line_and_leaves_nothing(tmp_path_factory, method, changes, size):
    folder = tmp_path_factory.mktemp("damage")
    made = archive(folder / "a.zip", ("d/x", b"payload" * 9), ("y", b"other"), method=method)
    data = bytearray(made.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    made.write_bytes(data[: max(size, len(data) // 2)] if size < 40 else data)
    told = ""
    try:
        unpack(made, folder / "out")
    except MsfpError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1
    assert not told or str(folder) in told
    assert not told or not [p for p in (folder / "out").rglob("*") if p.is_file()]


@pytest.mark.parametrize(("flag", "method", "words"), [(1, 0, "encrypted.*unpack it by hand"), (0, 99, "unpack it by")])
def test_encrypted_and_rarely_packed_entries_are_told(tmp_path, flag, method, words):
    made = archive(tmp_path / "a.zip", ("x", b"1" * 30))
    data = bytearray(made.read_bytes())
    for head, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(head) + at] |= flag
        data[data.index(head) + at + 2] = method
    made.write_bytes(data)
    with pytest.raises(InputError, match=words):
        unpack(made, tmp_path / "out")
