"""Cells from measured values: mean and spread over seeds, or the reason why there is none."""

from collections.abc import Callable, Iterable, Mapping
from statistics import fmean, stdev

from msfp.errors import NotComputable
from msfp.metrics.statistics import Sample
from msfp.paper.cell_samples import MeasuredCell, Tracked, tracked
from msfp.pipeline.scores import Measured, combined
from msfp.types import Cell

UNITS = {"HOTA": "%", "AssA": "%", "DetA": "%", "IDF1": "%", "MOTA": "%", "IDSW": ""}
NO_TIME = "time differs from run to run: extra table 104 has it (`msfp table 104`), so that this table repeats exactly"
Detail = dict[str, str | float | int]


def cell(
    row: str,
    column: str,
    values: Iterable[float],
    unit: str = "",
    detail: Detail | None = None,
    basis: Tracked | Sample | None = None,
    measure: str = "",
) -> Cell:
    """Mean over seeds, and their sample standard deviation where there are several.

    Args:
        row, column, unit, detail: as in `types.Cell`.
        values: one a seed.
        basis: what intervals can be computed from.
        measure: its name in `basis`; empty: the column's.
    """
    found = list(values)
    spread = stdev(found) if len(found) > 1 else None
    known = {**(detail or {}), "runs": len(found)}
    return MeasuredCell(
        row, column, fmean(found), spread, unit=unit, detail=known, seeds=tuple(found), basis=basis, measure=measure
    )


def attempt(
    row: str,
    column: str,
    values: Callable[[], Iterable[float]],
    unit: str = "",
    basis: Callable[[], Sample] | None = None,
) -> Cell:
    """The cell of values that may not be computable; then it says why."""
    try:
        return cell(row, column, values(), unit, basis=basis() if basis else None)
    except NotComputable as error:
        return Cell(row, column, None, source="n/a", reason=str(error), unit=unit)


def absent(row: str, columns: Iterable[str], reason: str) -> list[Cell]:
    """Cells that share one reason."""
    return [Cell(row, column, None, source="n/a", reason=reason, unit=UNITS.get(column, "")) for column in columns]


def tracking_cells(
    row: str, runs: Iterable[Iterable[Measured]], columns: Iterable[str], rename: Mapping[str, str] | None = None
) -> list[Cell]:
    """Cells of a row from one group of measurements per seed, each combined over its sequences.

    Args:
        row: label.
        runs: for each seed what was measured on every sequence.
        columns: measures, as `scores.combined` names them.
        rename: measure -> column label, where the table's differs.
    """
    groups = [list(group) for group in runs]
    try:
        totals = [combined(group) for group in groups]
        basis = tracked(groups)
    except NotComputable as error:
        return absent(row, [(rename or {}).get(c, c) for c in columns], str(error))
    detail: Detail = {"sequences": int(totals[0]["sequences"])}
    return [
        cell(row, (rename or {}).get(c, c), [t[c] for t in totals], UNITS.get(c, ""), detail, basis, c) for c in columns
    ]
