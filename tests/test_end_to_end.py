"""From nothing to tables, figures and a report by one command; killed, shared and repeated runs end alike."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from msfp.paper.figures import FORMATS
from msfp.paper.registry import every
from tests.conftest import SMALL, reproduce

pytestmark = pytest.mark.xdist_group("end_to_end")

TABLES, FIGURES = (1, 3, 5, 20), (1, 3, 4, 5, 6)
TIMED = (7, 11, 15, 24, 102)  # the only tables whose numbers, or some, differ from run to run, and Figure 5
TABLE_FORMATS = ("json", "csv", "md", "tex")
NOTEBOOKS = len(list((Path(__file__).resolve().parents[1] / "notebooks").glob("0*.ipynb")))
PATIENCE = 1500  # seconds; a test machine may be busy


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    """What a run with --json said."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def tables(home: Path, numbers: tuple[int, ...] = TABLES) -> dict[str, bytes]:
    """Table files by name."""
    folder = home / "runs" / "smoke" / "tables"
    names = [f"table{n:02d}.{form}" for n in numbers for form in TABLE_FORMATS]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="session")
def report(finished: Path) -> str:
    """Every page of the site."""
    pages = sorted((finished / "runs" / "smoke" / "report").rglob("*.html"))
    assert len([page for page in pages if page.parent.name == "notebooks"]) == NOTEBOOKS
    return "".join(page.read_text(encoding="utf-8") for page in pages)


def test_every_ready_artefact_is_there_and_no_planned_one(finished: Path) -> None:
    ready = [a for a in every() if a.status == "ready"]
    assert {(a.kind, a.number) for a in ready} >= {("table", n) for n in (*TABLES, *TIMED)} | {
        ("figure", n) for n in FIGURES
    }
    run, figures = finished / "runs" / "smoke", finished / "figures" / "smoke"
    made = {p.name for p in (run / "tables").iterdir()}
    drawn = {p.name for p in figures.iterdir()}
    assert made == {f"{a.id}.{form}" for a in ready if a.kind == "table" for form in TABLE_FORMATS}
    assert drawn == {f"{a.id}.{form}" for a in ready if a.kind == "figure" for form in FORMATS}
    assert all(p.stat().st_size for folder in (run / "tables", figures) for p in folder.iterdir())
    assert len(list((run / "notebooks").glob("*.ipynb"))) == NOTEBOOKS


def test_cells_are_measured_or_say_why_not(finished: Path) -> None:
    for number in TABLES:
        cells = json.loads((finished / "runs" / "smoke" / "tables" / f"table{number:02d}.json").read_text())
        sources = [cell["source"] for cell in cells]
        assert sources.count("measured") > 4, number
        assert all(cell["reason"] for cell in cells if cell["source"] == "n/a")


def test_the_report_loads_nothing(report: str) -> None:
    assert not re.search(
        r"""(?:src|href|url\()\s*=?\s*["']?\s*(?:https?:)?//[^"')\s]+\.(?:js|css|png|svg|woff2?)""", report
    )
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*["']?(?:https?:)?//""", report)
    assert "@import" not in report
    assert str(Path.home()) not in report or str(Path.home()) == "/"


def test_the_report_shows_every_artefact_and_where_it_came_from(report: str) -> None:
    for number in TABLES:
        assert f"Table {number}" in report
    for number in FIGURES:
        assert f"Figure {number}" in report
    for word in ("paper", "difference", "measured", "embedded", "data.frames=12"):
        assert word in report, word


HEAD = """
class Halves(msfp.FusionHead):
    def __init__(self, channels, config):
        super().__init__(channels, config)
        self.project = nn.Linear(sum(channels.values()) // 2, 32)

    def embed(self, layers):
        return self.project(self.concatenated(layers)[:, ::2])
"""
LOSS = """
def squared(rows, person, margin):
    same = person[:, None] == person
    d = 1 - rows @ rows.T
    hardest = d.masked_fill(~same, -9).amax(dim=1) - d.masked_fill(same, 9).amin(dim=1)
    return ({factor} * hardest.clamp(min=0) ** 2).mean(), (hardest > 0).float().mean()
"""
TRY = """
before = run.store.misses["own-head"]
halves = run.train(Halves, loss=squared)
row = run.reid(halves)[["auc", "gap"]].mean()
score = msfp.combine(run.evaluate([msfp.Method("Halves", "msfp-attention", halves, (0.6, 0.1))]), by="row")
print("OWN", run.store.misses["own-head"] - before, halves.curve.loss.iloc[0].round(6))
table.with_rows({"Halves": {"AUC": row.auc, "Gap": row.gap, "AssA": score.AssA["Halves"]}})
"""


