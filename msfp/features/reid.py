"""The separate ReID network on crops: OSNet x0.25 (Zhou et al., ICCV 2019), with torchreid's tensor names."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from msfp.features.backbone import device_named
from msfp.features.pooling import BoxSet, Frames, Progress, with_rows
from msfp.features.weights import find, load_strict, read_state

WIDTHS = (16, 64, 96, 128)  # a quarter of (64, 256, 384, 512); the feature keeps 512
FEATURE = 512


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless linear, ReLU: (B, C, h, w) -> (B, D, h / stride, w / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.bn(self.conv(x))
        return found if self.linear else torch.relu_(found)


class LightConv(nn.Module):
    """A 3x3 convolution factorised into pointwise then depthwise ("Lite 3x3")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.bn(self.conv2(self.conv1(x))))


class ChannelGate(nn.Module):
    """Weights in 0..1 for each channel from its global average, through a bottleneck of 1/16."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, C, 1, 1)."""
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class OmniScaleBlock(nn.Module):
    """Residual bottleneck of four gated streams."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.conv1 = ConvBlock(inputs, middle)
        self.conv2a = LightConv(middle)
        self.conv2b, self.conv2c, self.conv2d = (
            nn.Sequential(*(LightConv(middle) for _ in range(count))) for count in (2, 3, 4)
        )
        self.gate = ChannelGate(middle)
        self.conv3 = ConvBlock(middle, outputs, linear=True)
        self.downsample = ConvBlock(inputs, outputs, linear=True) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        narrow = self.conv1(x)
        streams = (self.conv2a(narrow), self.conv2b(narrow), self.conv2c(narrow), self.conv2d(narrow))
        summed = streams[0] * self.gate(streams[0])
        for stream in streams[1:]:
            summed = torch.addcmul(summed, stream, self.gate(stream))
        straight = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.conv3(summed) + straight)


class OSNet(nn.Module):
    """Crops of people to vectors; the classifier of the training set's identities is unused for features."""

    def __init__(self, identities: int = 1) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.conv1 = ConvBlock(3, first, kernel=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(first, second, shrink=True)
        self.conv3 = _stage(second, third, shrink=True)
        self.conv4 = _stage(third, fourth, shrink=False)
        self.conv5 = ConvBlock(fourth, fourth)
        self.fc = nn.Sequential(nn.Linear(fourth, FEATURE), nn.BatchNorm1d(FEATURE), nn.ReLU())
        self.classifier = nn.Linear(FEATURE, identities)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """(B, 3, 256, 128) normalised RGB -> (B, 512) features, not of unit length."""
        x = self.conv4(self.conv3(self.conv2(self.maxpool(self.conv1(crops)))))
        feature: torch.Tensor = self.fc(self.conv5(x).mean((2, 3)))
        return feature


def fold(model: OSNet) -> OSNet:
    """Batch normalisation put into the convolution before it, in place: the same features, for evaluation only."""
    for block in model.modules():
        if isinstance(block, ConvBlock | LightConv) and isinstance(block.bn, nn.BatchNorm2d):
            name = "conv" if isinstance(block, ConvBlock) else "conv2"
            setattr(block, name, fuse_conv_bn_eval(getattr(block, name), block.bn))
            block.bn = nn.Identity()
    return model


def _stage(inputs: int, outputs: int, shrink: bool) -> nn.Sequential:
    blocks: list[nn.Module] = [OmniScaleBlock(inputs, outputs), OmniScaleBlock(outputs, outputs)]
    if shrink:
        blocks.append(nn.Sequential(ConvBlock(outputs, outputs), nn.AvgPool2d(2)))
    return nn.Sequential(*blocks)


EMBEDDED = "osnet_x0_25-synth.safetensors"
RESNET_WIDTH = 2048
CROP = (128, 256)  # width, height
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


def load_reid(weights: str | Path = "embedded", device: str = "cpu", seed: int = 0) -> OSNet:
    """OSNet x0.25, frozen; `weights`: `embedded`, a file with torchreid's names, or the control `random-init`.

    Raises InputError: weights that are missing, damaged or another network's.
    """
    if str(weights) == "random-init":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = OSNet()
    else:
        path = find(weights, EMBEDDED)
        state = read_state(path)
        classifier = state.get("classifier.weight")
        model = OSNet(classifier.shape[0] if classifier is not None and classifier.ndim == 2 else 1)
        if classifier is None:
            # What we ship leaves out the training identities: they say nothing about other people.
            state |= {f"classifier.{key}": value for key, value in model.classifier.state_dict().items()}
        load_strict(model, state, path, "osnet_x0_25")
    return fold(model.eval().requires_grad_(False)).to(memory_format=torch.channels_last).to(device_named(device))


def resnet50(device: str = "cpu") -> torch.nn.Module:
    """ResNet-50 without its classifier, with random weights: to time a separate ReID network of its size."""
    from torchvision.models import resnet50 as make

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make(weights=None)
    model.fc = torch.nn.Identity()
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last).to(device_named(device))


