"""The manifest names code, machine and inputs, and keeps the times apart."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from msfp.engine import provenance
from msfp.errors import MsfpError


def test_manifest_is_complete_and_repeats(tmp_path: Path) -> None:
    about = {"settings": {"profile": "demo"}, "seeds": (0, 1), "inputs": {"weights": "abc"}}
    found = provenance.write_manifest(tmp_path / "runs" / "provenance.json", **about)
    assert json.loads((tmp_path / "runs" / "provenance.json").read_text()) == found
    assert found["inputs"] == {"weights": "abc"}
    assert found["seeds"] == [0, 1]
    assert found["hardware"]["cores"] >= 1
    assert found["hardware"]["memory_bytes"] > 2**28
    assert found["hardware"]["cpu"]
    assert {"numpy", "torch", "pandas"} <= set(found["packages"])
    again = provenance.write_manifest(tmp_path / "again.json", **about)
    del found["when"], again["when"]
    assert again == found


def test_what_was_asked_comes_from_the_command_that_started_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"command": ["msfp", "reproduce", "--profile", "smoke"], "began": "2026-11-28T00:00:00+00:00"}
    monkeypatch.setenv(provenance.COMMAND, json.dumps(asked))
    path = tmp_path / "manifest.json"
    found = provenance.write_manifest(path, settings={}, seeds=(), inputs={})
    assert (found["command"], found["when"]["began"]) == (asked["command"], asked["began"])
    provenance.end_manifest(path)
    when = json.loads(path.read_text())["when"]
    assert when["began"] < when["written"] <= when["ended"]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MsfpError, match=r"p\.json: cannot write"):
        provenance.write_manifest(tmp_path / "file" / "p.json", settings={}, seeds=(), inputs={})


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_commit_only_of_the_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "repo" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    assert provenance.git_state() == {"commit": None, "dirty": None}
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(package)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert provenance.git_state()["commit"] is None
    subprocess.run([*git, "add", "__init__.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    assert len(provenance.git_state()["commit"]) == 40
    assert provenance.git_state()["dirty"] is False
    (package / "__init__.py").write_text("changed")
    assert provenance.git_state()["dirty"] is True
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state() == {"commit": None, "dirty": None}


def test_a_file_that_git_is_asked_for_is_one_of_the_package() -> None:
    """Else no run of a checkout would ever name its commit."""
    asked = re.search(r'"--error-unmatch", "([^"]+)"', Path(provenance.__file__).read_text(encoding="utf-8"))
    assert asked
    assert (provenance.PACKAGE / asked[1]).is_file()
