"""Several detectors in one run (Tables 18 and 22): each a run of its own preset and weights that shares the store."""

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msfp.errors import InputError, NotComputable
from msfp.pipeline.run import Run

if TYPE_CHECKING:
    from msfp.features.presets import Preset

SETTING = "input.families"


def pairs(families: Iterable[str]) -> dict[str, str]:
    """`["yolov8s-paper=yolov8s.pt"]` -> preset -> weights.

    Raises:
        InputError: not written so, an unknown preset, one twice, or weights that are not there.
    """
    from msfp.features.presets import preset_named
    from msfp.features.weights import find

    found: dict[str, str] = {}
    for text in families:
        name, equals, weights = text.partition("=")
        if not equals or not weights:
            raise InputError(f"{SETTING} {text}: write PRESET=WEIGHTS, several separated by commas")
        preset = preset_named(name)
        if name in found:
            raise InputError(f"{SETTING}: {name} is named twice")
        found[name] = weights if weights == "random-init" else str(find(weights, preset.embedded).resolve())
    return found


def absolute(overrides: str, families: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The same overrides and families with weights by their full paths, as a notebook runs in another folder.

    Raises:
        InputError: as `pairs`.
    """
    named = tuple(f"{preset}={weights}" for preset, weights in pairs(families).items())
    words = [w for w in shlex.split(overrides) if not w.startswith(f"{SETTING}=")]
    return shlex.join([*words, f"{SETTING}={','.join(named)}"]), named


def detectors(run: Run) -> dict[str, Run]:
    """Preset -> run, the run's own detector first."""
    own = run.settings.input
    found = {own.preset: run}
    for preset, weights in pairs(own.families).items():
        found.setdefault(preset, run.variant(input=own.model_copy(update={"preset": preset, "weights": weights})))
    return found


def run_with(run: Run, preset: str) -> Run:
    """The run with a preset's detector.

    Raises:
        NotComputable: its weights were not named; says how they are.
    """
    found = detectors(run)
    if preset not in found:
        raise NotComputable(
            f"needs weights of {architecture(preset).architecture}: --param {SETTING}={preset}=FILE (.pt or "
            ".safetensors), several separated by commas"
        )
    return found[preset]


def architecture(preset: str) -> "Preset":
    """A preset by name."""
    from msfp.features.presets import preset_named

    return preset_named(preset)
