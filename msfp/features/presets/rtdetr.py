"""RT-DETR: three stages of its convolutional backbone at strides 8, 16 and 32."""

from msfp.features.presets import Preset

PRESETS = (
    Preset("rtdetr-l", "rtdetr-l", (3, 7, 9), scene=9, remark="HGNetv2 stages 2 to 4"),
    Preset("rtdetr-resnet50", "rtdetr-resnet50", (2, 3, 4), scene=4, remark="ResNet-50 stages 2 to 4"),
    Preset("rtdetr-resnet101", "rtdetr-resnet101", (2, 3, 4), scene=4, remark="ResNet-101 stages 2 to 4"),
)
