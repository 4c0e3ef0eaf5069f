"""Where compiled kernels are kept, and that somebody is told when they compile."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from msfp import compiled
from msfp.tracking.costs import iou


def test_kernels_of_other_files_and_their_constants_count() -> None:
    """A kernel is compiled with what it calls in it: all of that makes the folder's name."""
    files = {str(path.relative_to(compiled.PACKAGE)) for path in compiled.sources()}
    assert {"tracking/costs.py", "tracking/lifecycle.py", "tracking/kalman.py", "metrics/hota.py"} <= files
    assert not {"experiment/tracks.py", "cli/__init__.py", "tracking/thresholds/rules.py"} & files


def test_kept_under_the_digest_of_the_sources() -> None:
    assert compiled.sources_digest() in str(iou.stats.cache_path)


def test_a_change_of_source_changes_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiled.sources_digest()
    changed = {path: text + b"\n" for path, text in compiled.sources().items()}
    monkeypatch.setattr(compiled, "sources", lambda: changed)
    compiled.sources_digest.cache_clear()
    assert compiled.sources_digest() != before
    compiled.sources_digest.cache_clear()


def test_a_command_says_once_that_kernels_compile(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its workers are in the same process group, and compile what they need themselves."""
    monkeypatch.setattr(compiled, "kernels_folder", lambda: tmp_path / "kernels")
    theirs = SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=np.mean)})
    ours = SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=iou.py_func)})
    with caplog.at_level(logging.WARNING):
        for notice in (compiled._Notice(), compiled._Notice()):
            for event in (theirs, ours, ours):
                notice.on_start(event)
                notice.on_end(event)
    assert [record.message.partition(",")[0] for record in caplog.records] == ["compiling kernels"]
    monkeypatch.setattr(compiled.os, "getpgrp", lambda: -1)
    with caplog.at_level(logging.WARNING):
        compiled._Notice().on_start(ours)
    assert len(caplog.records) == 2, "another command says it, too"
