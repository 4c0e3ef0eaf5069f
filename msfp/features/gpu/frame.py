"""A frame's fixed-shape part on the device: network, pooling, head and ATL, recorded once and replayed.

The boxes are given, or found by the network: a whole detector's most promising candidates are all pooled and embedded,
and the host, which waits once a frame, suppresses those that overlap afterwards.

On a GPU it runs, trained weights in half precision, as one CUDA graph, the Triton launches within it. Frames come from
two pinned buffers, so that the next one can be prepared while the last one is being copied. On a CPU the same code runs
without a graph, which is how most of it is tested.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.features.backbone import Backbone, Part
from msfp.features.detector import Detector, predicted
from msfp.features.gpu import TRITON
from msfp.features.gpu.pooling import AddressTable, pool_on_device
from msfp.features.pooling import Mode

WARM_UP = 3  # runs before recording: allocations and choices of algorithms happen there


@dataclass(frozen=True)
class DeviceResult:
    """The results of a frame."""

    regions: NDArray[np.float32]  # (N, 4) xyxy in network pixels: given boxes, or candidates, the most certain first
    scores: NDArray[np.float32]  # (N,) of candidates; NaN where the boxes were given
    embeddings: NDArray[np.float32]  # (N, D); (N, 0) without a head
    thresholds: NDArray[np.float32]  # (k,) raw prediction of ATL; (0,) without an encoder


class DeviceFrame:
    """Frames of one size through a backbone, a fusion head and a scene encoder, one after the other."""

    def __init__(
        self, backbone: Backbone, head: nn.Module | None, encoder: nn.Module | None, size: tuple[int, int],
        most: int = 256, least: float = 0.0, dtype: torch.dtype | None = None, mode: Mode = "roi_align",
        layers: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """Record the frame; a `Detector` finds boxes itself, another backbone is given them.

        `backbone`: converted in place, on a GPU, to `dtype` (None: its `precision`). `head`: {layer: (N, C)} -> (N, D).
        `encoder`: (1, C) -> (1, k). `size`: (width, height) of the network's input. `most`: boxes there is room for; of
        more candidates the least certain are not looked at, nor those of a score below `least`. `layers`: tapped ones
        that the head reads; empty: all.
        Raises ValueError: a sparse detector.
        """
        self.device, self.most, self._least, self._mode = backbone.device, most, least, mode
        self._layers = layers or backbone.layers
        self._cuda = self.device.type == "cuda"
        self._dtype = (dtype or backbone.precision) if self._cuda else torch.float32
        self._backbone = backbone.to_dtype(self._dtype)
        self._head, self._encoder = (None if m is None else m.eval().to(self.device) for m in (head, encoder))
        self._size = width, height = size
        self._image = torch.zeros(1, height, width, 3, dtype=torch.uint8, device=self.device)
        # A row more: whether there are boxes to look at in place of those found, and how many.
        self._boxes = torch.zeros(most + 1, 4, device=self.device)
        self._pinned = [
            (self._host(self._image.shape, torch.uint8), self._host(self._boxes.shape, torch.float32)) for _ in range(2)
        ]
        self._table = AddressTable() if self._cuda and mode != "lite" and TRITON else None
        self._copied: list[Any] = [torch.cuda.Event() if self._cuda else None for _ in range(2)]
        self._finds = isinstance(backbone, Detector)
        if isinstance(backbone, Detector) and backbone.sparse:
            raise ValueError("a sparse detector waits for numbers in the middle: load it with sparse=False")
        self._turn, self._count, self._given = 0, 0, False
        self._marks: list[Any] = []
        self._results: list[torch.Tensor] = []
        self._record()

    def room(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 pinned memory to lay the next frame's input in, as `Letterbox.apply` gives it."""
        turn = self._turn ^ 1
        if self._cuda:
            self._copied[turn].synchronize()  # two frames back: over long ago
        pixels: NDArray[np.uint8] = self._pinned[turn][0].numpy()[0]
        return pixels

    def submit(self, regions: NDArray[np.float64] | None = None) -> None:
        """Start the frame that was laid in `room()`; returns before it is done.

        `regions`: (N, 4) xyxy in network pixels; None looks at what the detector finds.
        Raises ValueError: more boxes than there is room for; none, and a backbone that finds none.
        """
        if regions is None and not self._finds:
            raise ValueError("the network ends before its boxes: give regions, or a whole detector")
        self._given = regions is not None
        regions = np.zeros((0, 4)) if regions is None else regions
        if len(regions) > self.most:
            raise ValueError(f"{len(regions)} boxes where there is room for {self.most}; raise `most`")
        self._turn ^= 1
        pixels, boxes = self._pinned[self._turn]
        boxes.numpy()[: len(regions)] = regions
        boxes.numpy()[self.most, :2] = self._given, len(regions)
        self._image.copy_(pixels, non_blocking=True)
        self._boxes.copy_(boxes, non_blocking=True)
        if self._cuda:
            self._copied[self._turn].record()
        self._count = len(regions)
        if self._graph is not None:
            self._graph.replay()
        else:
            self._run()

    def collect(self) -> DeviceResult:
        """The results of the frame last submitted: the one wait of a frame."""
        if self._cuda:
            torch.cuda.current_stream(self.device).synchronize()
        found, embeddings, tau = (r.numpy().copy() for r in self._results)
        count = self._count if self._given else len(found)
        return DeviceResult(found[:count, :4], found[:count, 4], embeddings[:count], tau[0])

    def reid_milliseconds(self) -> float:
        """Of the frame last collected: pooling, head and ATL, by events in the graph; NaN on a CPU."""
        return float(self._marks[0].elapsed_time(self._marks[1])) if self._marks else float("nan")

    @torch.inference_mode()
    def _forward(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(N, 5) regions with their scores, (N, D) embeddings, (1, k) thresholds."""
        batch = self._image.permute(0, 3, 1, 2).to(self._dtype) / 255.0
        parts, found, wanted = self._looked(batch)
        self._mark(0)
        boxes = found[:, :4].contiguous()
        taps = {layer: parts[layer] for layer in self._layers}
        pooled = pool_on_device(taps, boxes, self._backbone.strides, self._table, wanted=wanted, mode=self._mode)
        scene = torch.cat([p.map.mean((2, 3), dtype=torch.float32) for p in parts[self._backbone.preset.scene]], 1)
        embeddings = found[:, :0] if self._head is None else self._head(pooled).float()
        prediction = scene[:, :0] if self._encoder is None else self._encoder(scene).float()
        self._mark(1)
        return found, embeddings, prediction

    def _looked(self, batch: torch.Tensor) -> tuple[dict[int, tuple[Part, ...]], torch.Tensor, torch.Tensor]:
        """Tapped maps, (N, 5) the boxes to look at with their scores, and (N,) whether there is one."""
        given = nn.functional.pad(self._boxes[: self.most], (0, 1), value=torch.nan)
        there = torch.arange(self.most, device=self._boxes.device) < self._boxes[self.most, 1]
        if not self._finds:
            return self._backbone.parts(batch), given, there
        assert isinstance(self._backbone, Detector)
        parts, output = self._backbone.whole(batch)
        xyxy, scores = predicted(output, self._size, self._backbone.family)
        best, place = (s[: self.most] for s in scores.sort(descending=True))  # a GPU does so before `topk` is done
        found = torch.cat([xyxy[place], best[:, None]], 1)
        found = nn.functional.pad(found, (0, 0, 0, self.most - len(found)))  # a score of 0, where there is less to see
        asked = self._boxes[self.most, 0] > 0
        return parts, torch.where(asked, given, found), torch.where(asked, there, found[:, 4] >= self._least)

    def _record(self) -> None:
        self._graph: Any = None
        if not self._cuda:
            self._run()
            return
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._run()
                if isinstance(self._backbone, Detector):
                    self._backbone.keep_grid_exact()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        self._marks = [torch.cuda.Event(enable_timing=True, external=True) for _ in range(2)]
        self._graph = torch.cuda.CUDAGraph()
        if self._table is not None:  # its kernel was compiled in the warm-up
            self._table.recording = True
        with torch.cuda.graph(self._graph):
            self._run()
        if self._table is not None:
            self._table.write()

    def _run(self) -> None:
        """The frame, its results on their way to the host."""
        self._outputs = self._forward()  # kept: a graph's memory would be given to others
        if not self._results:
            self._results = [self._host(o.shape, torch.float32) for o in self._outputs]
        for host, output in zip(self._results, self._outputs, strict=True):
            host.copy_(output, non_blocking=True)

    def _mark(self, which: int) -> None:
        if self._marks:
            self._marks[which].record()

    def _host(self, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, pin_memory=self._cuda)
