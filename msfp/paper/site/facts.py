"""What a reader may want to know about a number besides the number: its seeds, its sequences, its interval."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from msfp.errors import NotComputable
from msfp.metrics.statistics import LEVEL
from msfp.paper.cell_samples import Evidence
from msfp.types import Cell

MOST_NAMES = 8


def known(cells: Iterable[Cell], evidence: Evidence) -> list[Cell]:
    """The cells, each measured one with what the evidence adds to its detail."""
    return [replace(cell, detail=cell.detail | measured_from(cell, evidence)) for cell in cells]


def measured_from(cell: Cell, evidence: Evidence) -> dict[str, str | float | int]:
    """Values of the training seeds, units that were drawn and the interval over them; nothing where none is kept."""
    if cell.source != "measured":
        return {}
    try:
        sample = evidence.sample(cell.row, cell.column)
    except NotComputable:
        return {}
    found: dict[str, str | float | int] = {}
    if len(sample.seeds) > 1:
        found["by seed"] = ", ".join(f"{x:.6g}" for x in sample.seeds)
    if sample.units:
        # People have no names worth reading: their number is what counts.
        listed = f": {', '.join(sample.units)}" if sample.kind == "scenes" and len(sample.units) <= MOST_NAMES else ""
        found["measured on"] = f"{len(sample.units)} {sample.kind}{listed}"
    try:
        low, high = sample.interval()
        found[f"{100 * LEVEL:g} % interval"] = f"{low:.4g} to {high:.4g}"
    except NotComputable as error:
        found |= {"interval": str(error)} if sample.units else {}
    return found


def sections(manifest: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A manifest as headed lists of (key, text); single values come first under no heading."""
    single = [(str(k), _text(v)) for k, v in manifest.items() if not isinstance(v, Mapping)]
    nested = [(str(k), _flat(v)) for k, v in manifest.items() if isinstance(v, Mapping) and v]
    return ([("", single)] if single else []) + nested


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, _text(value))]
    return found


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(v) for v in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value))
    return "–" if value is None else str(value)
