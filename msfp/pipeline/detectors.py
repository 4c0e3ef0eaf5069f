"""Several detectors in one run (Tables 18 and 22): each a run of its own preset and weights that shares the store."""

from typing import TYPE_CHECKING

from msfp.errors import NotComputable
from msfp.pipeline.run import SETTING, Run, pairs

if TYPE_CHECKING:
    from msfp.features.presets import Preset


def detectors(run: Run) -> dict[str, Run]:
    """Preset -> run, the run's own detector first."""
    own = run.settings.input
    found = {own.preset: run}
    for preset, weights in pairs(own.families).items():
        found.setdefault(preset, run.variant(input=own.model_copy(update={"preset": preset, "weights": weights})))
    return found


def run_with(run: Run, preset: str) -> Run:
    """The run with a preset's detector; NotComputable, with the option to give, where its weights were not named."""
    if found := detectors(run).get(preset):
        return found
    raise NotComputable(
        f"needs weights of {architecture(preset).architecture}: --param {SETTING}={preset}=FILE (.pt or "
        ".safetensors), several separated by commas"
    )


def architecture(preset: str) -> "Preset":
    from msfp.features.presets import preset_named

    return preset_named(preset)
