"""ultralytics architectures built quietly: no prints, no network, no installation, no files in ~/.config."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msfp.errors import InputError

# Architecture family -> (yaml below ultralytics/cfg/models, is it an RT-DETR). A YOLO's size letter follows its family.
FAMILIES = {
    "yolov8": ("v8/yolov8.yaml", False),
    "yolo11": ("11/yolo11.yaml", False),
    "rtdetr-l": ("rt-detr/rtdetr-l.yaml", True),
    "rtdetr-resnet50": ("rt-detr/rtdetr-resnet50.yaml", True),
    "rtdetr-resnet101": ("rt-detr/rtdetr-resnet101.yaml", True),
}
SCALES = "nsmlx"


def prepare_environment() -> None:
    """Keep ultralytics from printing, installing, calling out and writing into ~/.config; before its first import."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_folder()))


def cache_folder() -> Path:
    """Where settings of ultralytics and downloaded weights are kept; a temporary folder where home is not writable."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msfp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / "msfp"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(architecture: str, classes: int = 80, seed: int = 0, fused: bool = True) -> Any:
    """An ultralytics detection model (untyped, as ultralytics is) with seeded random weights.

    `architecture`: `yolov8n`, `yolo11m`, `rtdetr-l`, `rtdetr-resnet50`, ... `classes`: number of classes of the head.
    `fused`: fold batch normalisation into the convolutions (evaluation) or keep it (training).
    Raises InputError: an unknown architecture.
    """
    if not is_known(architecture):
        known = [name if detr else f"{name}[{SCALES}]" for name, (_, detr) in FAMILIES.items()]
        raise InputError(f"architecture {architecture!r} is not known; there are: {', '.join(known)}")
    family, scale = (architecture, "l") if architecture in FAMILIES else (architecture[:-1], architecture[-1])
    yaml, detr = FAMILIES[family]
    options = np.get_printoptions()
    prepare_environment()
    import ultralytics
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
    from ultralytics.utils import YAML

    np.set_printoptions(**options)  # ultralytics changes how arrays print, everywhere
    config: dict[str, Any] = YAML.load(Path(ultralytics.__file__).parent / "cfg" / "models" / yaml)
    config["scale"] = scale
    config["yaml_file"] = yaml
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = RTDETRDetectionModel if detr else DetectionModel
        model = kind(config, nc=classes, verbose=False)
    if fused:
        model = model.eval().fuse(verbose=False)
    return model


def is_known(architecture: str) -> bool:
    """True for a family's name and a size letter, or an RT-DETR's name."""
    if architecture in FAMILIES:
        return FAMILIES[architecture][1]
    return architecture[-1:] in tuple(SCALES) and not FAMILIES.get(architecture[:-1], ("", True))[1]
