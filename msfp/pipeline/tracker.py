"""`msfp.Tracker`: frames in, people out, in a few lines of Python."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.pipeline.folder_io import method_from
from msfp.pipeline.online_tracker import Boxes, Image, OnlineTracker
from msfp.pipeline.run import Run, open_run
from msfp.video.pictures import check_size

if TYPE_CHECKING:
    from supervision import Detections

FIRST_PIXEL = 1.0  # file coordinates begin at 1, pixels at 0


@dataclass(frozen=True)
class People:
    """Who is in a frame.

    Attributes:
        ids: (M,) int32 identities, from 1, each once.
        xyxy: (M, 4) float64 left, top, right, bottom in pixels, from 0.
        scores: (M,) float32 detection scores.
        taus: tau_high and tau_low of the frame, None where the tracker keeps its own.
    """

    ids: NDArray[np.int32]
    xyxy: NDArray[np.float64]
    scores: NDArray[np.float32]
    taus: tuple[float, float] | None

    def __len__(self) -> int:
        return len(self.ids)

    def to_supervision(self) -> "Detections":
        """As `supervision.Detections` with `tracker_id`, for its annotators, zones and sinks."""
        import supervision as sv

        return sv.Detections(
            xyxy=self.xyxy.astype(np.float32),
            confidence=self.scores,
            class_id=np.zeros(len(self), int),
            tracker_id=self.ids.astype(int),
        )


class Tracker:
    """Detects and follows people, frame by frame.

        tracker = Tracker()
        for frame in frames:                      # (H, W, 3) uint8 RGB
            people = tracker.update(frame)
            print(people.ids, people.xyxy, people.taus)

    Heads and ATL are those learned on the embedded worlds. The first tracker of a detector learns them, which takes
    some minutes; they are then kept under `home`.
    """

    def __init__(
        self,
        tracker: str = "msfp-track",
        *,
        weights: str | Path = "embedded",
        appearance: str = "",
        threshold: str = "atl",
        fps: float = 30.0,
        device: str = "cpu",
        options: Mapping[str, object] | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        home: str | Path | None = None,
    ) -> None:
        """Load the networks, and learn what is not kept yet.

        Args:
            tracker: a name of `msfp list trackers`.
            weights: of the detector: `embedded`, or a .safetensors or .pt file.
            appearance: a name of `msfp list appearances`, `none`; empty: what the tracker needs.
            threshold: `default`, a number, two numbers `HIGH,LOW`, `atl`, `atl-single`, `atl-dual` or a policy's name.
            fps: frames per second; scales how long a lost person is remembered.
            device: `cpu` or `cuda`.
            options: the tracker's own settings.
            settings: any setting of the suite by its dotted name, such as `input.size`.
            seed: of trained heads.
            home: folder that holds data/ and runs/; None: the user's cache.

        Raises:
            InputError: names what is not known or does not fit, and what there is.
        """
        run = run_for_videos(weights, device, settings or {}, home)
        words = {key: str(value) for key, value in (options or {}).items()}
        method = method_from(run, tracker, appearance, threshold, words, seed)
        self._watcher = OnlineTracker(run, method, fps)
        self._number = 0

    def update(self, frame: Image, detections: "Detections | None" = None, seconds: float | None = None) -> People:
        """Follow everybody into the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            detections: people found by another detector, as `supervision.Detections`; None: the network's own.
            seconds: time of the frame, where frames do not come at the constant rate `fps`; then give it always.

        Raises:
            InputError: not an image; boxes without scores; a time before the last; a frame of another size than the
                last, where the tracker follows the camera.
        """
        image = np.asarray(frame)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"frame is {image.dtype} {image.shape}; give (H, W, 3) uint8, red first")
        check_size("frame", image.shape[1], image.shape[0])
        self._number += 1
        boxes = None if detections is None else boxes_from(detections)
        look = self._watcher.look(self._number, image, boxes, np.nan if seconds is None else seconds)
        found = self._watcher.follow(look)
        return People(found.ids, found.boxes - FIRST_PIXEL, found.scores, look.pair)

    def reset(self) -> None:
        """Forget everybody; the next frame is the first of another video."""
        self._number = 0
        self._watcher.reset()


def boxes_from(detections: "Detections") -> Boxes:
    """(N, 4) tlwh in file coordinates and (N,) scores of `supervision.Detections`."""
    if detections.confidence is None:
        raise InputError("the detections carry no confidence; give one a box, as thresholds choose by it")
    xyxy = np.asarray(detections.xyxy, np.float64).reshape(-1, 4) + FIRST_PIXEL
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1), np.asarray(detections.confidence, np.float32)


def run_for_videos(
    weights: str | Path, device: str, settings: Mapping[str, Any], home: str | Path | None, workers: int = 0
) -> Run:
    """A run whose heads and ATL are learned on the embedded worlds, with the detector's own boxes; see `Tracker`."""
    given = {"detections": "detector", "tuning": "first", **settings}
    return open_run(
        "demo", weights=weights, device=device, workers=workers, home=home or home_folder(), overrides=given
    )


def home_folder() -> Path:
    """The working folder where runs/ is, as in a checkout; else `msfp` in the user's cache (XDG)."""
    if Path("runs").is_dir():
        return Path()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msfp"
