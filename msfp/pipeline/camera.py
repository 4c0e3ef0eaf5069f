"""The camera's motion over a scene, estimated once and kept; trackers that compensate it get it frame by frame."""

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.progress import Bar
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import need_frames, public_boxes
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.threads import one_thread
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
    own = getattr(tracker_class(tracker), "camera", None)
    return str(own) if own else AS_RELEASED.get(tracker, "none")


def _inputs(run: Run, scene: Scene, method: str) -> dict[str, object]:
    """Pixels, and the boxes that are masked as foreground."""
    boxes = {s.detector: run.detections_digest(s) for s in scene.sequences}
    return {"pixels": run.pixels_digest(scene), "boxes": boxes, "method": method}


def warps(run: Run, scene: Scene, method: str) -> NDArray[np.float64]:
    """(T, 2, 3) maps of the previous frame's file coordinates to each frame's; the identity for the first.

    Args:
        run: the run.
        scene: its sequences share one estimate; what any public detector reports is masked, as it may walk.
        method: `ecc` or `sparse-flow`; `none` looks at no pixels.

    Raises:
        NotComputable: frames are missing.
    """
    return part_warps(run, data.whole(scene), method)


def part_warps(run: Run, part: Part, method: str) -> NDArray[np.float64]:
    """The part's (T, 2, 3) warps, the identity for its first frame; frames outside the part may be missing.

    Raises:
        NotComputable: frames of the part are missing.
    """
    if method == "none":
        return np.tile(np.eye(2, 3), (part.length, 1, 1))
    data.need_pixels((part,))
    found = scene_warps(run, part.scene, method)[part.first - 1 : part.last].copy()
    found[0] = np.eye(2, 3)
    return found


@stage("camera", _inputs, CAMERA_CODE, memory=64)
def scene_warps(run: Run, scene: Scene, method: str) -> NDArray[np.float64]:
    """(T, 2, 3) over the frames that are present."""
    from msfp.datasets.frames import FrameReader
    from msfp.features.camera_motion import camera_motions

    need_frames(scene)
    sets = list(public_boxes(scene).values())

    def boxes(t: int) -> NDArray[np.float64]:
        here = [tlwh[slice(*np.searchsorted(frame, (t, t + 1)))] for frame, tlwh in sets]
        return np.concatenate([np.zeros((0, 4)), *here])

    pixels = scene.pixels
    with (
        one_thread(),
        FrameReader(pixels) as frames,
        Bar(len(pixels.frames), f"camera motion of {scene.name}") as progress,
    ):
        return camera_motions(frames, pixels.length, method, boxes, progress.update)