def test_a_head_and_a_loss_typed_into_notebook_03(finished: Path, tmp_path: Path) -> None:
    """They train, are kept under their own source, and get a row in the table; another loss trains anew."""
    (path,) = (Path(__file__).resolve().parents[1] / "notebooks").glob("03_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    wanted = [c for c in cells if {"parameters", "setup", "table-3"} & set(c.metadata.get("tags", []))]
    given = {"profile": "smoke", "settings": SMALL, "home": str(finished)}
    wanted[0].source += "".join(f"\n{name} = {value!r}" for name, value in given.items())
    losses = [LOSS.format(factor=factor) for factor in (1, 1, 2)]
    own = [HEAD, *(cell for loss in losses for cell in (loss, TRY))]
    notebook.cells = [*wanted, *map(nbformat.v4.new_code_cell, own)]
    nbformat.write(notebook, tmp_path / "own.ipynb")
    program = [str(Path(sys.executable).with_name("jupyter")), "nbconvert", "--to", "notebook", "--execute"]
    words = ["own.ipynb", "--output", "done.ipynb"]
    subprocess.run([*program, *words], cwd=tmp_path, check=True, timeout=PATIENCE, capture_output=True)
    cells = nbformat.read(tmp_path / "done.ipynb", as_version=4).cells
    tried = [c.outputs for c in cells if c.source.strip() == TRY.strip()]
    said = [next(o.text for o in outputs if o.get("name") == "stdout").split() for outputs in tried]
    assert [word[1] for word in said] == ["1", "0", "1"], said
    assert said[0][2] == said[1][2] != said[2][2]
    assert all(any("Halves" in o.get("data", {}).get("text/html", "") for o in outputs) for outputs in tried)


def test_a_second_run_executes_no_notebook(finished: Path) -> None:
    before = tables(finished)
    found = finish(reproduce(finished, "--workers", "0", "--json"))
    assert set(found["notebooks"].values()) == {0.0}  # type: ignore[attr-defined]
    assert len(found["notebooks"]) == NOTEBOOKS  # type: ignore[arg-type]
    assert tables(finished) == before


def entries(home: Path) -> Iterator[Path]:
    """Results in a home's store."""
    return (p for p in (home / "runs" / "smoke" / "store").rglob("*") if p.is_file())


PUBLISH = """
import sys
from msfp.paper.notebook import as_notebook_run
from msfp.experiment.run import open_run
run = open_run("smoke", home=sys.argv[1], overrides=sys.argv[2])
as_notebook_run(run).table(5)
"""


def test_a_killed_run_is_finished_by_two_at_once(finished: Path, fresh: Path) -> None:
    """SIGKILL after a random number of results; then two runs on the one store, neither of which may fail.

    Another table is then made outside notebooks and with sets in another order.
    """
    moment = random.SystemRandom().randint(1, 12)
    words = ("--workers", "0", "--only", "03", "--json")
    killed = reproduce(fresh, *words)
    began = time.monotonic()
    while killed.poll() is None and sum(1 for _ in entries(fresh)) < moment:
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL, f"it had ended before {moment} results"
    assert killed.communicate()
    for process in [reproduce(fresh, *words) for _ in range(2)]:
        assert set(finish(process)["notebooks"]) == {"03_heads"}  # type: ignore[call-overload]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    program = [sys.executable, "-c", PUBLISH, str(fresh), SMALL]
    subprocess.run(program, check=True, env=environment, timeout=PATIENCE)
    assert tables(fresh, (3, 5, 20)) == tables(finished, (3, 5, 20)), f"killed after {moment} results"
