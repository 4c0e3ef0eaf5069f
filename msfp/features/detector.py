"""The whole detector in one forward pass: people with their scores, pooled vectors, and the scene vector."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.compiled import kernel
from msfp.features.backbone import Backbone, Geometry, Letterbox, Part, device_named, fit, fuse, inputs_of, to_batch
from msfp.features.pooling import Mode, global_average, half, pool_levels
from msfp.features.presets import Preset

PERSON = 0  # COCO's first class, and the only one of the embedded weights
REACH = 2  # cells that two 3x3 convolutions see to each side
# Above this share of a level's cells the box branch is cheaper on the whole map: a cell's surroundings are computed
# anew for each, (9 + 1) / 2 of the branch's work, and have to be gathered.
DENSE = 0.1
Boxes = tuple[NDArray[np.float64], NDArray[np.float32]]
"""(N, 4) tlwh in file coordinates and (N,) scores."""


def predicted(output: Any, size: tuple[int, int], family: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(A, 4) float32 xyxy in network pixels and (A,) scores of being a person, of all that a detector says of a frame.

    `output`: of an ultralytics model in evaluation mode; `family`: its class. Waits for no number: a graph records it.
    """
    predictions = (output[0] if isinstance(output, tuple) else output)[0].float()
    if family == "RTDETRDetectionModel":  # rows are queries, boxes relative to the input
        predictions = predictions.T
        centre, extent = (torch.stack([p[0] * size[0], p[1] * size[1]], 1) for p in (predictions[:2], predictions[2:4]))
    else:
        centre, extent = predictions[:2].T, predictions[2:4].T
    return torch.cat([centre - extent / 2, centre + extent / 2], 1), predictions[4 + PERSON]


def chosen(
    xyxy: torch.Tensor, scores: torch.Tensor, box: Letterbox, confidence: float, overlap: float, limit: int
) -> Boxes:
    """Each person once, the best of those whose IoU is above `overlap`; best first."""
    keep = scores >= confidence
    xyxy, scores = xyxy[keep], scores[keep]
    order = suppressed(xyxy, scores, overlap, limit)
    return box.to_file(xyxy[order].cpu().numpy()), scores[order].cpu().numpy().astype(np.float32)


def suppressed(xyxy: torch.Tensor, scores: torch.Tensor, overlap: float, limit: int) -> torch.Tensor:
    """(M,) places of those that are kept, best first."""
    if xyxy.device.type != "cpu":
        from torchvision.ops import nms  # loads all of torch.compile: seconds that most processes can do without

        return nms(xyxy, scores, overlap)[:limit]
    order = torch.sort(scores, descending=True, stable=True).indices
    return torch.from_numpy(keep_best(xyxy.float().numpy(), order.numpy(), overlap)[:limit])


@kernel
def keep_best(xyxy: NDArray[np.float32], order: NDArray[np.int64], overlap: float) -> NDArray[np.int64]:
    """Rows of `order`, best first, that no better one overlaps: torchvision's suppression to the bit."""
    areas = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    kept = np.empty(len(order), np.int64)
    out = np.zeros(len(order), np.bool_)
    zero, count = np.float32(0), 0
    for place, i in enumerate(order):
        if out[i]:
            continue
        kept[count] = i
        count += 1
        for j in order[place + 1 :]:
            if out[j]:
                continue
            wide = max(zero, min(xyxy[i, 2], xyxy[j, 2]) - max(xyxy[i, 0], xyxy[j, 0]))
            high = max(zero, min(xyxy[i, 3], xyxy[j, 3]) - max(xyxy[i, 1], xyxy[j, 1]))
            inside = wide * high
            if np.float64(inside / (areas[i] + areas[j] - inside)) > overlap:
                out[j] = True
    return kept[:count]


def can_take(module: Any) -> bool:
    """Whether a module is a detection head that `PeopleHead` knows: ultralytics' `Detect`, not end to end."""
    return type(module).__name__ == "Detect" and not module.end2end and module.reg_max > 1


