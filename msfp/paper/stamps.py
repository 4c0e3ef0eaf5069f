"""What was made from what: each artefact's files by content, settings and code, and whether they still hold."""

import ast
import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msfp.engine.code import code_digest, digest_tree
from msfp.engine.files import atomic_write, digest, file_digest
from msfp.errors import InputError
from msfp.experiment import external
from msfp.experiment.run import Run
from msfp.paper.cells import read_cells
from msfp.paper.registry import Artefact, Kind, artefact, every, imported
from msfp.types import Cell

TIMES, TIMED = 104, (1, 8, 13, 16, 22)
"""The extra table of times, and the tables that it fills."""
NOT_MADE = "not made in this run"
Scored = Mapping[str, tuple[int, int]]
"""Benchmark -> scores by its rules, and how many of them TrackEval computed too."""


def tables_folder(run: Run) -> Path:
    return run.out / "tables"


def evidence_path(run: Run, number: int) -> Path:
    return run.out / "measured" / f"table{number:02d}.safetensors"


def report_path(run: Run) -> Path:
    return run.out / "report" / "index.html"


def stamp_path(run: Run, id: str) -> Path:
    return run.out / "stamps" / f"{id}.json"


def options(run: Run) -> str:
    """Command-line options that make the same run; a folder is told by its name only."""
    parts = [f"--profile {run.settings.profile}"]
    if run.settings.data.root is not None:
        parts.append(f"--root {run.settings.data.root.name}")
    if run.settings.input.weights != "embedded":
        parts.append(f"--weights {Path(run.settings.input.weights).name}")
    parts += [f"-p {shlex.quote(word)}" for word in shlex.split(run.overrides)]
    return " ".join(parts)


def fingerprint(run: Run, made: Artefact) -> str:
    """What an artefact is made from: settings, weights, its cells, and the code that they use."""
    cells = made.cells
    modules = sorted({"msfp.paper.notebook", *imported(cells)})
    source = [digest_tree(ast.parse(cell.source)) for cell in cells]
    made_from = [run.settings.model_dump_json(), run.weights_digest(), source, code_digest(*modules)]
    # another import of results makes a table that shows them stale
    shows_imports = any("imported_cells" in cell.source for cell in cells if made.tag in cell.tags)
    return digest([*made_from, external.contents(run)] if shows_imports else made_from)


def stamp(
    run: Run, made: Artefact, files: Iterable[Path], reason: str = "", scored: Scored = MappingProxyType({})
) -> None:
    """Remember what an artefact was made from, its files by content, why it is absent, remarks, and what was scored."""
    written = {path.relative_to(run.home).as_posix(): file_digest(path) for path in files}
    record = {"fingerprint": fingerprint(run, made), "files": written, "reason": reason, "notes": run.notes}
    record |= {"scored": dict(scored), "events": run.store.events}
    atomic_write(stamp_path(run, made.id), (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())


def read_stamp(run: Run, id: str) -> dict[str, Any]:
    """An artefact's stamp; empty where it was never made, or its stamp cannot be read."""
    try:
        found = json.loads(stamp_path(run, id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    kinds = {"fingerprint": str, "files": dict, "reason": str, "notes": list, "events": list}
    whole = isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in kinds.items())
    return found if whole else {}


def _files(run: Run, id: str) -> dict[Path, bool]:
    """Files of an artefact, and whether they are there as they were written."""
    files = {run.home / name: kept for name, kept in read_stamp(run, id).get("files", {}).items()}
    return {path: path.is_file() and file_digest(path) == kept for path, kept in files.items()}


def intact(run: Run) -> Callable[[Path], bool]:
    """Tells of a file that a notebook said it wrote whether it is there as it was written."""
    return lambda path: _files(run, path.stem).get(path, path.is_file() and path.stat().st_size > 0)


def stale(run: Run, kind: Kind, number: int) -> str:
    """Why an artefact is not there or not of this run; empty when it is present and fresh."""
    made = artefact(kind, number)
    found = read_stamp(run, made.id)
    file = tables_folder(run) / f"{made.id}.json" if kind == "table" else run.figures / f"{made.id}.pdf"
    if not found or (not file.is_file() and not found["reason"]):
        return f"{made.name} is missing: {_remedy(run, made)}"
    if found["fingerprint"] != fingerprint(run, made):
        return f"{made.name} was made by other code or with other settings: {_remedy(run, made)}"
    return _altered(run, made)


def _altered(run: Run, made: Artefact) -> str:
    """Which file of an artefact is another one than was written; empty where none is."""
    found = next((path for path, holds in _files(run, made.id).items() if not holds), None)
    return f"{found} was altered after it was made: {_remedy(run, made)}" if found else ""


def _remedy(run: Run, made: Artefact) -> str:
    return f"run msfp {made.kind} {made.number} --profile {run.settings.profile}"


def published_cells(run: Run) -> dict[int, list[Cell]]:
    """Cells of the tables that this run has made; InputError: a table's file is not as it was written."""
    found = {}
    for made in every():
        path = tables_folder(run) / f"{made.id}.json"
        if made.kind == "table" and path.is_file():
            if altered := _altered(run, made):
                raise InputError(altered)
            found[made.number] = read_cells(path)
    return with_times(found)


def with_times(found: dict[int, list[Cell]]) -> dict[int, list[Cell]]:
    """Tables that name times and were made without, so that they repeat exactly, with those of extra table 104."""
    known = {(c.row, c.column): c for c in found.get(TIMES, []) if c.source == "measured"}
    return {
        n: [known.get((c.row, c.column), c) if n in TIMED and c.source == "n/a" else c for c in cells]
        for n, cells in found.items()
    }
