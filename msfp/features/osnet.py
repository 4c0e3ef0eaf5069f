"""OSNet x0.25, the separate re-identification network (Zhou et al., ICCV 2019), with torchreid's tensor names.

A block looks at its input at four scales: streams of one to four light 3x3 convolutions (receptive fields 3, 5, 7, 9),
each weighted channel by channel by one gate that all streams share, then summed.
"""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Width 0.25 of (64, 256, 384, 512); the feature keeps 512.
WIDTHS = (16, 64, 96, 128)
FEATURE = 512
STREAMS = {"conv2a": 1, "conv2b": 2, "conv2c": 3, "conv2d": 4}


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless linear, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, h, w) -> (B, outputs, h / stride, w / stride)."""
        if self.linear:
            linear: torch.Tensor = self.bn(self.conv(x))
            return linear
        return torch.relu_(self.bn(self.conv(x)))


class LightConv(nn.Module):
    """A 3x3 convolution factorised into pointwise then depthwise ("Lite 3x3")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
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
        self.conv2b = nn.Sequential(*[LightConv(middle) for _ in range(STREAMS["conv2b"])])
        self.conv2c = nn.Sequential(*[LightConv(middle) for _ in range(STREAMS["conv2c"])])
        self.conv2d = nn.Sequential(*[LightConv(middle) for _ in range(STREAMS["conv2d"])])
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
    """Crops of people to vectors.

    Attributes:
        classifier: identities of the training set; unused for features.
    """

    def __init__(self, identities: int = 1) -> None:
        """Make the network with random weights."""
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
        if isinstance(block, ConvBlock) and isinstance(block.bn, nn.BatchNorm2d):
            block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
        elif isinstance(block, LightConv) and isinstance(block.bn, nn.BatchNorm2d):
            block.conv2, block.bn = fuse_conv_bn_eval(block.conv2, block.bn), nn.Identity()
    return model


def _stage(inputs: int, outputs: int, shrink: bool) -> nn.Sequential:
    blocks: list[nn.Module] = [OmniScaleBlock(inputs, outputs), OmniScaleBlock(outputs, outputs)]
    if shrink:
        blocks.append(nn.Sequential(ConvBlock(outputs, outputs), nn.AvgPool2d(2)))
    return nn.Sequential(*blocks)
