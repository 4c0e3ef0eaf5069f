"""Rows of Tables 18 and 22: the paper's detectors by their presets, and those of this run that the paper has not."""

from pathlib import Path

from msfp.pipeline.detectors import architecture, detectors
from msfp.pipeline.run import Run

PRESETS = {
    "YOLOv8s": "yolov8s-paper",
    "YOLOv8m": "yolov8m-paper",
    "YOLOv8l": "yolov8l-paper",
    "YOLOv8x": "yolov8x-paper",
    "YOLO11m": "yolo11m",
    "RT-DETR-R50": "rtdetr-resnet50",
    "RT-DETR-R101": "rtdetr-resnet101",
}


def rows(run: Run, labels: dict[str, str]) -> dict[str, str]:
    """Label -> preset: the paper's rows, then this run's detectors that the paper does not list.

    Args:
        run: the run.
        labels: the table's label -> name in `PRESETS`.
    """
    found = {label: PRESETS[name] for label, name in labels.items()}
    for preset, one in detectors(run).items():
        if preset not in found.values():
            found[f"{preset} ({Path(one.settings.input.weights).stem} weights)"] = preset
    return found


def described(run: Run, preset: str) -> str:
    """`layers 4/9/14: 64/256/192 channels at strides 8/32/8`, read from the network."""
    backbone = run.backbone()
    layers, channels, strides = ("/".join(map(str, each)) for each in (
        backbone.layers, backbone.channels.values(), backbone.strides.values()))  # fmt: skip
    return f"{architecture(preset).architecture}, layers {layers}: {channels} channels at strides {strides}"
