"""Heads and ATL in one file, once they are learned: for machines that lack the data they were learned from."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.config import AtlSettings, FusionSettings
from msfp.data.catalog import DATASETS
from msfp.engine.files import atomic_write
from msfp.errors import InputError
from msfp.experiment.detections import own_detections
from msfp.experiment.folders import LEARN_FROM, learning_parts, method_from
from msfp.experiment.heads import TRAINING_FREE, head_inputs
from msfp.experiment.live import LiveThresholds
from msfp.experiment.run import Run
from msfp.experiment.thresholds import detectors_of, train_atl
from msfp.experiment.thresholds import taught as as_trained
from msfp.experiment.tracks import Method
from msfp.heads.fusion import FusionHead
from msfp.heads.training import ScenePredictor, restore_head
from msfp.heads.triplets import as_arrays

KIND = "msfp heads 1"
PACE = 0.2  # seconds of one core that a detector of YOLOv8n's size takes for a frame of 640 x 384
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learned:
    """A head and thresholds as they are used; None where a method has none."""

    head: FusionHead | None
    atl: LiveThresholds | None


def save_learned(path: Path, learned: Learned, run: Run) -> None:
    """Write a head and ATL into a .safetensors file, together with the detector that they belong to."""
    from safetensors.numpy import save

    tensors: dict[str, NDArray[np.float32]] = {}
    about: dict[str, Any] = {"weights": run.weights_digest(), "size": run.settings.input.size}
    if (head := learned.head) is not None:
        tensors |= {f"head.{name}": value for name, value in as_arrays(head.state_dict()).items()}
        channels = {str(layer): width for layer, width in head.channels.items()}
        about["head"] = {"name": head.name, "channels": channels, "settings": head.config.model_dump(mode="json")}
    if (atl := learned.atl) is not None:
        tensors |= {f"atl.{name}": value for name, value in as_arrays(atl.predictor.encoder.state_dict()).items()}
        about["atl"] = {
            "predicts": atl.predictor.mode,
            "mode": atl.mode,
            "beta": atl.beta,
            "center": atl.center,
            "settings": atl.run.settings.atl.model_dump(mode="json"),
        }
    atomic_write(path, save(tensors, {"kind": KIND, "about": json.dumps(about)}))


def load_learned(path: Path, run: Run) -> Learned:
    """Read what `save_learned` wrote; InputError: not such a file, or learned with another detector than the run's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            told = file.metadata() or {}
            if told.get("kind") != KIND:
                raise ValueError("of another kind")
            about = json.loads(told["about"])
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dictionary
        if about["weights"] != run.weights_digest():
            raise InputError(f"{path}: learned with another detector; give the --weights it was learned with")
        size, own = tuple(about.get("size", run.settings.input.size)), run.settings.input.size
        if size != own:
            log.warning("%s: learned at %dx%d, used at %dx%d; people may be told apart less well", path, *size, *own)
        tensors = {
            part: {name.removeprefix(part): value for name, value in found.items() if name.startswith(part)}
            for part in ("head.", "atl.")
        }
        head = atl = None
        if (one := about.get("head")) is not None:
            channels = {int(layer): int(width) for layer, width in one["channels"].items()}
            head = restore_head(one["name"], channels, tensors["head."], FusionSettings.model_validate(one["settings"]))
        if (one := about.get("atl")) is not None:
            settings, backbone = AtlSettings.model_validate(one["settings"]), run.backbone()
            width = backbone.channels[backbone.preset.scene]
            predictor = ScenePredictor(one["predicts"], width, tensors["atl."], settings)
            atl = LiveThresholds(run.variant(atl=settings), predictor, one["mode"], one["beta"], one["center"])
        return Learned(head, atl)
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{path}: not heads that msfp can use ({str(error)[:120]}); write them with --save-heads"
        ) from None


def unlearned(run: Run, words: Mapping[str, Any]) -> str:
    """A line on what a method, in `method_from`'s words, has to learn first, and for how long; empty: nothing."""
    bare, root, config = method_from(run, **words, taught=True), words["learn"], run.settings
    wanted = [f"the embedding {bare.look.strategy}"] if bare.look and bare.look.strategy not in TRAINING_FREE else []
    if not (wanted := wanted + ["ATL"] * (bare.threshold.kind == "atl")):
        return ""
    frames = DATASETS[LEARN_FROM].counts["train"] * config.data.frames * config.data.train_times
    if root or (run.embedded_folder / LEARN_FROM).is_dir():
        parts = learning_parts(run.variant(detections="public"), root)
        seen = all(own_detections.is_stored(run, part.scene) for part in parts)
        if seen and _is_known(run, method_from(run, **words)):
            return ""
        frames = sum(part.length for part in parts)
    pace = PACE if config.device == "cpu" else PACE / 10
    minutes = max(1, round(frames * pace * float(np.prod(config.input.size)) / (640 * 384) / 60))
    return (
        f"learning {' and '.join(wanted)} first, from {frames} frames of {root or 'the drawn scenes'}: about {minutes} "
        f"minute{'s' * (minutes > 1)} on one core; kept in {run.out} for later calls"
    )


def _is_known(run: Run, method: Method) -> bool:
    look, rule, known = method.look, method.threshold, True
    if look is not None and look.strategy not in TRAINING_FREE:
        known = run.store.contains("head", str(head_inputs(run, look)["heads"]))
    if known and rule.kind == "atl":
        known = train_atl.is_stored(run, as_trained(run, rule), next(iter(detectors_of(rule.learn)), ""))
    return known
