"""Notebooks run in order in this Python, checked before, resumed after, partial when they fail."""

import contextlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from msfp.engine import notebooks
from msfp.engine.files import file_digest
from msfp.engine.notebooks import check_parameters, read_parameters
from msfp.errors import InputError, MsfpError

PARAMETERS = 'profile: str = "demo"\nseed: int = 0\ntau: float = 0.5\nwidth: int | None = None\nnames: list[str] = []'


def write(folder: Path, name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    nb = new_notebook(cells=[new_markdown_cell("# Why"), first, *(new_code_cell(cell) for cell in cells)])
    nb.metadata["kernelspec"] = {"name": "not-installed", "display_name": "x", "language": "python"}
    nbformat.write(nb, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def outputs(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))


def go(folder: Path, **options: Any) -> dict[str, bool]:
    """name -> whether it was executed."""
    options = {"parameters": {}, **options}
    return {done.name: not done.skipped for done in notebooks.run(folder / "nb", folder / "out", **options)}


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands for the package's code."""
    known = ["one"]
    monkeypatch.setattr(notebooks, "_package_digest", lambda: known[0])
    return known


def test_run_and_resume(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = "from msfp.engine.notebooks import declare_output\nopen('made', 'w').close()\ndeclare_output('made')"
    write(tmp_path / "nb", "00_data", "import sys, os\nprint(sys.executable, os.getcwd(), tau, names, width)", done)
    write(tmp_path / "nb", "01_report", "print(seed + 1)", parameters="seed: int = 0")
    write(tmp_path / "nb", "explore", "raise SystemError")
    given = {"seed": "3", "tau": 1, "names": ["a"]}
    assert go(tmp_path, parameters=given) == {"00_data": True, "01_report": True}
    assert outputs(tmp_path / "out" / "00_data.ipynb") == f"{sys.executable} {tmp_path / 'nb'} 1.0 ['a'] None\n"
    assert outputs(tmp_path / "out" / "01_report.ipynb") == "4\n"
    assert re.fullmatch(r"00_data: \d+\.\d s\n01_report: \d+\.\d s\n", capfd.readouterr().err)
    assert go(tmp_path, parameters=given) == {"00_data": False, "01_report": False}
    assert capfd.readouterr().err == "00_data: unchanged\n01_report: unchanged\n"
    (tmp_path / "nb" / "made").unlink()
    assert go(tmp_path, parameters=given) == {"00_data": True, "01_report": False}


def test_what_was_executed_here_is_trusted_by_jupyterlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    path = write(tmp_path, "00_data", "1")
    notebooks.sign(path)
    notary = NotebookNotary()
    with contextlib.closing(notary.store):
        assert notary.check_signature(nbformat.read(path, as_version=4))
        other = nbformat.read(write(tmp_path, "01_other", "2"), as_version=4)
        assert not notary.check_signature(other)


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({}, ["00_x", "01_x", "02_x"]),
        ({"only": "1"}, ["01_x"]),
        ({"only": "01_x.ipynb"}, ["01_x"]),
        ({"from_": "1"}, ["01_x", "02_x"]),
        ({"from_": "00"}, ["00_x", "01_x", "02_x"]),
    ],
)
def test_only_and_from(chosen: dict[str, Any], names: list[str]) -> None:
    there = [Path(f"nb/0{number}_x.ipynb") for number in range(3)]
    selected = notebooks.select(there, chosen.get("only"), chosen.get("from_"))
    assert [path.stem for path in selected] == names


