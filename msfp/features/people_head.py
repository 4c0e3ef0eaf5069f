"""YOLO's detection head for one class: scores everywhere, boxes only where a person is.

The head computes a box for every cell of every level, and nearly all of them are thrown away for their scores. Here the
class branch comes first, and the box branch (two 3x3 convolutions and a 1x1) sees only the 5x5 cells around those that
pass the threshold, which gives the same boxes.
"""

from typing import Any

import torch
from torch import nn

PERSON = 0  # COCO's first class, and the only one of the embedded weights
REACH = 2  # cells that two 3x3 convolutions see to each side
# Above this share of a level's cells the branch is cheaper on the whole map: a cell's surroundings are computed anew
# for each, (9 + 1) / 2 of the branch's work, and have to be gathered.
DENSE = 0.1


def can_take(module: Any) -> bool:
    """Whether a module is a detection head that `PeopleHead` knows: ultralytics' `Detect`, not end to end."""
    return type(module).__name__ == "Detect" and not module.end2end and module.reg_max > 1


class PeopleHead(nn.Module):
    """The people in the maps that ultralytics' `Detect` reads."""

    def __init__(self, detect: Any) -> None:
        """Take over a head's layers.

        Args:
            detect: ultralytics' `Detect`, not end to end, batch normalisation folded.
        """
        super().__init__()
        self.boxes, self.classes = detect.cv2, detect.cv3
        self.bins = detect.reg_max
        self.strides = [float(s) for s in detect.stride]

    def forward(self, maps: list[torch.Tensor], confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
        """People that pass a threshold.

        Args:
            maps: level -> (1, C, h, w).
            confidence: smallest score kept.

        Returns:
            (N, 4) xyxy in network pixels and (N,) scores, in the order of levels and cells.
        """
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
        sides = self._expected(distances)
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
        inner = step[1:-1]
        inside_rows = _inside(rows[:, None] + inner, x.shape[2])
        inside_columns = _inside(columns[:, None] + inner, x.shape[3])
        hidden = hidden * (inside_rows[:, None, :, None] & inside_columns[:, None, None, :])
        found: torch.Tensor = last(_valid(second, hidden))[:, :, 0, 0]
        return found

    def _expected(self, distances: torch.Tensor) -> torch.Tensor:
        """(N, 4 * bins) logits -> (N, 4) distances left, up, right, down in cells: the mean of each distribution."""
        shares = distances.float().reshape(-1, 4, self.bins).softmax(2)
        return shares @ torch.arange(self.bins, dtype=torch.float32, device=distances.device)


def _valid(block: Any, x: torch.Tensor) -> torch.Tensor:
    """A convolutional block without its padding."""
    conv = block.conv
    applied: torch.Tensor = block.act(nn.functional.conv2d(x, conv.weight, conv.bias))
    return applied


def _inside(cells: torch.Tensor, count: int) -> torch.Tensor:
    return (cells >= 0) & (cells < count)
