"""Results of benchmarks as tables: aligned text for a terminal, and the tables of bench/README.md.

python bench/tables.py      writes the README's tables again from bench/results
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msfp.engine.files import atomic_write

FORMAT = 1
OURS = "msfp"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
Entry = dict[str, Any]


def latest(folder: Path) -> dict[str, dict[str, Entry]]:
    """Host class -> benchmark -> its newest entry; sides that were absent then are filled from the entry before."""
    found: dict[str, dict[str, Entry]] = {}
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise SystemExit(f"{path.name}: format {data['format']}, this reads {FORMAT}; run the benchmarks again")
        here = found.setdefault(data["host_class"], {})
        for name, entry in data["benches"].items():
            here[name] = filled(entry, here[name]) if name in here else entry
    return found


def filled(entry: Entry, before: Entry) -> Entry:
    """An entry whose absent sides are those of the entry before, on the same inputs, dated."""
    earlier = {(case["case"], case["inputs"]): case for case in before["cases"]}
    cases = []
    for case in entry["cases"]:
        old = earlier.get((case["case"], case["inputs"]), {"sides": {}})
        kept = [name for name in case.get("absent", ()) if name in old["sides"]]
        dates = {name: old.get("dates", {}).get(name, before["written"][:10]) for name in kept}
        case = {**case, "dates": dates, "wall_only": [*case["wall_only"], *(set(kept) & set(old.get("wall_only", ())))]}
        for part in ("sides", "ratios"):
            case[part] = {**{name: old[part][name] for name in kept}, **case[part]}
        cases.append(case | ({"checks": {**old["checks"], **case["checks"]}} if kept else {}))
    return {**entry, "cases": cases}


def rows(case: Entry) -> list[list[str]]:
    """A row a side: name, median, spread, times ours took."""
    lines = []
    for name, times in case["sides"].items():
        ratio = case["ratios"].get(name)
        lines.append(
            [
                name + (f" ({case['dates'][name]})" if name in case.get("dates", {}) else ""),
                f"{times['median']:.4g} {case['unit']}" + (" (wall)" if name in case["wall_only"] else ""),
                f"{times['min']:.4g}-{times['max']:.4g}",
                "1" if ratio is None else f"{ratio['median']:.3g} ({ratio['min']:.3g}-{ratio['max']:.3g})",
            ]
        )
    return lines


def text_table(name: str, cases: list[Entry]) -> str:
    """Aligned table for a terminal."""
    out = []
    for case in cases:
        lines = [["side", "median", "min-max", f"x {OURS}"], *rows(case)]
        widths = [max(len(line[k]) for line in lines) for k in range(4)]
        out += [f"{name}: {case['case']}: {case['inputs']}; {case['rounds']} rounds"]
        out += ["  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        out += ["  " + ", ".join(f"{key} {_short(value)}" for key, value in case["checks"].items()), ""]
    return "\n".join(out)


def markdown(found: Mapping[str, Mapping[str, Entry]]) -> str:
    """The README's tables, one a host class."""
    out = []
    for machine, benches in sorted(found.items()):
        newest = max(benches.values(), key=lambda entry: entry["written"])
        about, versions = newest["host"], newest["host"]["packages"]
        out += [f"### {machine}", "", f"{about['cpu']}, {about['cores']} cores, one thread used; Python "]
        out[-1] += f"{about['python']}, " + ", ".join(f"{key} {value}" for key, value in versions.items()) + "."
        out += ["", f"| bench | case | side | median | min-max | x {OURS} (min-max) |", "|---|---|---|---|---|---|"]
        for name, entry in sorted(benches.items()):
            for case in entry["cases"]:
                out += [f"| {name} | {case['case']} | " + " | ".join(line) + " |" for line in rows(case)]
        out += ["", "Inputs, and how far results agree:", ""]
        for name, entry in sorted(benches.items()):
            day, load = entry["written"][:10], entry["load"][0]
            for case in entry["cases"]:
                checks = ", ".join(f"{key} {_short(value)}" for key, value in case["checks"].items())
                about = f"{case['inputs']}; {case['rounds']} rounds on {day}, load {load}"
                out.append(f"- {name}, {case['case']}: {about}. {checks}.")
        out.append("")
    return "\n".join(out)


def gpu_markdown(folder: Path) -> str:
    """Each card's newest result: milliseconds of a frame's parts by detector, and frames a second offline."""
    newest = {}
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        newest[told["device"]] = told
    out = []
    for card, told in sorted(newest.items()):
        about = told["host"]
        versions = "".join(f", {name} {version}" for name, version in about["packages"].items())
        out += [f"### {card}", "", f"{about['cpu']}, {about['cores']} cores; Python {about['python']}{versions}; "]
        out[-1] += (
            f"{told['written'][:10]}, code {told['code'][:7]}. `python bench/bench_pipeline.py --device cuda`: ms a "
        )
        out[-1] += "frame of 1280x736, batch 1, median (quartiles); offline, frames a second by frames a batch."
        found = told["milliseconds"]
        stages = list(next(iter(found.values())))
        out += ["", f"| part | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
        for stage in stages:
            cells = (f"{t[stage]['median']:.3g} ({t[stage]['low']:.3g}-{t[stage]['high']:.3g})" for t in found.values())
            out.append(f"| {stage} | " + " | ".join(cells) + " |")
        rates = told["frames_per_second"]
        for batch in next(iter(rates.values())):
            cells = (f"{of[batch]:.0f}" for of in rates.values())
            out.append(f"| offline, {batch} a batch | " + " | ".join(cells) + " |")
        out += ["", " ".join(told.get("remarks", ())), ""]
    return "\n".join(out)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_readme(folder: Path, readme: Path) -> None:
    """Write the tables between the README's marks."""
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{readme.name}: needs the marks {BEGIN} and {END}, once each; put them back")
    block = f"{BEGIN}\n\n{markdown(latest(folder))}\n{gpu_markdown(folder / 'gpu')}\n{END}"
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    atomic_write(readme, re.sub(pattern, lambda _: block, text, flags=re.DOTALL).encode())


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    write_readme(here / "results", here / "README.md")
