"""The package's front: every public name is there, is told with an example that runs, and loads nothing before use."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import msfp
from tests.conftest import SMALL

OF_A_RUN = ("run", "fold", "clip")  # an example that reads one of these needs what a run has made


def examples(name: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(getattr(msfp, name).__doc__ or "")


def needs_a_run(name: str) -> bool:
    source = "\n".join(one.source for one in examples(name))
    words = {node for node in compile(source, name, "exec").co_names}
    return bool(words & set(OF_A_RUN))


def execute(name: str, known: dict[str, object]) -> None:
    space = {"msfp": msfp, "np": np, "pd": pd, "torch": torch, **known}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    runner.run(doctest.DocTest(examples(name), space, name, None, 0, None), out=said.append)
    assert runner.failures == 0, "".join(said)


def test_every_public_name_is_found_and_told_in_the_tour() -> None:
    assert msfp.__doc__
    assert set(msfp.__all__) == set(msfp._PLACES) <= set(dir(msfp))
    for name in msfp._PLACES:
        assert getattr(msfp, name) is not None
        assert f"msfp.{name}" in msfp.__doc__, name
        assert getattr(msfp, name).__doc__, name


def test_every_public_name_has_an_example() -> None:
    without = [name for name in msfp._PLACES if not examples(name)]
    assert without in ([], ["Tracker"]), "a tracker's example wants frames of a film; tests/online run it"


@pytest.mark.parametrize("name", sorted(name for name in msfp._PLACES if not needs_a_run(name)))
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    execute(name, {})


@pytest.mark.parametrize("name", sorted(name for name in msfp._PLACES if needs_a_run(name)))
@pytest.mark.xdist_group("examples")
def test_examples_of_a_run_run(name: str, finished: Path) -> None:
    run = msfp.open("smoke", home=finished, settings=SMALL)
    execute(name, {"run": run, "fold": run.fold(), "clip": run.clips()[0]})


def test_names_are_loaded_when_they_are_used() -> None:
    code = "import sys, msfp; assert not {'torch', 'pandas', 'numba'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_papers_own_table_is_a_frame() -> None:
    found = msfp.reference(3).set_index(["row", "column"]).value
    assert set(found.index.get_level_values("column")) == {"AUC", "Gap", "AssA", "Dim"}
