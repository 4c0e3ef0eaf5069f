"""Writes the README's map of tables and figures: `python bench/readme_map.py`."""

from harness import HERE

from msfp.paper.registry import EXTRA, every

README = HERE.parent / "README.md"
BEGIN, END = "<!-- map: begin -->", "<!-- map: end -->"


def rows() -> list[str]:
    """The map's lines."""
    lines = ["| | what | notebook | command |", "|---|---|---|---|"]
    for one in every():
        name = f"{one.kind.capitalize()} {one.number}" + ("*" if one.number > EXTRA else "")
        lines.append(f"| {name} | {one.title} | `{one.notebook}` | `msfp {one.kind} {one.number}` |")
    return [*lines, "", "\\* not in the paper."]


def main() -> None:
    """Put the map into the README."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text("\n".join([before + BEGIN, *rows(), END + after]), encoding="utf-8")


if __name__ == "__main__":
    main()
