"""Labelled frames, kept small in memory while a trainer draws from them."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.worlds.world import DRAWS, KINDS, World, draw_world


class Labelled(NamedTuple):
    """One frame and the people in it.

    Attributes:
        frame: (H, W, 3) uint8 RGB.
        tlwh: (N, 4) boxes in file coordinates.
        id: (N,) identities, unique over all the frames given to a trainer.
        visibility: (N,) visible share of each person in 0..1.
    """

    frame: NDArray[np.uint8]
    tlwh: NDArray[np.float64]
    id: NDArray[np.int64]
    visibility: NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """A labelled frame at rest.

    Attributes:
        jpeg: the frame, encoded.
        xyxy: (N, 4) boxes in pixels, first pixel's left edge at 0.
        id: (N,) identities.
        visibility: (N,) visible share.
    """

    jpeg: NDArray[np.uint8]
    xyxy: NDArray[np.float64]
    id: NDArray[np.int64]
    visibility: NDArray[np.float64]

    @property
    def tlwh(self) -> NDArray[np.float64]:
        """(N, 4) boxes in file coordinates."""
        return np.concatenate([self.xyxy[:, :2] + 1.0, self.xyxy[:, 2:] - self.xyxy[:, :2]], 1)

    def pixels(self) -> NDArray[Any]:
        """(H, W, 3) uint8 RGB."""
        decoded: Any = cv2.imdecode(self.jpeg, cv2.IMREAD_COLOR)
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def gather(frames: Iterable[tuple[NDArray, NDArray, NDArray, NDArray]], quality: int = 95) -> list[Sample]:
    """Encode labelled frames for training.

    Args:
        frames: (frame, tlwh, id, visibility) as `Labelled` describes them.
        quality: JPEG quality; about 60 kB a 640x360 frame.

    Raises:
        InputError: no frames, or columns of differing lengths.
    """
    samples = []
    for number, (frame, tlwh, identity, visibility) in enumerate(frames, 1):
        boxes = np.asarray(tlwh, np.float64).reshape(-1, 4)
        if not len(boxes) == len(identity) == len(visibility):
            raise InputError(
                f"training frame {number}: {len(boxes)} boxes, {len(identity)} ids, {len(visibility)} visibilities; "
                "each box needs one of each"
            )
        xyxy = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1) - 1.0
        ok, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not ok:
            raise InputError(f"training frame {number}: pixels could not be encoded; (H, W, 3) uint8 RGB is needed")
        samples.append(Sample(jpeg, xyxy, np.asarray(identity, np.int64), np.asarray(visibility, np.float64)))
    if not samples:
        raise InputError("no training frames: give the trainer at least one labelled frame")
    return samples


def worlds(
    kind: str, seed: int, count: int, *, size: tuple[int, int] = (640, 360), length: int = 100
) -> Iterator[World]:
    """Worlds other than the evaluated ones, for training networks: their seeds lie in a range of their own.

    `kind`: a data set (`synth17`, ...) or what its worlds are (`street`, ...). Raises InputError: an unknown kind.
    """
    known = {**KINDS, **{k: k for k in DRAWS}}
    if kind not in known:
        raise InputError(f"unknown kind of world {kind!r}: use one of {', '.join(sorted(known))}")
    for index in range(count):
        words = np.random.SeedSequence([seed & 0xFFFFFFFF, index, zlib.crc32(b"training")]).generate_state(1)
        own = int(words[0]) | 1 << 31  # evaluated worlds have seeds below
        yield draw_world(known[kind], f"{kind}-{seed}-{index:04d}", own, size=size, length=length)  # type: ignore[arg-type]