class PeopleHead(nn.Module):
    """The layers of ultralytics' `Detect`, batch normalisation folded: scores everywhere, boxes only where people are.

    The box branch (two 3x3 convolutions and a 1x1) sees only the 5x5 cells around those that pass the threshold: the
    same boxes in 12 to 16 % less time for a whole frame on a CPU.
    """

    def __init__(self, detect: Any) -> None:
        super().__init__()
        self.boxes, self.classes = detect.cv2, detect.cv3
        self.bins = detect.reg_max
        self.strides = [float(s) for s in detect.stride]

    def forward(self, maps: list[torch.Tensor], confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
        """A (1, C, h, w) map a level -> (N, 4) xyxy in network pixels and (N,) scores, by levels and cells."""
        found = [self._level(level, x, confidence) for level, x in enumerate(maps)]
        return torch.cat([boxes for boxes, _ in found]), torch.cat([scores for _, scores in found])

    def _level(self, level: int, x: torch.Tensor, confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
        *branch, last = self.classes[level]
        cells = nn.Sequential(*branch)(x)[0].permute(1, 2, 0)
        scores = (cells @ last.weight[PERSON, :, 0, 0] + last.bias[PERSON]).float().sigmoid()
        keep = scores >= confidence
        rows, columns = keep.nonzero(as_tuple=True)
        if len(rows) > DENSE * keep.numel():
            distances = self.boxes[level](x)[0][:, rows, columns].T
        else:
            distances = self._around(level, x, rows, columns)
        shares = distances.float().reshape(-1, 4, self.bins).softmax(2)  # left, up, right, down: mean of each
        sides = shares @ torch.arange(self.bins, dtype=torch.float32, device=distances.device)
        centre = torch.stack([columns, rows], 1) + 0.5
        boxes = torch.cat([centre - sides[:, :2], centre + sides[:, 2:]], 1) * self.strides[level]
        return boxes, scores[keep]

    def _around(self, level: int, x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """(N, 4 * bins) of the box branch at some cells, from the cells around them."""
        first, second, last = self.boxes[level]
        step = torch.arange(-REACH, REACH + 1, device=x.device)
        padded = nn.functional.pad(x[0], (REACH,) * 4)
        window = padded[:, rows[:, None, None] + REACH + step[:, None], columns[:, None, None] + REACH + step]
        hidden = _valid(first, window.transpose(0, 1).contiguous(memory_format=torch.channels_last))
        # Outside of the map the second convolution sees zeros, and not what the first would make of zeros.
        down, across = (cells[:, None] + step[1:-1] for cells in (rows, columns))
        inside_rows, inside_columns = ((k >= 0) & (k < n) for k, n in zip((down, across), x.shape[2:], strict=True))
        hidden = hidden * (inside_rows[:, None, :, None] & inside_columns[:, None, None, :])
        found: torch.Tensor = last(_valid(second, hidden))[:, :, 0, 0]
        return found


def _valid(block: Any, x: torch.Tensor) -> torch.Tensor:
    """A convolutional block without its padding."""
    conv = block.conv
    applied: torch.Tensor = block.act(nn.functional.conv2d(x, conv.weight, conv.bias))
    return applied


@dataclass(frozen=True)
class Sight:
    """What one look at a frame gives."""

    tlwh: NDArray[np.float64]  # (N, 4), file coordinates, best score first where the detector found them
    score: NDArray[np.float32]  # (N,)
    layers: dict[int, NDArray[np.float16]]  # tapped layer -> (N, C) mean-pooled vectors (eq. 1)
    scene: NDArray[np.float16]  # (C,), mean of the scene layer (eq. 6)


class Detector(Backbone):
    """A frozen detector that runs to its end and keeps the tapped maps on the way."""

    def __init__(self, model: Any, preset: Preset, device: str = "cpu", sparse: bool | None = None) -> None:
        """Take a whole ultralytics detection model, batch normalisation folded.

        `sparse`: compute boxes only where people are; None: on a CPU, as a GPU would be waited for.
        """
        self.family = type(model).__name__
        last = model.model[-1]
        sparse = device_named(device).type == "cpu" if sparse is None else sparse
        self._head = PeopleHead(last) if sparse and can_take(last) else None
        self.sparse = self._head is not None
        self._ends = inputs_of(last) if self.sparse else [last.i]
        super().__init__(model, preset, device, self._ends)
        if self._head is not None:
            fuse(self._head.eval().requires_grad_(False).to(memory_format=torch.channels_last))

    @torch.inference_mode()
    def look(
        self, frame: NDArray[np.uint8], size: tuple[int, int] = (640, 384), *, confidence: float = 0.25,
        limit: int = 300, geometry: Geometry = "letterbox", boxes: Boxes | None = None, pooling: Mode = "roi_align",
        layers: tuple[int, ...] = (),
    ) -> Sight:  # fmt: skip
        """People in a frame, (H, W, 3) uint8 RGB, with their vectors.

        `boxes`: to be looked at in place of the people found here. `layers`: tapped ones whose vectors are wanted;
        empty: all.
        """
        box = fit((frame.shape[1], frame.shape[0]), size, geometry)
        batch = to_batch(box.apply(frame)[None], self.device)
        if boxes is None:
            parts, (tlwh, score) = self.detect(batch, box, confidence, limit=limit)
        else:  # nobody asks where the detector sees people: it ends at the last tapped layer
            parts, (tlwh, score) = self.parts(batch), boxes
        regions = box.to_network(tlwh)
        taps = {layer: parts[layer] for layer in layers or self.layers}
        pooled = pool_levels(taps, regions, self.strides, pooling)
        vectors = {layer: half(found) for layer, found in pooled.items()}
        return Sight(tlwh, score, vectors, half(global_average(parts[self.preset.scene])[0]))

    def people(
        self, frame: NDArray[np.uint8], size: tuple[int, int], confidence: float, geometry: Geometry = "letterbox"
    ) -> Boxes:
        """People in a frame, without their vectors."""
        box = fit((frame.shape[1], frame.shape[0]), size, geometry)
        return self.detect(to_batch(box.apply(frame)[None], self.device), box, confidence)[1]

    def keep_grid_exact(self) -> None:
        """Hold the grid of cells in single precision: half precision knows whole pixels only beyond 1024."""
        last: Any = self._modules[str(self._ends[0])]
        last.anchors, last.strides = last.anchors.float(), last.strides.float()

    @torch.inference_mode()
    def whole(self, batch: torch.Tensor) -> tuple[dict[int, tuple[Part, ...]], Any]:
        """Tapped maps, and what the detector's own last layer gives, for `predicted`; not of a sparse one."""
        outputs = self._forward(batch)
        return self._taps(outputs), outputs[self._ends[0]]

    @torch.inference_mode()
    def detect(
        self, batch: torch.Tensor, box: Letterbox, confidence: float = 0.25, overlap: float = 0.7, limit: int = 300
    ) -> tuple[dict[int, tuple[Part, ...]], Boxes]:
        """Layer -> parts as of `Backbone.parts`, and people best first, of a frame that lies in its input as `box`."""
        outputs = self._forward(batch)
        ends = [outputs[i] for i in self._ends]
        if self._head is None:
            xyxy, scores = predicted(ends[0], box.size, self.family)
        else:
            xyxy, scores = self._head(ends, confidence)
        return self._taps(outputs), chosen(xyxy, scores, box, confidence, overlap, limit)


load_whole = Detector.load