def cut(frame: NDArray[np.uint8], tlwh: NDArray[np.float64], size: tuple[int, int] = CROP) -> NDArray[np.uint8]:
    """(N, height, width, 3) uint8 crops of (N, 4) tlwh boxes, mid-grey where nothing of the box is in the frame."""
    height, width = frame.shape[:2]
    crops = np.full((len(tlwh), size[1], size[0], 3), 128, np.uint8)
    low = np.floor(tlwh[:, :2] - 1.0)
    high = np.ceil(tlwh[:, :2] - 1.0 + tlwh[:, 2:])
    edges = np.concatenate([low, high], 1).clip(0, np.tile((width, height), 2)).astype(np.int64)
    for row, (left, top, right, bottom) in enumerate(edges):
        if right > left and bottom > top:
            crops[row] = cv2.resize(frame[top:bottom, left:right], size)
    return crops


def normalise(crops: NDArray[np.uint8]) -> torch.Tensor:
    """(N, h, w, 3) uint8 RGB -> (N, 3, h, w) float32 with ImageNet's mean and deviation, channels last."""
    return torch.from_numpy((crops.astype(np.float32) / 255.0 - MEAN) / DEVIATION).permute(0, 3, 1, 2)


@torch.inference_mode()
def embed(
    model: torch.nn.Module, frame: NDArray[np.uint8], tlwh: NDArray[np.float64], batch: int = 32,
    size: tuple[int, int] = CROP, width: int = FEATURE,
) -> NDArray[np.float32]:  # fmt: skip
    """(N, width) unit vectors of (N, 4) tlwh boxes, in file coordinates, of a (H, W, 3) uint8 RGB frame."""
    device = next(model.parameters()).device
    crops = cut(frame, np.asarray(tlwh, np.float64).reshape(-1, 4), size)
    out = np.zeros((len(crops), width), np.float32)
    for start in range(0, len(crops), batch):
        given = crops[start : start + batch]
        # On a GPU every pass has one shape, as libraries prepare themselves for each new one: black crops fill it.
        empty = ((0, batch - len(given)), (0, 0), (0, 0), (0, 0))
        shown = given if device.type == "cpu" else np.pad(given, empty)
        features = model(normalise(shown).to(device))[: len(given)]
        out[start : start + batch] = torch.nn.functional.normalize(features).cpu().numpy()
    return out


def extract_reid(
    frames: Frames, box_sets: dict[str, BoxSet], model: OSNet, progress: Progress = None, size: tuple[int, int] = CROP
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.float16]]]:
    """Box set of one scene -> (N,) whether a row's frame has come, and (N, 512) unit vectors, zero where not.

    Raises InputError: boxes that are not finite or have negative sides, or a frame that comes twice.
    """
    out = {
        name: (np.zeros(len(frame), np.bool_), np.zeros((len(frame), FEATURE), np.float16))
        for name, (frame, _) in box_sets.items()
    }
    for _, pixels, rows in with_rows(frames, box_sets, progress):
        # All sets of the frame together: fuller batches.
        here = np.concatenate([np.zeros((0, 4)), *(box_sets[name][1][part] for name, part in rows.items())])
        vectors = embed(model, pixels, here, size=size).astype(np.float16)
        for name, part in rows.items():
            out[name][0][part] = True
            out[name][1][part], vectors = np.split(vectors, [part.stop - part.start])
    return out
