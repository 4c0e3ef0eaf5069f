"""Backbone presets: which detector, which layers."""

from dataclasses import dataclass, replace

from msfp.errors import InputError


@dataclass(frozen=True)
class Preset:
    """A detector and the layers read from it, in the paper's order shallow, middle, last (section 3.1)."""

    name: str  # as written in `input.preset`
    architecture: str  # as `msfp.features.weights` knows it
    layers: tuple[int, ...]  # tapped layer indices. Channels and strides are read from the tensors, not written here.
    scene: int  # the layer whose global average is the scene vector (eq. 6).
    embedded: str = ""  # file of the shipped weights, empty where none are shipped
    remark: str = ""  # why this reading of the paper exists
    further: tuple[int, ...] = ()  # layers that Table 4 adds to these; the network is cut deeper for them

    def extended(self) -> "Preset":
        """This preset with its further layers tapped too."""
        return replace(self, name=f"{self.name}+", layers=(*self.layers, *self.further), further=())


# The paper's "C2f blocks 4/9/14, strides 4/16/32, channels 64/256/192" fit no YOLOv8: there are several readings.
C2F = (4, 9, 14)
# YOLO11 by role: the layers that do what YOLOv8's 4/9/14 do. RT-DETR: the stages of its backbone at strides 8, 16, 32.
PAPER = "the paper's channels 64/256/192 are exactly YOLOv8n's; matches Table 20 to the parameter"
ROLES = "512 channels at stride 8, 512 at 32, 1024 at 8: the roles of YOLOv8's 4/9/14"
NEAR = "strides 4/16/32 with the channels nearest to the paper's"
PRESETS = (
    Preset("rtdetr-l", "rtdetr-l", (3, 7, 9), 9, remark="HGNetv2 stages 2 to 4"),
    Preset("rtdetr-resnet50", "rtdetr-resnet50", (2, 3, 4), 4, remark="ResNet-50 stages 2 to 4"),
    Preset("rtdetr-resnet101", "rtdetr-resnet101", (2, 3, 4), 4, remark="ResNet-101 stages 2 to 4"),
    Preset("yolo11m", "yolo11m", (4, 9, 15), 15, remark=ROLES),
    Preset("yolov8n-paper", "yolov8n", C2F, 14, "yolov8n-synth.safetensors", PAPER, further=(17,)),
    Preset("yolov8m-paper", "yolov8m", C2F, 14, remark="the paper's words: YOLOv8m, indices 4/9/14", further=(17,)),
    Preset("yolov8m-strides", "yolov8m", (2, 6, 8), 8, remark="the paper's strides 4/16/32 on YOLOv8m"),
    Preset("yolov8s-near", "yolov8s", (2, 6, 19), 19, remark=NEAR),
    Preset("yolov8s-paper", "yolov8s", C2F, 14, remark="Table 22's size s", further=(17,)),
    Preset("yolov8l-paper", "yolov8l", C2F, 14, remark="Table 22's size l", further=(17,)),
    Preset("yolov8x-paper", "yolov8x", C2F, 14, remark="Table 22's size x", further=(17,)),
)


def presets() -> dict[str, Preset]:
    """All presets by name."""
    return {preset.name: preset for preset in PRESETS}


def preset_named(name: str) -> Preset:
    """The preset of that name. Raises InputError: no such preset; lists those there are."""
    known = presets()
    if name not in known:
        raise InputError(f"backbone preset {name!r} is not known; there are: {', '.join(known)}")
    return known[name]
