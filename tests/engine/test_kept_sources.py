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
        f"from os import path\nimport {tmp_path.name}.c\nfrom {tmp_path.name}.a import b\nx = 1\n"
    )
    return tmp_path / "one.py"


def refuse(_: object) -> ast.AST:
    pytest.fail("parsed again")


def test_a_process_finds_what_another_parsed(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source(module)
    assert first.imports == [f"{module.parent.name}.{name}" for name in ("c", "a", "a.b")]
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


def test_a_folder_that_cannot_be_written_does_no_harm(module: Path) -> None:
    (module.parent / "__pycache__").write_text("a file where the folder should be")
    source(module)
