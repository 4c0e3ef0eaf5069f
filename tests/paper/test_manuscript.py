"""The LaTeX folder: whole, and compiled where there is a TeX."""

import shutil
import subprocess
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from msfp.errors import InputError
from msfp.experiment.run import Run, open_run
from msfp.paper.latex import write_paper
from msfp.paper.registry import every
from msfp.paper.render import write_table
from msfp.paper.stamps import tables_folder
from msfp.types import Cell

ENGINES = ("latexmk", "tectonic", "pdflatex")
ODD = r"50 % of a_b & c ~ d ^ {e} \ $f$ # τ ≤ 1 ± 0.1 – † “q” ünïcode 中"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of every table as the paper has it, some of our cells, and one figure."""
    made = open_run("smoke", home=tmp_path)
    for number in range(1, 25):
        ours = [Cell("MSFP-Track", "HOTA", 50.0, 0.2), Cell("SORT", "FPS", None, source="n/a", reason=ODD)]
        write_table(tables_folder(made), number, ours if number == 1 else [])
    made.figures.mkdir(parents=True)
    drawing = plt.figure(figsize=(2, 1))
    drawing.savefig(made.figures / "figure03.pdf")
    plt.close(drawing)
    return made


def test_the_folder_has_everything_and_says_what_is_missing(run: Run) -> None:
    made = write_paper(run)
    assert made.folder == run.out / "paper"
    main = (made.folder / "main.tex").read_text()
    for name in made.tables:
        assert rf"\input{{tables/{name}}}" in main
        assert (made.folder / "tables" / f"{name}.tex").is_file()
    assert made.figures == ("figure03",)
    assert set(made.missing) | set(made.tables) | set(made.figures) == {a.id for a in every() if a.status == "ready"}
    assert {path.name for path in made.folder.iterdir()} == {
        "main.tex", "choices.tex", "Makefile", "README.md", "tables", "figures"
    }  # fmt: skip


def test_what_a_later_run_lacks_is_taken_out(run: Run) -> None:
    folder = write_paper(run).folder
    (run.figures / "figure03.pdf").unlink()
    assert "figure03" in write_paper(run).missing
    assert not (folder / "figures" / "figure03.pdf").exists()


def test_a_run_that_made_nothing_is_told_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run msfp reproduce --profile smoke first"):
        write_paper(open_run("smoke", home=tmp_path))


def test_it_compiles_and_nothing_runs_over_the_margin(run: Run, tmp_path: Path) -> None:
    if not any(map(shutil.which, ENGINES)):
        pytest.skip(f"none of {', '.join(ENGINES)} is installed (Debian: texlive-latex-recommended lmodern)")
    folder = write_paper(run, tmp_path / "elsewhere").folder
    done = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-500:]
    assert (folder / "main.pdf").stat().st_size > 50_000
    log = folder / "main.log"
    if log.is_file():  # tectonic keeps none
        said = log.read_text(encoding="utf-8", errors="replace")
        assert [line for line in said.splitlines() if line.startswith(("Overfull", "Missing character"))] == []
