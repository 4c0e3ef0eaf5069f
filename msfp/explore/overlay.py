"""What a frame view shows: the frame as JPEG, and boxes as plain values in the colours of `msfp.video.drawing`."""

import base64
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.frames import Image
from msfp.explore.clip import Clip, Result, boxes_in
from msfp.types import tlwh_to_xyxy
from msfp.video.drawing import COLOURS

FIRST_PIXEL = 1.0  # file coordinates begin at 1, pixels at 0
QUALITY = 90
MARGIN = 0.08  # of a crop, in its own size
CROP_HEIGHT = 96
Box = dict[str, Any]


@lru_cache(maxsize=512)
def frame_jpeg(clip: Clip, frame: int) -> bytes:
    """A frame of the clip, encoded once."""
    return jpeg(clip.image(frame))


def jpeg(image: Image) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG."""
    import cv2

    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return data.tobytes()


def crop(clip: Clip, row: int) -> str:
    """A detection cut out of its frame, as `data:` address."""
    import cv2

    boxes = clip.detections
    image = clip.image(int(boxes.frame[row]))
    left, top, right, bottom = tlwh_to_xyxy(boxes.tlwh[row : row + 1])[0] - FIRST_PIXEL
    wide, high = MARGIN * (right - left), MARGIN * (bottom - top)
    x = np.clip([left - wide, right + wide], 0, image.shape[1]).round().astype(int)
    y = np.clip([top - high, bottom + high], 0, image.shape[0]).round().astype(int)
    if x[0] == x[1] or y[0] == y[1]:  # a box outside the frame
        cut = np.zeros((CROP_HEIGHT, CROP_HEIGHT // 2, 3), np.uint8)
    else:
        cut = image[y[0] : y[1], x[0] : x[1]]
    width = max(1, round(cut.shape[1] * CROP_HEIGHT / cut.shape[0]))
    sized = np.asarray(cv2.resize(cut, (width, CROP_HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(sized)).decode()


def box(xyxy: NDArray[np.floating], identity: int, label: str, kind: str = "track") -> Box:
    """One box for the view, in pixels from 0: `track` boxes can be clicked, `switch` boxes are marks."""
    left, top, right, bottom = (float(v) for v in np.round(np.asarray(xyxy) - FIRST_PIXEL, 1))
    place = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return {**place, "id": identity, "label": label, "colour": COLOURS[identity % len(COLOURS)], "kind": kind}


def boxes_of(result: Result, frame: int, switches: bool = False) -> list[Box]:
    """A frame's tracks; with `switches`, also the people whose identity changes in it."""
    ids, xyxy = boxes_in(result.tracks, frame)
    found = [box(b, int(i), str(i)) for i, b in zip(ids, xyxy, strict=True)]
    if switches and result.switches is not None:
        at = np.flatnonzero(result.switches.frame == frame)
        mine = result.switches
        found += [box(mine.xyxy[s], int(mine.after[s]), f"{mine.before[s]} → {mine.after[s]}", "switch") for s in at]
    return found
