"""The frozen detector, cut after its deepest tapped layer: images in, feature maps out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MethodType
from typing import Any, Literal, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.errors import InputError
from msfp.features.gpu import blocks
from msfp.features.presets import Preset, preset_named
from msfp.features.weights import load_detector
from msfp.types import tlwh_to_xyxy, xyxy_to_tlwh

Geometry = Literal["letterbox", "paper_scale"]
GREY = 114


@dataclass(frozen=True)
class Letterbox:
    """How an image of one size lies in the network's input."""

    image: tuple[int, int]  # (width, height) of the image
    size: tuple[int, int]  # (width, height) of the network's input, multiples of 32
    content: tuple[int, int]  # (width, height) that the resized image takes inside the input
    offset: tuple[int, int]  # (left, top) of the content, in input pixels

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels an image pixel, along x and y; exact, so that boxes follow the rounding of the content."""
        return self.content[0] / self.image[0], self.content[1] / self.image[1]

    def apply(self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The network's input, (size[1], size[0], 3) uint8, of a (H, W, 3) uint8 image, grey where it does not reach.

        `out`: filled and returned; None makes one. Raises InputError: an image of another size.
        """
        if frame.shape[:2] != self.image[::-1]:
            raise InputError(
                f"image is {frame.shape[1]}x{frame.shape[0]} where {self.image[0]}x{self.image[1]} was declared; "
                "correct seqinfo.ini or replace the image"
            )
        if out is None:
            out = np.empty((self.size[1], self.size[0], 3), np.uint8)
        left, top = self.offset
        right, bottom = left + self.content[0], top + self.content[1]
        for margin in (out[:top], out[bottom:], out[top:bottom, :left], out[top:bottom, right:]):
            margin[...] = GREY
        content = out[top:bottom, left:right]
        if self.content == self.image:
            content[...] = frame
        else:
            cv2.resize(frame, self.content, content)
        return out

    def to_network(self, tlwh: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 4) file-coordinate tlwh -> (N, 4) xyxy in input pixels, whose first pixel's left edge is 0."""
        xyxy = tlwh_to_xyxy(np.asarray(tlwh, np.float64).reshape(-1, 4)) - 1.0
        return xyxy * np.tile(self.scale, 2) + np.tile(self.offset, 2)

    def to_file(self, xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 4) xyxy in input pixels -> (N, 4) file-coordinate tlwh; the inverse of `to_network`."""
        image = (np.asarray(xyxy, np.float64).reshape(-1, 4) - np.tile(self.offset, 2)) / np.tile(self.scale, 2)
        return np.asarray(xyxy_to_tlwh(image + 1.0), np.float64)


def fit(image: tuple[int, int], size: tuple[int, int], geometry: Geometry = "letterbox") -> Letterbox:
    """Place an image, (width, height) in pixels, in a network input.

    `letterbox` keeps the aspect ratio and centres: 1920x1080 in 1280x736 becomes 1280x720 with 8 px above and below.
    `paper_scale` is A.6 to the letter, s_x = 1280 / W and s_y = 720 / H without a pad: the image is stretched to 16:9
    from the top left corner, and only the rows that a multiple of 32 needs stay grey below it.
    Raises InputError: sizes that are not positive or not multiples of 32, or an unknown geometry.
    """
    if min(*image, *size) <= 0 or any(side % STRIDE for side in size):
        raise InputError(
            f"network input {size[0]}x{size[1]} for images {image[0]}x{image[1]}: multiples of 32 are needed"
        )
    if geometry == "letterbox":
        scale = min(size[0] / image[0], size[1] / image[1])
        content = (max(1, round(image[0] * scale)), max(1, round(image[1] * scale)))
        return Letterbox(image, size, content, ((size[0] - content[0]) // 2, (size[1] - content[1]) // 2))
    if geometry == "paper_scale":
        return Letterbox(image, size, (size[0], min(size[1], round(size[0] * 9 / 16))), (0, 0))
    raise InputError(f"geometry {geometry!r} is not known; there are: letterbox, paper_scale")


def activated(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B, D, h, w): SiLU of a convolution; without gradients in fewer operators."""
    if conv.bias is not None and blocks.can_fuse(x):
        return blocks.conv_silu(conv, x)
    # Of lower precisions oneDNN's operator asks for instructions that not every processor has.
    fusable = x.device.type == "cpu" and x.dtype == torch.float32
    if not fusable or torch.is_grad_enabled() or not available():
        return nn.functional.silu(conv(x))
    return _operator(conv, x)


