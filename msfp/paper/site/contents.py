"""What the report of a run says, before it is laid out in pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msfp.paper.cell_samples import Evidence
from msfp.paper.claims.verdict import Verdict
from msfp.types import Cell


@dataclass(frozen=True)
class Contents:
    """Everything the report is written from.

    Attributes:
        figures: `figures/<profile>`, with `figureNN.svg`, `.png` and `.pdf`.
        tables: `runs/<profile>/tables`, with `tableNN.csv`, `.md` and `.tex`.
        notebooks: executed notebooks, in order.
        cells, evidence: of each table, and what they were measured from, by number.
        manifest: where the run comes from; mappings inside become sections.
        findings: artefact id (`table03`) -> sentences computed from the numbers.
        choices: the settled switches, (key, value used, other choices, why there is a choice).
        notes: remarks of the run.
        events: what happened, such as damaged store entries that were computed again.
        limits: what the numbers do not show.
        absent: artefact id -> why it could not be made.
        stale: artefact id -> why it is not of this code and these settings.
        options: command-line options that make the same run; empty: `--profile <profile>`.
        embedded: whether the run's data are rendered worlds, whose construction decides some claims.
        names: texts to show in place of others, such as folders of this machine.
    """

    profile: str
    figures: Path
    tables: Path
    notebooks: Sequence[Path] = ()
    cells: Mapping[int, Sequence[Cell]] = field(default_factory=dict)
    evidence: Mapping[int, Evidence] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    findings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    choices: Sequence[tuple[str, str, str, str]] = ()
    notes: Sequence[str] = ()
    events: Sequence[str] = ()
    limits: Sequence[str] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)
    options: str = ""
    verdicts: Sequence[Verdict] = ()
    embedded: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> str:
        """The options, never empty."""
        return self.options or f"--profile {self.profile}"
