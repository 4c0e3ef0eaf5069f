"""A frame's fixed-shape part on the device: network, pooling, head and ATL, recorded once and replayed.

On a GPU it runs in half precision as one CUDA graph, the Triton launch that pools within it. A frame is copied from
pinned memory, of which there are two buffers, so that the next frame can be prepared while the last one is still being
copied; the host waits once, for the results. On a CPU the same code runs without a graph, which is how it is tested.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.features.backbone import Backbone
from msfp.features.gpu.pooling import AddressTable, pool_on_device, triton_here

WARM_UP = 3  # runs before recording: allocations and choices of algorithms happen there


@dataclass(frozen=True)
class DeviceResult:
    """What came back of a frame.

    Attributes:
        embeddings: (N, D) float32.
        thresholds: (k,) float32 raw prediction of ATL.
    """

    embeddings: NDArray[np.float32]
    thresholds: NDArray[np.float32]


class DeviceFrame:
    """Frames of one size through a backbone, a fusion head and a scene encoder, one after the other."""

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        encoder: nn.Module,
        size: tuple[int, int],
        most: int = 256,
        dtype: torch.dtype = torch.float16,
    ) -> None:
        """Record the frame.

        Args:
            backbone: on its device; its weights are converted to `dtype` in place on a GPU.
            head: {layer: (N, C)} -> (N, D).
            encoder: (1, C) -> (1, k).
            size: (width, height) of the network's input.
            most: boxes there is room for.
            dtype: of the network on a GPU; float32 on a CPU.
        """
        self.device, self.most = backbone.device, most
        self._cuda = self.device.type == "cuda"
        self._dtype = dtype if self._cuda else torch.float32
        self._backbone = backbone.to_dtype(self._dtype)
        self._head, self._encoder = head.eval().to(self.device), encoder.eval().to(self.device)
        width, height = size
        self._image = torch.zeros(1, height, width, 3, dtype=torch.uint8, device=self.device)
        self._boxes = torch.zeros(most, 4, device=self.device)
        self._pinned = [
            (self._host(self._image.shape, torch.uint8), self._host(self._boxes.shape, torch.float32)) for _ in range(2)
        ]
        self._table = AddressTable() if self._cuda and triton_here() is not None else None
        self._copied: list[Any] = [torch.cuda.Event() if self._cuda else None for _ in range(2)]
        self._turn, self._count = 0, 0
        self._record()

    def submit(self, image: NDArray[np.uint8], regions: NDArray[np.float64]) -> None:
        """Start a frame; returns before it is done.

        Args:
            image: (H, W, 3) uint8 RGB, the network's input as `Letterbox.apply` gives it.
            regions: (N, 4) xyxy in network pixels.

        Raises:
            ValueError: more boxes than there is room for.
        """
        if len(regions) > self.most:
            raise ValueError(f"{len(regions)} boxes where there is room for {self.most}; raise `most`")
        self._turn ^= 1
        pixels, boxes = self._pinned[self._turn]
        if self._cuda:
            self._copied[self._turn].synchronize()  # two frames back: over long ago
        pixels.numpy()[0] = image
        boxes.numpy()[: len(regions)] = regions
        self._image.copy_(pixels, non_blocking=True)
        self._boxes.copy_(boxes, non_blocking=True)
        if self._cuda:
            self._copied[self._turn].record()
        self._count = len(regions)
        self._replay()

    def collect(self) -> DeviceResult:
        """The results of the frame last submitted: the one wait of a frame."""
        for host, found in zip(self._results, self._outputs, strict=True):
            host.copy_(found, non_blocking=True)
        if self._cuda:
            torch.cuda.current_stream(self.device).synchronize()
        embeddings, tau = (r.numpy().copy() for r in self._results)
        return DeviceResult(embeddings[: self._count], tau[0])

    @torch.inference_mode()
    def _forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        batch = self._image.permute(0, 3, 1, 2).to(self._dtype) / 255.0
        parts = self._backbone.parts(batch)
        pooled = pool_on_device(parts, self._boxes, self._backbone.strides, self._table)
        scene = torch.cat([p.map.float().mean((2, 3)) for p in parts[self._backbone.preset.scene]], 1)
        return self._head(pooled).float(), self._encoder(scene).float()

    def _record(self) -> None:
        self._graph: Any = None
        if not self._cuda:
            self._outputs = self._forward()
        else:
            side = torch.cuda.Stream(self.device)
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self._forward()
            torch.cuda.current_stream(self.device).wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            if self._table is not None:  # its kernel was compiled in the warm-up
                self._table.recording = True
            with torch.cuda.graph(self._graph):
                self._outputs = self._forward()
            if self._table is not None:
                self._table.write()
        self._results = [self._host(o.shape, torch.float32) for o in self._outputs]

    def _replay(self) -> None:
        if self._graph is not None:
            self._graph.replay()
        else:
            self._outputs = self._forward()

    def _host(self, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, pin_memory=self._cuda)