def fuse(module: nn.Module) -> None:
    """Make ultralytics' blocks of a frozen network with folded batch norms pass memory less often, in place."""
    from ultralytics.nn.modules.block import SPPF, C2f
    from ultralytics.nn.modules.conv import Conv

    for block in module.modules():
        if isinstance(block, C2f) and type(block).forward is C2f.forward:
            vars(block)["forward"] = MethodType(_cross_stage, block)
        elif isinstance(block, SPPF) and type(block).forward is SPPF.forward:
            vars(block)["forward"] = MethodType(_pyramid, block)
        elif isinstance(block, Conv) and not hasattr(block, "bn") and isinstance(block.act, nn.SiLU):
            vars(block)["forward"] = MethodType(_conv_silu, block)


def _conv_silu(block: Any, x: torch.Tensor) -> torch.Tensor:
    return activated(block.conv, x)


def _cross_stage(block: Any, x: torch.Tensor) -> torch.Tensor:
    """C2f without a copy by halves: `torch.cat` is twice as slow on the halves of a map as on the map."""
    if blocks.can_fuse(x) and _plain(block.cv1, block.cv2, *(c for b in block.m for c in (b, b.cv1, b.cv2))):
        return blocks.cross_stage(block, x)
    pieces = [block.cv1(x)]
    last = pieces[0].chunk(2, 1)[1]
    for bottleneck in block.m:
        last = bottleneck(last)
        pieces.append(last)
    joined: torch.Tensor = block.cv2(torch.cat(pieces, 1))
    return joined


def _pyramid(block: Any, x: torch.Tensor) -> torch.Tensor:
    """SPPF, on a GPU in one pass for all its windows."""
    known = getattr(block, "n", 3) == 3 and not getattr(block, "add", False)
    if known and blocks.can_fuse(x) and _plain(block.cv1, block.cv2):
        return blocks.pyramid(block, x)
    found: torch.Tensor = type(block).forward(block, x)
    return found


def _plain(*parts: Any) -> bool:
    """Whether these are bottlenecks, and convolutions with a bias of their own that SiLU follows."""
    from ultralytics.nn.modules.block import Bottleneck

    convolutions = [p for p in parts if type(p) is not Bottleneck]
    return all(hasattr(p, "conv") and p.conv.bias is not None and isinstance(p.act, nn.SiLU) for p in convolutions)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether oneDNN's operator is there and computes what its parts do; it is not among PyTorch's documented ones."""
    if not torch.backends.mkldnn.is_available():
        return False
    with torch.random.fork_rng(devices=[]):  # whoever has seeded goes on as if nobody had asked
        conv, x = nn.Conv2d(3, 4, 3, 2, 1), torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)
    try:
        with torch.inference_mode():
            return torch.allclose(_operator(conv, x), nn.functional.silu(conv(x)), atol=1e-5)
    except (AttributeError, RuntimeError):  # not in this version, or called otherwise
        return False


def _operator(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    place = (conv.padding, conv.stride, conv.dilation, conv.groups)
    fused: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(x, conv.weight, conv.bias, *place, "swish", [], "")
    return fused


STRIDE = 32  # what the strides of YOLOs and RT-DETRs divide


@dataclass(frozen=True)
class Part:
    """Some channels of a tapped map, possibly at a coarser resolution than the tap itself."""

    map: torch.Tensor  # (B, C, h, w) tensor
    upsample: int = 1  # the tap shows `map` repeated this many times along height and width (nearest)


class Backbone:
    """A frozen detector that stops after its deepest tapped layer (section 3.1).

    `channels`, `strides` (network pixels) of each layer are read from the tensors.
    """

    precision = torch.float16  # in which it can run on a GPU

    def __init__(self, model: Any, preset: Preset, device: str = "cpu", also: Iterable[int] = ()) -> None:
        """Take what the taps and the modules in `also` need out of an ultralytics model with folded batch norms."""
        self.preset, self.layers = preset, preset.layers
        self.device = device_named(device)
        modules = list(model.model)
        self._sources = {layer: _sources(modules, layer) for layer in preset.layers}
        # A tap may be a concatenation that is put together from other maps without being run.
        wanted = {source for sources in self._sources.values() for source, _ in sources} | set(also)
        self._for_taps = _needed(modules, wanted - set(also))
        self.executed = _needed(modules, wanted)
        self._keep = wanted | {j for i in self.executed for j in inputs_of(modules[i])}
        last = {j: i for i in self.executed for j in inputs_of(modules[i])}
        self._done = {i: [j for j in last if last[j] == i and j not in wanted] for i in self.executed}
        self._modules = nn.ModuleDict({str(i): modules[i] for i in self.executed})
        self._modules.eval().requires_grad_(False)
        fuse(self._modules)
        self._modules.to(memory_format=torch.channels_last).to(self.device)
        maps = self.maps(torch.zeros(1, 3, 4 * STRIDE, 4 * STRIDE))
        self.channels = {k: m.shape[1] for k, m in maps.items()}
        self.strides = {k: 4 * STRIDE // m.shape[-1] for k, m in maps.items()}

    @classmethod
    def load(
        cls, preset: str | Preset, weights: str | Path = "embedded", device: str = "cpu", seed: int = 0, **options: Any
    ) -> Self:
        """Load a preset's network, frozen; `weights`: as of `load_detector`.

        Raises InputError: unknown preset or device, or weights that are missing, damaged or another architecture's.
        """
        chosen = preset_named(preset) if isinstance(preset, str) else preset
        found = cls(load_detector(chosen.architecture, weights, chosen.embedded, seed), chosen, device, **options)
        # Maps of random weights grow from layer to layer, beyond what half precision holds.
        found.precision = torch.float32 if str(weights) == "random-init" else torch.float16
        return found

    @torch.inference_mode()
    def parts(self, batch: torch.Tensor) -> dict[int, tuple[Part, ...]]:
        """Layer -> pieces that its map is concatenated from, coarse ones left coarse, of (B, 3, H, W) RGB in 0..1."""
        return self._taps(self._forward(batch, self._for_taps))

    def maps(self, batch: torch.Tensor) -> dict[int, torch.Tensor]:
        """Layer -> (B, C, H / stride, W / stride) tapped map of (B, 3, H, W) RGB in 0..1, H and W multiples of 32."""
        return {layer: whole(parts) for layer, parts in self.parts(batch).items()}

    def modules(self) -> Iterator[nn.Module]:
        """All modules that a forward pass runs, and their parts."""
        return self._modules.modules()

    def to_dtype(self, dtype: torch.dtype) -> "Backbone":
        """Itself, with weights of another type: fp16 or bf16 on a GPU."""
        self._modules.to(dtype)
        return self

    def _forward(self, batch: torch.Tensor, modules: tuple[int, ...] = ()) -> dict[int, Any]:
        """Outputs of the layers that are tapped or asked for, of some `modules` or all."""
        height, width = batch.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise InputError(f"network input {width}x{height}: width and height have to be multiples of {STRIDE}")
        x = batch.to(self.device, memory_format=torch.channels_last)
        outputs: dict[int, Any] = {}
        for index in modules or self.executed:
            module = self._modules[str(index)]
            inputs = [outputs[j] for j in inputs_of(module)] if index else [x]
            x = module(inputs if isinstance(module.f, list) else inputs[0])
            if index in self._keep:
                outputs[index] = x
            for other in self._done[index]:  # memory that is free again is still in the cache
                outputs.pop(other, None)
        return outputs

    def _taps(self, outputs: dict[int, Any]) -> dict[int, tuple[Part, ...]]:
        return {
            layer: tuple(Part(outputs[source], repeat) for source, repeat in sources)
            for layer, sources in self._sources.items()
        }


load_backbone = Backbone.load


def device_named(name: str) -> torch.device:
    """`cpu`, `cuda`, `cuda:1`, ... as torch knows it. Raises InputError: not a device, or one that is not there."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is not known; use cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r}: torch sees {torch.cuda.device_count()} GPUs; use cpu")
    return device


