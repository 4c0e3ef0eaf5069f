"""What is kept of source files: the same as parsing them, gone without harm, never of another text."""

import json
import os
from pathlib import Path

import pytest

from msfp.engine import code
from msfp.engine.code import Source, source


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of its own, nothing kept yet."""
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    monkeypatch.setattr(code, "KEPT", tmp_path / "__pycache__" / "sources.json")
    forget()
    (tmp_path / "one.py").write_text("from os import path, sep\nimport json\nfrom ..a import b\nx = 1\n")
    return tmp_path


def forget() -> None:
    """As in a process that starts."""
    code._kept.cache_clear()
    code._unchanged.cache_clear()
    code._new.clear()


def refuse(_: bytes) -> Source:
    pytest.fail("parsed again")


def test_a_process_finds_what_another_parsed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source(package / "one.py")
    assert first.imports == ((0, "os", ("path", "sep")), (0, "json", ()), (2, "a", ("b",)))
    code.keep()
    forget()
    monkeypatch.setattr(code, "_parsed", refuse)
    assert source(package / "one.py") == first
    os.utime(package / "one.py", (1, 1))
    assert source(package / "one.py") == first, "the bytes count"


def test_another_text_of_the_same_size_is_parsed(package: Path) -> None:
    first = source(package / "one.py")
    code.keep()
    forget()
    (package / "one.py").write_text((package / "one.py").read_text().replace("x = 1", "x = 2"))
    assert source(package / "one.py").digest != first.digest
    code.keep()
    assert len(json.loads(code.KEPT.read_text())) == 2, "beside what was there"


@pytest.mark.parametrize("spoilt", ["", "[1, 2]", '{"a": 1}', '{"a": ["b", [[0]]]}', "{cut"])
def test_a_spoilt_file_is_as_good_as_none(package: Path, spoilt: str) -> None:
    first = source(package / "one.py")
    code.keep()
    code.KEPT.write_text(spoilt)
    forget()
    assert source(package / "one.py") == first
    code.keep()
    assert len(json.loads(code.KEPT.read_text())) == 1


def test_files_outside_and_folders_that_cannot_be_written_do_no_harm(package: Path, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "two.py"
    outside.write_text("y = 1\n")
    source(outside)
    assert not code._new
    (package / "__pycache__").write_text("a file where the folder should be")
    source(package / "one.py")
    code.keep()
    assert not code._new


def test_it_does_not_grow_for_ever(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MOST", 3)
    for number in range(5):
        (package / "one.py").write_text(f"x = {number}\n")
        source(package / "one.py")
        code.keep()
    assert 1 <= len(json.loads(code.KEPT.read_text())) <= 3
