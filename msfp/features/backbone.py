"""The frozen detector, cut after its deepest tapped layer: images in, feature maps out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.errors import InputError
from msfp.features.fused import fuse
from msfp.features.presets import Preset, preset_named
from msfp.features.weights import load_detector

STRIDE = 32  # what the strides of YOLOs and RT-DETRs divide


@dataclass(frozen=True)
class Part:
    """Some channels of a tapped map, possibly at a coarser resolution than the tap itself."""

    map: torch.Tensor  # (B, C, h, w) tensor
    upsample: int = 1  # the tap shows `map` repeated this many times along height and width (nearest)


class Backbone:
    """A frozen detector that stops after its deepest tapped layer (section 3.1).

    Attributes:
        preset: which layers of which architecture.
        channels: layer -> channels, read from the tensors.
        strides: layer -> stride in network pixels, read from the tensors.
        executed: indices of the modules that a forward pass runs.
        precision: in which it can run on a GPU.
    """

    precision = torch.float16

    def __init__(self, model: Any, preset: Preset, device: str = "cpu", also: Iterable[int] = ()) -> None:
        """Take what the taps and the modules in `also` need out of an ultralytics model with folded batch norms."""
        self.preset = preset
        self.device = device_named(device)
        modules = list(model.model)
        self._sources = {layer: _sources(modules, layer) for layer in preset.layers}
        # A tap may be a concatenation that is put together from other maps without being run.
        wanted = {source for sources in self._sources.values() for source, _ in sources} | set(also)
        self.executed = _needed(modules, wanted)
        self._keep = wanted | {j for i in self.executed for j in inputs_of(modules[i])}
        last = {j: i for i in self.executed for j in inputs_of(modules[i])}
        self._done = {i: [j for j in last if last[j] == i and j not in wanted] for i in self.executed}
        self._modules = nn.ModuleDict({str(i): modules[i] for i in self.executed})
        self._modules.eval().requires_grad_(False)
        fuse(self._modules)
        self._modules.to(memory_format=torch.channels_last).to(self.device)
        self.channels, self.strides = self._dry_run()

    @classmethod
    def load(
        cls, preset: str | Preset, weights: str | Path = "embedded", device: str = "cpu", seed: int = 0, **options: Any
    ) -> Self:
        """Load a preset's network with its weights, frozen.

        `preset`: name of a preset, `yolov8n-paper`, or a preset. `weights`: `embedded`, a .safetensors or .pt file, a
        bare ultralytics name, or the control `random-init`.
        Raises InputError: unknown preset or device, or weights that are missing, damaged or another architecture's.
        """
        chosen = preset_named(preset) if isinstance(preset, str) else preset
        found = cls(load_detector(chosen.architecture, weights, chosen.embedded, seed), chosen, device, **options)
        # Maps of random weights grow from layer to layer, beyond what half precision holds.
        found.precision = torch.float32 if str(weights) == "random-init" else torch.float16
        return found

    @property
    def layers(self) -> tuple[int, ...]:
        """Tapped layers in the preset's order."""
        return self.preset.layers

    @torch.inference_mode()
    def parts(self, batch: torch.Tensor) -> dict[int, tuple[Part, ...]]:
        """Layer -> pieces that its map is concatenated from, coarse ones left coarse, of (B, 3, H, W) RGB in 0..1."""
        return self._taps(self._forward(batch))

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

    def _forward(self, batch: torch.Tensor) -> dict[int, Any]:
        """Outputs of the layers that another one reads, that are tapped, or that somebody asked for."""
        height, width = batch.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise InputError(f"network input {width}x{height}: width and height have to be multiples of {STRIDE}")
        x = batch.to(self.device, memory_format=torch.channels_last)
        outputs: dict[int, Any] = {}
        for index in self.executed:
            module = self._modules[str(index)]
            if index:
                inputs = [outputs[j] for j in inputs_of(module)]
                x = module(inputs if isinstance(module.f, list) else inputs[0])
            else:
                x = module(x)
            if index in self._keep:
                outputs[index] = x
            for other in self._done[index]:  # memory that is free again is still in the cache
                del outputs[other]
        return outputs

    def _taps(self, outputs: dict[int, Any]) -> dict[int, tuple[Part, ...]]:
        return {
            layer: tuple(Part(outputs[source], repeat) for source, repeat in sources)
            for layer, sources in self._sources.items()
        }

    def _dry_run(self) -> tuple[dict[int, int], dict[int, int]]:
        size = 4 * STRIDE
        maps = self.maps(torch.zeros(1, 3, size, size))
        return {k: m.shape[1] for k, m in maps.items()}, {k: size // m.shape[-1] for k, m in maps.items()}


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
