"""The data sets this project knows, one JSON file each in `known/`: adding one is adding a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

from msfp.types import DETECTORS

CUSTOM = "custom"


@dataclass(frozen=True)
class Archive:
    """One file of a data set at its official place.

    Attributes:
        url: where it is.
        gigabytes: about how large, where the server does not say.
        labels: holds labels or detections and no pixels.
        sha256: of the file; empty where its authors publish none.
    """

    url: str
    gigabytes: float
    labels: bool = False
    sha256: str = ""

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Dataset:
    """A data set of the field, or one of the embedded worlds.

    Attributes:
        name: in the catalog, `mot17`.
        title: as its authors write it.
        role: what it is used for here.
        licence: of its labels and pixels.
        homepage: where it is had; empty for the embedded worlds.
        prefixes: how the names of its sequences begin.
        detectors: suffixes of its sequence folders, one a public detector; empty where folders bear none.
        counts: split -> number of scenes.
        sequences: split -> scene -> number of frames, None where not recorded; no entry where names are not fixed.
        archives: files to fetch; none for the embedded worlds.
    """

    name: str
    title: str
    role: str
    licence: str
    homepage: str
    prefixes: tuple[str, ...]
    detectors: tuple[str, ...]
    counts: Mapping[str, int]
    sequences: Mapping[str, Mapping[str, int | None]]
    archives: tuple[Archive, ...] = ()

    def owns(self, sequence: str) -> bool:
        """Whether a sequence's name begins as this data set's do."""
        return sequence.upper().startswith(tuple(prefix.upper() for prefix in self.prefixes))

    def folders(self, split: str) -> tuple[str, ...]:
        """Names of the sequence folders of a split; empty where they are not fixed."""
        scenes = self.sequences.get(split, {})
        suffixes = [f"-{detector}" for detector in self.detectors] or [""]
        return tuple(scene + suffix for scene in scenes for suffix in suffixes)


def dataset_of(sequence: str) -> str:
    """Name of the data set a sequence's name tells of, `custom` where it tells of none."""
    return next((d.name for d in DATASETS.values() if d.owns(sequence)), CUSTOM)


def _discover() -> Mapping[str, Dataset]:
    found = {}
    for path in sorted(files("msfp.datasets").joinpath("known").iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".json"):
            continue
        name = path.name.removesuffix(".json")
        entry = json.loads(path.read_text("utf-8"))
        prefixes, detectors = tuple(entry.pop("prefixes")), tuple(entry.pop("detectors"))
        if not set(detectors) <= set(DETECTORS):
            raise ValueError(f"{path}: detectors are {', '.join(DETECTORS)}")
        archives = tuple(Archive(**file) for file in entry.pop("archives", ()))
        found[name] = Dataset(name=name, prefixes=prefixes, detectors=detectors, archives=archives, **entry)
    return MappingProxyType(found)


DATASETS: Mapping[str, Dataset] = _discover()
