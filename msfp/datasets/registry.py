"""The data sets this project knows, one JSON file each in `known/`: adding one is adding a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from msfp.types import DETECTORS

CUSTOM = "custom"


@dataclass(frozen=True)
class Archive:
    """One file of a data set at its official place."""

    url: str  # where it is
    gigabytes: float  # about how large, where the server does not say
    labels: bool = False  # holds labels or detections and no pixels
    sha256: str = ""  # of the file; empty where its authors publish none

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Dataset:
    """A data set of the field, or one of the embedded worlds."""

    name: str  # in the catalog, `mot17`
    title: str  # as its authors write it
    role: str  # what it is used for here
    licence: str  # of its labels and pixels
    prefixes: tuple[str, ...]  # how the names of its sequences begin
    counts: Mapping[str, int]  # split -> number of scenes
    homepage: str = ""  # where it is had; empty for the embedded worlds
    # suffixes of its sequence folders, one a public detector; empty where folders bear none
    detectors: tuple[str, ...] = ()
    # split -> scene -> number of frames, None where not recorded; no entry where names are not fixed
    sequences: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    archives: tuple[Archive, ...] = ()  # files to fetch; none for the embedded worlds

    def owns(self, sequence: str) -> bool:
        """A sequence's name begins as this data set's do."""
        return sequence.upper().startswith(tuple(prefix.upper() for prefix in self.prefixes))

    def lengths(self, split: str) -> dict[str, int | None]:
        """Names of the sequence folders of a split -> number of frames; empty where they are not fixed."""
        suffixes = [f"-{detector}" for detector in self.detectors] or [""]
        return {scene + s: length for scene, length in self.sequences.get(split, {}).items() for s in suffixes}

    def folders(self, split: str) -> tuple[str, ...]:
        """Names of the sequence folders of a split; empty where they are not fixed."""
        return tuple(self.lengths(split))


def dataset_of(sequence: str) -> str:
    """Name of the data set a sequence's name belongs to, else `custom`."""
    return next((d.name for d in DATASETS.values() if d.owns(sequence)), CUSTOM)


def _read_all() -> Mapping[str, Dataset]:
    found = {}
    for path in sorted(files("msfp.datasets").joinpath("known").iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".json"):
            continue
        entry: dict[str, Any] = json.loads(path.read_text("utf-8"))
        entry["archives"] = [Archive(**one) for one in entry.get("archives", ())]
        columns: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        one = Dataset(name=path.name.removesuffix(".json"), **columns)
        if not set(one.detectors) <= set(DETECTORS):
            raise ValueError(f"{path}: detectors are {', '.join(DETECTORS)}")
        found[one.name] = one
    return MappingProxyType(found)


DATASETS: Mapping[str, Dataset] = _read_all()
