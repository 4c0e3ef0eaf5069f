"""The camera's motion over a scene, estimated once and kept; trackers that compensate it get it frame by frame."""

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import need_frames, public_boxes
from msfp.pipeline.run import Run
from msfp.pipeline.stage import frames_of, stage
from msfp.tracking import tracker_class
from msfp.types import Scene

CAMERA_CODE = (code_digest(__name__, follow=False), "msfp.features.camera_motion")
# What the authors released each tracker with; a tracker's own attribute `camera` goes before.
AS_RELEASED = {
    "botsort": "sparse-flow",
    "deep-ocsort": "sparse-flow",
    "strongsort": "ecc",
    "boosttrack": "ecc",
    "lite-botsort": "sparse-flow",
    "lite-deep-ocsort": "sparse-flow",
    "boosttrack-motion": "ecc",
}


def default_camera(tracker: str) -> str:
    """Camera motion a tracker is run with unless told otherwise: `none`, `ecc` or `sparse-flow`."""
    return str(getattr(tracker_class(tracker), "camera", None) or AS_RELEASED.get(tracker, "none"))


def part_warps(run: Run, part: Part, method: str) -> NDArray[np.float64]:
    """(T, 2, 3) maps of the previous frame's file coordinates to each frame's; the identity for the part's first.

    The sequences of a scene share one estimate; what any public detector reports is masked, as it may walk. Frames
    outside the part may be missing. `method` is `ecc`, `sparse-flow`, or `none`, which looks at no pixels.
    """
    if method == "none":
        return np.tile(np.eye(2, 3), (part.length, 1, 1))
    data.need_pixels((part,))
    found = scene_warps(run, part.scene, method)[part.first - 1 : part.last].copy()
    found[0] = np.eye(2, 3)
    return found


def _inputs(run: Run, scene: Scene, method: str) -> dict[str, object]:
    boxes = {s.detector: run.detections_digest(s) for s in scene.sequences}
    return {"pixels": run.pixels_digest(scene), "boxes": boxes, "method": method}


@stage("camera", _inputs, CAMERA_CODE, memory=64)
def scene_warps(run: Run, scene: Scene, method: str) -> NDArray[np.float64]:
    """(T, 2, 3) over the frames that are present."""
    from msfp.features.camera_motion import camera_motions

    need_frames(scene)
    sets = list(public_boxes(scene).values())

    def boxes(t: int) -> NDArray[np.float64]:
        here = [tlwh[slice(*np.searchsorted(frame, (t, t + 1)))] for frame, tlwh in sets]
        return np.concatenate([np.zeros((0, 4)), *here])

    with frames_of(scene.pixels, "camera motion") as (frames, progress):
        return camera_motions(frames, scene.pixels.length, method, boxes, progress)
