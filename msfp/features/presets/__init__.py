"""Backbone presets: which detector, which layers. A new file here with `PRESETS = (Preset(...), ...)` adds more."""

import importlib
import pkgutil
from dataclasses import dataclass, replace

from msfp.errors import InputError


@dataclass(frozen=True)
class Preset:
    """A detector and the layers read from it, in the paper's order shallow, middle, last (section 3.1).

    Attributes:
        name: as written in `input.preset`.
        architecture: as `ultralytics_model.build` knows it.
        layers: tapped layer indices. Channels and strides are read from the tensors, not written here.
        scene: the layer whose global average is the scene vector (eq. 6).
        embedded: file of the shipped weights, empty where none are shipped.
        remark: why this reading of the paper exists.
        further: layers that Table 4 adds to these; the network is cut deeper for them.
    """

    name: str
    architecture: str
    layers: tuple[int, ...]
    scene: int
    embedded: str = ""
    remark: str = ""
    further: tuple[int, ...] = ()

    def extended(self) -> "Preset":
        """This preset with its further layers tapped too."""
        return replace(self, name=f"{self.name}+", layers=(*self.layers, *self.further), further=())


def presets() -> dict[str, Preset]:
    """All presets by name, found in the files of this folder."""
    found: dict[str, Preset] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        for preset in importlib.import_module(f"{__name__}.{module}").PRESETS:
            found[preset.name] = preset
    return found


def preset_named(name: str) -> Preset:
    """The preset of that name.

    Raises:
        InputError: no such preset; lists those there are.
    """
    known = presets()
    if name not in known:
        raise InputError(f"backbone preset {name!r} is not known; there are: {', '.join(known)}")
    return known[name]
