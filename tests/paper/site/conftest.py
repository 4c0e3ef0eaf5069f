"""One small report: a table, a figure, an executed notebook, and what they are made from."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from msfp.paper.claims import load
from msfp.paper.pages import Contents, write_site
from msfp.paper.render import html, write_table
from msfp.paper.verdicts import Verdict
from msfp.types import Cell

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
VECTOR = '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100"><circle cx="50" cy="50" r="40"/></svg>'
CELLS = [
    Cell("SORT", "HOTA", 44.0, unit="%"),
    Cell("SORT", "FPS", None, source="n/a", reason="8 of 1050 frames present"),
    Cell("ByteTrack", "HOTA", 101.0, unit="%"),
    Cell("OC-SORT", "HOTA", 9.5, unit="%"),
    Cell("LITE (trained 64-d)", "HOTA", 50.0, unit="%"),
]
CLAIMS = {claim.id: claim for claim in load()}
VERDICTS = [
    Verdict(CLAIMS["msfp-lite-mot17"], "refuted", "MSFP-Track over LITE", -1.05, -2.1, 0.0, unit="points", paper=2.1),
    Verdict(CLAIMS["dance-ocsort"], "supported", "OC-SORT over MSFP-Track", 9.0, 0.8, 99.0, unit="points", paper=0.8),
    Verdict(CLAIMS["atl-fixed"], "not testable here", paper=0.9, reason="no such table"),
]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """All that the report says."""
    folder = tmp_path_factory.mktemp("run")
    figures, tables, notebook = folder / "figures", folder / "tables", folder / "05_tracking.ipynb"
    figures.mkdir()
    (figures / "figure03.svg").write_text(VECTOR)
    (figures / "figure03.png").write_bytes(PIXEL)
    write_table(tables, 1, CELLS)
    output = new_output("execute_result", data={"text/plain": "in /home/somebody/msfp"})
    shown = [
        new_output("execute_result", data={"text/html": text})
        for text in (html(CELLS, 1), pd.DataFrame([1])._repr_html_())
    ]
    code = "# said\nfor x in range(3):\n    print('a', x + 1.5, None)"
    cells = [new_code_cell(code, outputs=[output]), *(new_code_cell("run.table(1)", outputs=[one]) for one in shown)]
    nbformat.write(new_notebook(cells=cells), notebook)
    return Contents(
        profile="demo",
        figures=figures,
        tables=tables,
        notebooks=[notebook],
        cells={1: CELLS},
        manifest={"commit": "abc123", "machine": {"cores": 2, "gpu": None}, "seeds": (0, 1), "when": {"written": "x"}},
        choices=[("split", "half", "loso, paper", "No split is defined.")],
        notes=["Table 1 shows validation."],
        events=["an entry was damaged and computed again"],
        limits=["Drawings are not `films`, <well>."],
        absent={"figure04": "pixels are absent"},
        stale={"table01": "made by other code"},
        names={"/home/somebody/msfp": ".."},
    )


@pytest.fixture
def write(contents: Contents, tmp_path: Path) -> Write:
    """Writes the site, with some of its contents replaced; returns its folder."""

    def written(**more: object) -> Path:
        return write_site(tmp_path / "report", replace(contents, **more)).parent  # type: ignore[arg-type]

    return written
