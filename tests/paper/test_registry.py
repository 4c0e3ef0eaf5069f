"""The list of tables and figures, and the notebooks' cells that make them."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from msfp.engine.notebooks import bring
from msfp.errors import InputError, NotComputable
from msfp.paper import registry
from msfp.paper.notebook import NotebookRun, begin
from msfp.paper.registry import artefact, artefacts, every
from msfp.paper.stamps import fingerprint, read_stamp, stale
from msfp.types import Cell

NOTEBOOKS = re.compile(r"0[0-8]_[a-z]+")


@pytest.fixture
def run(tmp_path: Path) -> NotebookRun:
    """A run of which nothing is computed."""
    return begin("smoke", home=tmp_path)


def test_lists_24_tables_and_7_figures() -> None:
    found = artefacts()
    assert [a.number for a in found if a.kind == "table"] == list(range(1, 25))
    assert [a.number for a in found if a.kind == "figure"] == list(range(1, 8))
    for a in found:
        assert a.id == f"{a.kind}{a.number:02d}"
        assert a.title
        assert a.section
        assert a.caption
        assert NOTEBOOKS.fullmatch(a.notebook)
        assert bool(a.stub) == (a.kind == "table")


def test_a_cell_with_its_tag_makes_it() -> None:
    for one in every():
        assert one.status == "ready", one.name
        assert [c.tags for c in one.cells[-1:]] == [(one.tag,)]
        assert all("setup" in c.tags for c in one.cells[:-1])
        assert f"run.{one.kind}({one.number}, " in one.cells[-1].source


def written(folder: Path, *cells: tuple[str, str]) -> None:
    """A notebook of code cells, given as tag and source."""
    listed = [{"cell_type": "code", "metadata": {"tags": [tag]}, "source": [source]} for tag, source in cells]
    (folder / "03_heads.ipynb").write_text(json.dumps({"cells": listed}))


def test_without_its_tag_it_is_planned(tmp_path: Path, run: NotebookRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "notebooks_folder", lambda: tmp_path)
    written(tmp_path, ("setup", "x = 1"))
    assert artefact("table", 20).status == "planned"
    with pytest.raises(NotComputable, match=r"table 20 .* is planned: no cell of 03_heads is tagged table-20"):
        run.table(20)


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the package look as if it lay in a folder without a checkout around it; returns where its notebooks go."""
    package = folder / "site-packages" / "msfp"
    monkeypatch.setattr("msfp.__file__", str(package / "__init__.py"))
    return package / "notebooks"


def test_without_the_notebooks_a_table_is_still_saved(
    tmp_path: Path, run: NotebookRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    made = run.table(20, [Cell("Attention MLP", "Parameters", 7)])
    assert all(path.is_file() for path in made.files)
    assert stale(run, "table", 20) == ""
    with pytest.raises(NotComputable, match="no cell of 03_heads is tagged"):
        run.table(20)


def test_an_installed_package_brings_its_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = installed(tmp_path, monkeypatch)
    notebooks = Path(__file__).parents[2] / "notebooks"
    shutil.copytree(notebooks, shipped)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert registry.notebooks_folder() == shipped
    folder, written, kept = registry.bring_notebooks()
    assert (folder, kept) == (here / "notebooks", [])
    assert written == sorted(path.name for path in notebooks.glob("*.ipynb"))
    assert registry.notebooks_folder() == folder
    monkeypatch.chdir(folder)  # as its kernels do
    assert registry.bring_notebooks() == (folder, [], [])


def test_a_changed_notebook_is_never_replaced(tmp_path: Path) -> None:
    shipped, folder = tmp_path / "shipped", tmp_path / "notebooks"
    shipped.mkdir()
    for name in ("00_data", "01_features", "02_reid"):
        (shipped / f"{name}.ipynb").write_text("old")
    folder.mkdir()
    (folder / "02_reid.ipynb").write_text("of somebody")
    assert bring(shipped, folder) == (["00_data.ipynb", "01_features.ipynb"], ["02_reid.ipynb"])
    (folder / "01_features.ipynb").write_text("mine")
    for name in ("00_data", "01_features"):
        (shipped / f"{name}.ipynb").write_text("new")
    assert bring(shipped, folder) == (["00_data.ipynb"], ["01_features.ipynb", "02_reid.ipynb"])
    texts = [path.read_text() for path in sorted(folder.glob("*.ipynb"))]
    assert texts == ["new", "mine", "of somebody"]


def test_cells_run_without_a_kernel_on_the_run_at_hand(
    tmp_path: Path, run: NotebookRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "notebooks_folder", lambda: tmp_path)
    setup = "import msfp\nrun = msfp.open('full', root='/nowhere')\nwidth = 7.0"
    own = "run.table(20, [msfp.Cell('Attention MLP', 'Parameters', width)])"
    written(tmp_path, ("setup", setup), ("table-20", own))
    assert run.table(20).cells[0].value == 7.0
    before = fingerprint(run, artefact("table", 20))
    assert stale(run, "table", 20) == ""
    written(tmp_path, ("setup", setup.replace("7.0", "8.0")), ("table-20", own))
    assert fingerprint(run, artefact("table", 20)) != before
    assert "made by other code" in stale(run, "table", 20)
    written(tmp_path, ("setup", setup), ("table-20", f"# said otherwise\n{own}"))
    assert fingerprint(run, artefact("table", 20)) == before, "a comment makes no other table"
    written(tmp_path, ("table-20", "3"))
    with pytest.raises(InputError, match=r"must end with run.table\(20"):
        run.table(20)


def test_a_table_is_made_of_a_frame_too(run: NotebookRun) -> None:
    frame = pd.DataFrame({"row": ["a", "a"], "column": ["AUC", "Gap"], "value": [0.5, None], "reason": [None, "why"]})
    found = run.table(3, frame)
    assert [(c.value, c.source, c.reason) for c in found.cells] == [(0.5, "measured", ""), (None, "n/a", "why")]
    with pytest.raises(InputError, match="column 'value' is not in the table's frame"):
        run.table(3, frame.drop(columns="value"))


def test_a_figure_that_cannot_be_drawn_says_why_and_leaves_no_file(run: NotebookRun) -> None:
    made = run.figure(3, Figure())
    assert {f.suffix for f in made.files} == {".pdf", ".svg", ".png"}

    def impossible() -> Figure:
        raise NotComputable("0 of 9 frames present")

    assert run.figure(3, impossible).reason == "0 of 9 frames present"
    assert not any(f.exists() for f in made.files)
    assert read_stamp(run, artefact("figure", 3).id)["reason"] == "0 of 9 frames present"


def test_unknown_numbers_say_what_there_is(run: NotebookRun) -> None:
    with pytest.raises(InputError, match="table 25: the paper has tables 1 to 24"):
        run.table(25)
    with pytest.raises(InputError, match="figure 0: the paper has figures 1 to 7"):
        run.figure(0)


def test_every_table_has_reference_numbers() -> None:
    assert {e.table for e in registry.load()} == {a.number for a in artefacts() if a.kind == "table"}
    assert artefact("table", 3).name == "Table 3"
