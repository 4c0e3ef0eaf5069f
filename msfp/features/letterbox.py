"""From an image to the network's input and back: resize, pad, and the exact map of boxes (A.6)."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.types import tlwh_to_xyxy, xyxy_to_tlwh

Geometry = Literal["letterbox", "paper_scale"]
GREY = 114
STRIDE = 32


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
        """The network's input of an image.

        `frame`: (H, W, 3) uint8 of the size this letterbox was made for. `out`: (size[1], size[0], 3) uint8 that is
        filled and returned; None makes one.
        Returns (size[1], size[0], 3) uint8, grey where the image does not reach.
        Raises InputError: an image of another size.
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
    """Place an image in a network input.

    `letterbox` keeps the aspect ratio and centres: 1920x1080 in 1280x736 becomes 1280x720 with 8 px above and below.
    `paper_scale` is A.6 to the letter, s_x = 1280 / W and s_y = 720 / H without a pad: the image is stretched to 16:9
    from the top left corner, and only the rows that a multiple of 32 needs stay grey below it.

    `image`: (width, height) in pixels. `geometry`: `letterbox` or `paper_scale`.
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
