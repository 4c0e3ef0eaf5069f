"""Writes the README's map of tables and figures, with the seconds each took: `python bench/readme_map.py runs/demo`.

The seconds are those of the notebook's cell that makes the artefact, in a run that began with an empty store: what
several artefacts share is counted where it is first needed.
"""

import argparse
import json
import re
from pathlib import Path

import nbformat
from harness import HERE

from msfp.paper.registry import EXTRA, outline

README = HERE.parent / "README.md"
BEGIN, END = "<!-- map: begin -->", "<!-- map: end -->"
MAKES = re.compile(r"run\.(table|figure)\((\d+)\)")
TRAINS = re.compile(r"run\.train_for\(([\d, ]+)\)")
ALL = "run.all_of("


def seconds(notebooks: Path) -> dict[tuple[str, int], str]:
    """(kind, number) -> seconds of the cell that makes it, alone or together with all else of its notebook."""
    found: dict[tuple[str, int], str] = {}
    before: dict[tuple[str, int], str] = {}
    for path in sorted(notebooks.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            took = cell.metadata.get("papermill", {}).get("duration")
            if cell.cell_type != "code" or took is None:
                continue
            told = "<1" if took < 1 else f"{took:.0f}"
            for numbers in TRAINS.findall(cell.source):
                before |= {("table", int(number)): f"{told} together + " for number in numbers.split(",")}
            for kind, number in MAKES.findall(cell.source):
                found.setdefault((kind, int(number)), told)
            if ALL in cell.source:
                found |= {(a.kind, a.number): f"{told} together" for a in outline() if a.notebook == path.stem}
    return {key: before.get(key, "") + told for key, told in found.items()}


def rows(run: Path) -> list[str]:
    """The map's lines."""
    took = seconds(run / "notebooks")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    made = manifest["when"]["written"][:10]
    lines = [
        f"Seconds of a first run of `make reproduce` on {manifest['hardware']['cores']} cores ({made}).",
        "*Together*: in one go with others that say so.",
        "",
        "| | what | notebook | command | s |",
        "|---|---|---|---|---|",
    ]
    for one in outline():
        name = f"{one.kind.capitalize()} {one.number}" + ("*" if one.number > EXTRA else "")
        told = took.get((one.kind, one.number), "")
        lines.append(f"| {name} | {one.title} | `{one.notebook}` | `msfp {one.kind} {one.number}` | {told} |")
    return [*lines, "", "\\* not in the paper."]


def main() -> None:
    """Put the map of a run into the README."""
    parser = argparse.ArgumentParser(prog="readme_map")
    parser.add_argument("run", type=Path, help="folder of a run, such as runs/demo")
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text("\n".join([before + BEGIN, *rows(parser.parse_args().run), END + after]), encoding="utf-8")


if __name__ == "__main__":
    main()
