"""What is kept of source files: the same as parsing them, gone without harm, never of another text."""

import ast
import os
from pathlib import Path

import pytest

from msfp.engine import code
from msfp.engine.code import source


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of a package of its own, nothing kept yet."""
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    code._source.cache_clear()
    (tmp_path / "one.py").write_text(
        "from os import path, sep\nimport json\nfrom ..a import b\nfrom . import c\nx = 1\n"
    )
    return tmp_path / "one.py"


def refuse(_: object) -> ast.AST:
    pytest.fail("parsed again")


def test_a_process_finds_what_another_parsed(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source(module)
    assert first.imports == ["os", "os.path", "os.sep", "json", "..a", "..a.b", ".", ".c"]
    code._source.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", refuse)
        assert source(module) == first
        os.utime(module, (1, 1))
        assert source(module) == first, "the bytes count"
    module.write_text(module.read_text().replace("x = 1", "x = 2"))
    assert source(module).digest != first.digest, "another text of the same size"


@pytest.mark.parametrize("spoilt", ["", "[1, 2]", '{"file": "x"}', "{cut"])
def test_a_spoilt_file_is_as_good_as_none(module: Path, spoilt: str) -> None:
    first = source(module)
    (kept,) = (module.parent / code.KEPT).iterdir()
    whole = kept.read_bytes()
    kept.write_text(spoilt)
    code._source.cache_clear()
    assert source(module) == first
    assert kept.read_bytes() == whole


def test_files_outside_and_folders_that_cannot_be_written_do_no_harm(module: Path, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "two.py"
    outside.write_text("y = 1\n")
    source(outside)
    assert not (module.parent / "__pycache__").exists()
    (module.parent / "__pycache__").write_text("a file where the folder should be")
    source(module)