def to_batch(frames: NDArray[np.uint8], device: torch.device | str = "cpu") -> torch.Tensor:
    """(B, H, W, 3) uint8 RGB -> (B, 3, H, W) float32 in 0..1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2).float() / 255.0


def whole(parts: tuple[Part, ...]) -> torch.Tensor:
    """(B, C, h, w) map of a tap from its parts."""
    maps = [nn.functional.interpolate(p.map, scale_factor=p.upsample) if p.upsample > 1 else p.map for p in parts]
    return maps[0] if len(maps) == 1 else torch.cat(maps, 1)


def inputs_of(module: Any) -> list[int]:
    """Absolute indices of the modules whose outputs a module reads."""
    sources = module.f if isinstance(module.f, list) else [module.f]
    return [module.i + j if j < 0 else j for j in sources if module.i + min(j, 0) >= 0]


def _needed(modules: list[Any], wanted: set[int]) -> tuple[int, ...]:
    """Indices of the modules that have to run so that these outputs exist."""
    todo, needed = list(wanted), set()
    while todo:
        index = todo.pop()
        if index not in needed:
            needed.add(index)
            todo.extend(inputs_of(modules[index]))
    return tuple(sorted(needed))


def _sources(modules: list[Any], layer: int) -> tuple[tuple[int, int], ...]:
    """(module, repeat) pieces of a tap: a concatenation's inputs, seen through nearest upsampling."""
    module = modules[layer]
    if type(module).__name__ != "Concat":
        return ((layer, 1),)
    pieces = []
    for index in inputs_of(module):
        source = modules[index]
        if isinstance(source, nn.Upsample) and source.mode == "nearest" and source.scale_factor == 2:
            pieces.append((inputs_of(source)[0], 2))
        else:
            pieces.append((index, 1))
    return tuple(pieces)