def folder_of(path: Path) -> Path:
    """Where a notebook of these tests writes."""
    folder = path.with_name(f"made-by-{path.stem}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_what_makes_a_notebook_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: list[str]) -> None:
    """The rules of resuming, with the execution played: a real kernel takes a second each time."""

    def execute(notebook: Path, path: Path, _parameters: object, key: str, *_: object) -> float:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        made = folder_of(path) / "made.csv"
        made.write_text("1\n")
        kept = {"key": key, "notebook": file_digest(path), "outputs": [str(made)]}
        notebooks._stamp(path).write_text(json.dumps(kept))
        return 1.0

    monkeypatch.setattr(notebooks, "_execute", execute)
    for number in range(3):
        write(tmp_path / "nb", f"0{number}_x", parameters="seed: int = 0")
    assert list(go(tmp_path).values()) == [True] * 3
    assert list(go(tmp_path).values()) == [False] * 3
    package[:] = ["two"]
    assert list(go(tmp_path).values()) == [True] * 3
    for changed in ({"inputs": {"weights": "abc"}}, {"parameters": {"seed": 1}}, {"resume": False}):
        assert list(go(tmp_path, **changed).values()) == [True] * 3
        go(tmp_path)
    write(tmp_path / "nb", "01_x", "1", parameters="seed: int = 0")
    assert list(go(tmp_path).values()) == [False, True, True]
    (tmp_path / "out" / "01_x.ipynb").unlink()
    assert list(go(tmp_path).values()) == [False, True, False]
    (tmp_path / "out" / ".00_x.stamp.json").write_text("{cut o")
    assert list(go(tmp_path).values()) == [True, False, False]
    (tmp_path / "out" / "02_x.ipynb").write_text("{} ")
    assert list(go(tmp_path).values()) == [False, False, True]
    for cut in ("", "[1]", "{}", json.dumps({"key": "x"}), json.dumps({"key": 1, "notebook": "", "outputs": []})):
        (tmp_path / "out" / ".01_x.stamp.json").write_text(cut)
        assert list(go(tmp_path).values())[:2] == [False, True]
    (folder_of(tmp_path / "out" / "01_x.ipynb") / "made.csv").write_text("2\n")
    assert list(go(tmp_path).values()) == [False] * 3
    assert list(go(tmp_path, intact=lambda path: path.read_text() == "1\n").values()) == [False, True, False]
    # What ran without its predecessors runs again after them.
    shutil.rmtree(tmp_path / "out")
    assert list(go(tmp_path, only="02").values()) == [True]
    assert list(go(tmp_path).values()) == [True] * 3


def test_a_failure_keeps_the_partial_notebook(tmp_path: Path) -> None:
    bad = "from msfp.errors import InputError\nraise InputError('gt.txt:3: a box has no width; remove the line')"
    write(tmp_path / "nb", "00_data", "print('before')", bad, "print('after')")
    write(tmp_path / "nb", "01_heads", "1 / 0")
    partial = tmp_path / "out" / "00_data.ipynb"
    with pytest.raises(MsfpError) as caught:
        go(tmp_path)
    assert str(caught.value) == (
        "00_data.ipynb, cell 3: gt.txt:3: a box has no width; remove the line\n"
        f"the partial notebook is {partial}; mend the cause and go on with --from 00"
    )
    assert outputs(partial).startswith("before")
    assert not (tmp_path / "out" / "01_heads.ipynb").exists()


def test_a_kernel_that_dies_is_reported(tmp_path: Path) -> None:
    dies = "import os, signal, sys\nos.write(2, b'Killed by hand\\n')\nos.kill(os.getpid(), signal.SIGKILL)"
    write(tmp_path / "nb", "00_data", "print('before')", dies)
    with pytest.raises(MsfpError, match=r"00_data\.ipynb: its kernel died \(.*\)\nthe partial notebook is"):
        go(tmp_path)
    assert (tmp_path / "out" / "00_data.ipynb").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"sede": 1},
            r"unknown parameter 'sede'; did you mean 'seed'\? \(there are: names, profile, seed, tau, width\)",
        ),
        ({"xyz": 1}, r"unknown parameter 'xyz' \(there are:"),
        ({"seed": "one"}, r"parameter 'seed': 'one' is not int \(in the notebook: 0\)"),
        ({"seed": 1.5}, r"parameter 'seed': 1\.5 is not int"),
        ({"seed": True}, r"parameter 'seed': True is not int"),
        ({"profile": 3}, r"parameter 'profile': 3 is not str"),
        ({"tau": "high"}, r"parameter 'tau': 'high' is not float"),
        ({"width": "wide"}, r"parameter 'width': 'wide' is not int \| None"),
        ({"names": "a"}, r"parameter 'names': 'a' is not list\[str\]"),
    ],
)
def test_wrong_parameters_stop_before_anything_runs(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    write(tmp_path / "nb", "00_data", "open('ran', 'w')")
    with pytest.raises(InputError, match=message):
        go(tmp_path, parameters=given)
    assert not (tmp_path / "nb" / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_parameters_are_read_as_annotated(tmp_path: Path) -> None:
    path = write(tmp_path, "00_data", parameters=PARAMETERS + "\nplain = 3\nmode: Literal['a', 'b'] = 'a'\nprint(1)")
    given = {"seed": "7", "tau": "1", "width": "none", "names": "['x']", "plain": "4", "mode": "b", "profile": "7"}
    assert check_parameters([path], given)[path] == {
        "seed": 7, "tau": 1.0, "width": None, "names": ["x"], "plain": 4, "mode": "b", "profile": "7"
    }  # fmt: skip
    import papermill

    seen = set(papermill.inspect_notebook(str(path)))
    assert {"profile", "seed", "tau", "plain"} <= seen <= set(read_parameters(path))


def test_bad_choices_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nb: no notebooks named like 00_data\.ipynb"):
        go(tmp_path)
    path = write(tmp_path / "nb", "00_data")
    for option, key in (("--only", "only"), ("--from", "from_")):
        with pytest.raises(InputError, match=rf"{option} 9: no such notebook \(there are: 00_data\)"):
            go(tmp_path, **{key: "9"})
    with pytest.raises(InputError, match="exclude each other"):
        go(tmp_path, only="0", from_="0")
    write(tmp_path / "nb", "00_data", parameters="seed = 1 + x")
    with pytest.raises(InputError, match=r"00_data\.ipynb: parameter 'seed' must be a literal"):
        go(tmp_path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"00_data\.ipynb: cannot be read as a notebook"):
        go(tmp_path)


def test_an_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    write(tmp_path / "nb", "00_data")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(MsfpError, match=r"00_data\.ipynb: cannot write .*a file lies where a folder is needed"):
        go(tmp_path)
