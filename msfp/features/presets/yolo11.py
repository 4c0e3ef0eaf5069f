"""YOLO11 by role: the layers that do what YOLOv8's 4/9/14 do."""

from msfp.features.presets import Preset

PRESETS = (
    Preset(
        "yolo11m",
        "yolo11m",
        (4, 9, 15),
        scene=15,
        remark="512 channels at stride 8, 512 at 32, 1024 at 8: the roles of YOLOv8's 4/9/14",
    ),
)
