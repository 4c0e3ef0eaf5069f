"""Tables and figures as the notebooks' cells make them, for tests."""

from msfp.experiment.run import Run
from msfp.paper.notebook import NotebookRun, as_notebook_run
from msfp.types import Cell

Cells = dict[tuple[str, str], Cell]


def cells_of(run: Run, number: int) -> list[Cell]:
    """The cells of a table, made by the cell that carries its number."""
    return notebook_run(run).table(number).cells


def made(run: Run, number: int) -> Cells:
    """(row, column) -> cell of a table."""
    return {(c.row, c.column): c for c in cells_of(run, number)}


def notebook_run(run: Run) -> NotebookRun:
    """The run with a notebook's verbs; the same one each time, so that what it has read stays read."""
    return run.__dict__.setdefault("_notebook", as_notebook_run(run))
