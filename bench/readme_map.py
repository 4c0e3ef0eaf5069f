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

from msfp.paper.registry import EXTRA, every

README = HERE.parent / "README.md"
BEGIN, END = "<!-- map: begin -->", "<!-- map: end -->"
TAG = re.compile(r"(table|figure)-(\d+)")


def seconds(notebooks: Path) -> dict[tuple[str, int], str]:
    """(kind, number) -> seconds of the cell that makes it."""
    found: dict[tuple[str, int], str] = {}
    for path in sorted(notebooks.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            took = cell.metadata.get("papermill", {}).get("duration")
            for tag in cell.metadata.get("tags", []):
                if took is not None and (made := TAG.fullmatch(tag)):
                    found[made[1], int(made[2])] = "<1" if took < 1 else f"{took:.0f}"
    return found


def rows(run: Path) -> list[str]:
    """The map's lines."""
    took = seconds(run / "notebooks")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    made = manifest["when"]["written"][:10]
    lines = [
        f"Seconds of a first run of `make reproduce` on {manifest['hardware']['cores']} cores ({made}).",
        "The first cell that asks for something computes it; what a later one shares with it costs it nothing.",
        "",
        "| | what | notebook | command | s |",
        "|---|---|---|---|---|",
    ]
    for one in every():
        name = f"{one.kind.capitalize()} {one.number}" + ("*" if one.number > EXTRA else "")
        told = took.get((one.kind, one.number), "not timed")
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
