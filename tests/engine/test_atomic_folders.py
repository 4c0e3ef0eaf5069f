"""A folder is replaced whole or not at all."""

import os
import time
from pathlib import Path

import pytest

from msfp.engine.files import STALE_SECONDS, replace_folder
from msfp.errors import MsfpError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_old_folder_is_gone_and_nothing_is_left_beside(tmp_path: Path) -> None:
    site = tmp_path / "runs" / "report"
    replace_folder(site, {"index.html": b"one", "static/a.css": b"a"})
    replace_folder(site, {"index.html": b"two", "notebooks/b.html": b"b"})
    assert contents(site) == {"index.html": b"two", "notebooks/b.html": b"b"}
    assert [p.name for p in site.parent.iterdir()] == ["report"]


def test_a_file_in_its_place_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("an older kind of report")
    replace_folder(tmp_path / "report", {"index.html": b"new"})
    assert contents(tmp_path / "report") == {"index.html": b"new"}


@pytest.mark.parametrize("failing", [1, 2])
def test_what_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Failing: the second file; then the rename of the new folder, when the old one has already moved away."""
    site = tmp_path / "report"
    replace_folder(site, {"index.html": b"old"})
    if failing == 1:
        bad = {"index.html": b"new", "index.html/below": b"a file is no folder"}
    else:
        bad, rename = {"index.html": b"new"}, os.rename

        def refuse(source: Path, target: Path) -> None:
            if target == site and ".old-" not in Path(source).name:
                raise PermissionError(1, "not permitted")
            rename(source, target)

        monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(MsfpError, match="cannot write"):
        replace_folder(site, bad)
    assert contents(site) == {"index.html": b"old"}
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_what_killed_writers_left_goes_when_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".report.1-aa.partial", tmp_path / ".report.2-bb.partial"
    for folder in (old, young):
        folder.mkdir()
        (folder / "index.html").write_text("half")
    past = time.time() - STALE_SECONDS - 60
    os.utime(old, (past, past))
    replace_folder(tmp_path / "report", {"index.html": b"whole"})
    assert not old.exists()
    assert young.exists()
