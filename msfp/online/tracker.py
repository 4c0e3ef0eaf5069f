"""`msfp.Tracker`: frames in, people out, in a few lines of Python."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from msfp.data.video import LARGEST, check_size
from msfp.errors import InputError
from msfp.experiment.detections import CONFIDENCE
from msfp.experiment.features import REID
from msfp.experiment.folders import method_from
from msfp.experiment.live import Image, LiveCamera, frame_predictor, head_of, input_for, live_thresholds
from msfp.experiment.run import Run, open_run
from msfp.experiment.thresholds import detectors_of
from msfp.experiment.tracks import Method
from msfp.features.backbone import STRIDE
from msfp.features.detector import Boxes
from msfp.features.reid import embed as embed_crops
from msfp.features.reid import load_reid
from msfp.online.learned import Learned, load_learned, save_learned
from msfp.tracking import make, thresholds
from msfp.tracking.base import FrameContext, TrackerOutput
from msfp.types import tlwh_to_xyxy

if TYPE_CHECKING:
    from supervision import Detections


LEAST = 0.001  # confidence; a GPU has room for 1024 candidates a frame, and those left out would be missed


@dataclass(frozen=True)
class Look:
    """What a frame shows, before anybody is followed."""

    number: int  # of the frame, from 1
    tlwh: NDArray[np.float64]  # (N, 4) boxes, file coordinates
    score: NDArray[np.float32]  # (N,)
    vectors: NDArray[np.float32]  # (N, D) unit embeddings; (N, 0) for trackers of motion only
    taus: NDArray[np.float32]  # (2,) tau_high and tau_low; NaN where the tracker keeps its own
    # (k,) what the next frame goes on from: ATL's smoothed prediction, the running mean of a head that centres frames
    memory: NDArray[np.float64]
    warp: NDArray[np.float64]  # (2, 3) camera motion since the frame before; the identity where it is not looked at
    seconds: float = np.nan  # time of the frame; NaN where frames come at a constant rate

    @property
    def pair(self) -> tuple[float, float] | None:
        """tau_high and tau_low, None where the tracker keeps its own."""
        return None if np.isnan(self.taus[0]) else (float(self.taus[0]), float(self.taus[1]))


def learn(run: Run, method: Method, boxes: str = "") -> Learned:
    """A method's head and ATL, trained where the store has none yet; arguments as of `OnlineTracker`."""
    look, rule, atl = method.look, method.threshold, None
    if rule.kind == "atl":
        atl = live_thresholds(run, rule, boxes or next(iter(detectors_of(rule.learn)), ""))
    return Learned(None if look is None or look.strategy == REID else head_of(run, look), atl)


def taught(path: Path, run: Run, method: Method) -> Learned:
    """A method's head and ATL from a file; InputError: it holds other ones."""
    found, look, rule = load_learned(path, run), method.look, method.threshold
    wanted = "" if look is None or look.strategy == REID else look.strategy
    if wanted and (found.head is None or found.head.name != wanted):
        there = "no head" if found.head is None else f"a head {found.head.name}"
        raise InputError(f"{path}: holds {there}, and {wanted} is wanted; choose --appearance to match")
    if rule.kind == "atl" and (found.atl is None or found.atl.mode != rule.mode):
        raise InputError(f"{path}: holds no ATL of this kind; save it with the same --threshold")
    return Learned(found.head if wanted else None, found.atl if rule.kind == "atl" else None)


class OnlineTracker:
    """Networks, heads, thresholds and tracker of one method over one video."""

    def __init__(
        self,
        run: Run,
        method: Method,
        fps: float,
        boxes: str = "",
        size: tuple[int, int] | None = None,
        confidence: float = CONFIDENCE,
        learned: Learned | None = None,
    ) -> None:
        """Load what the method needs; heads and ATL are those `learned`, or trained where the store has none yet.

        The thresholds may need no more than the frames so far (else InputError). `boxes`: name of the detections on
        which ATL was trained; empty: the first of its learning parts. `size`: of the network's input, None: the
        settings'. `confidence`: of the least certain people that the network reports.
        """
        settings, look, rule = run.settings, method.look, method.threshold
        if not LEAST <= confidence <= 1:
            raise InputError(f"confidence {confidence:g}: give {LEAST} to 1; below it nearly every cell is a person")
        if rule.kind not in ("default", "fixed", "atl", "policy") or rule.temporal == "sequence":
            raise InputError(f"thresholds of kind {rule.kind} need the whole video; choose atl, a number or a policy")
        self._method = method
        self.learned = learned or learn(run, method, boxes)
        self._atl, bounds = self.learned.atl, {"low": settings.atl.tau_min, "high": settings.atl.tau_max}
        self._policy = thresholds.make_policy(rule.policy, **bounds) if rule.kind == "policy" else None
        self._reid = load_reid(settings.input.reid_weights) if look is not None and look.strategy == REID else None
        scenes = None if self._atl is None else self._atl.predictor
        self._predictor = frame_predictor(run, self.learned.head, scenes, size, confidence)
        self._camera = None if method.camera == "none" else LiveCamera(method.camera)
        self._tracker = make(method.tracker, fps=fps, **dict(method.options))

    def look(self, number: int, pixels: Image, boxes: Boxes | None = None, seconds: float = np.nan) -> Look:
        """Run the networks on a frame, (H, W, 3) uint8 RGB; numbers ascend.

        `boxes`: (N, 4) tlwh in file coordinates and (N,) scores to follow in place of the detector's own. `seconds`:
        time of the frame where frames do not come at a constant rate.
        """
        seen = self._predictor.see(pixels, boxes)
        warp = np.eye(2, 3) if self._camera is None else self._camera.step(pixels, seen.tlwh)
        vectors = seen.vectors if self._reid is None else embed_crops(self._reid, pixels, seen.tlwh)
        rule = self._method.threshold
        if self._atl is not None:
            taus = self._atl.smooth(seen.prediction)
        elif self._policy is not None:
            taus = self._policy.update(seen.score)
        else:
            taus = np.array((rule.high, rule.low) if rule.kind == "fixed" else (np.nan, np.nan), np.float32)
        return Look(number, seen.tlwh, seen.score, vectors, taus, self._memory(), warp, seconds)

    def _memory(self) -> NDArray[np.float64]:
        """As wide in every frame; NaN where there is no mean yet."""
        smoothed = None if self._atl is None else self._atl.smoothed
        parts = [np.zeros(0) if smoothed is None else smoothed]
        if (centring := self._predictor.centring) is not None:
            parts += [centring.mean.get(k, np.full(width, np.nan)) for k, width in self._predictor.widths.items()]
        return np.concatenate(parts)

    def _recall_memory(self, memory: NDArray[np.float64]) -> None:
        """Go on from what `_memory` gave."""
        if self._atl is not None:
            count = self._atl.outputs
            self._atl.smoothed, memory = memory[:count], memory[count:]
        if self._predictor.centring is not None:
            widths = self._predictor.widths
            parts = np.split(memory.astype(np.float32), np.cumsum(list(widths.values()))[:-1])
            means = zip(widths, parts, strict=True)
            self._predictor.centring.mean = {layer: mean for layer, mean in means if not np.isnan(mean).any()}

    def follow(self, look: Look) -> TrackerOutput:
        high, low = look.pair or (None, None)
        seconds = None if np.isnan(look.seconds) else look.seconds
        context = FrameContext(index=look.number, tau_high=high, tau_low=low, warp=look.warp, seconds=seconds)
        vectors = look.vectors if look.vectors.shape[1] else None
        return self._tracker.update(tlwh_to_xyxy(look.tlwh), look.score, vectors, context)

    def resume(self, look: Look) -> TrackerOutput:
        """Follow a frame that was looked at in an earlier run, so that the thresholds' memory goes on from it.

        The camera's motion needs the last such frame's pixels as well: see `recall`.
        """
        self._recall_memory(look.memory)
        if self._policy is not None:
            self._policy.update(look.score)
        return self.follow(look)

    @property
    def recalls(self) -> bool:
        """True where going on needs the pixels of the frame before."""
        return self._camera is not None

    def recall(self, look: Look, pixels: Image) -> None:
        """Take the last frame that was looked at in an earlier run as the one before the next."""
        if self._camera is not None:
            self._camera.remember(pixels, look.tlwh)

    def reset(self) -> None:
        """Forget everybody: another video begins."""
        self._tracker.reset()
        self._predictor.reset()
        if self._atl is not None:
            self._atl.smoothed = None
        if self._policy is not None:
            self._policy.reset()
        if self._camera is not None:
            self._camera.last = None


FIRST_PIXEL = 1.0  # file coordinates begin at 1, pixels at 0


@dataclass(frozen=True)
class People:
    """Who is in a frame."""

    ids: NDArray[np.int32]  # (M,) identities, from 1, each once
    xyxy: NDArray[np.float64]  # (M, 4) left, top, right, bottom in pixels, from 0
    scores: NDArray[np.float32]  # (M,) of the detections
    classes: NDArray[np.int32]  # (M,) of the detections that were given; 0 where the network found them
    detections: NDArray[np.int64]  # (M,) row of the detection that was given or found; -1 where there is none
    taus: tuple[float, float] | None  # tau_high and tau_low of the frame, None where the tracker keeps its own

    def __len__(self) -> int:
        return len(self.ids)

    def to_supervision(self) -> "Detections":
        """As `supervision.Detections` with `tracker_id`, for its annotators, zones and sinks."""
        import supervision as sv

        return sv.Detections(
            xyxy=self.xyxy.astype(np.float32),
            confidence=self.scores,
            class_id=self.classes.astype(int),
            tracker_id=self.ids.astype(int),
        )


class Tracker:
    """Detects and follows people, frame by frame.

        tracker = Tracker()
        for frame in frames:                      # (H, W, 3) uint8 RGB
            people = tracker.update(frame)
            print(people.ids, people.xyxy, people.taus)

    Heads and ATL are those learned on the drawn scenes. The first tracker of a detector learns them, which takes
    some minutes; they are then kept under `home`.
    """

    def __init__(
        self,
        tracker: str = "msfp-track",
        *,
        weights: str | Path = "embedded",
        appearance: str = "",
        threshold: str = "",
        fps: float = 30.0,
        learn: str | Path | None = None,
        heads: str | Path | None = None,
        imgsz: int | None = None,
        confidence: float = CONFIDENCE,
        device: str = "cpu",
        options: Mapping[str, object] | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        home: str | Path | None = None,
        colours: Literal["rgb", "bgr"] = "rgb",
    ) -> None:
        """Load the networks, and learn what is not kept yet.

        `tracker`, `appearance`, `threshold`: as of `msfp track`, whose `--set` is `options`. `weights`: of the
        detector: `embedded`, or a .safetensors or .pt file. `fps`: frames per second; scales how long a lost person is
        remembered. `learn`: folder in the MOTChallenge layout whose labelled scenes teach heads and ATL; None: the
        drawn scenes. `heads`: file that `save` wrote, in place of learning. `imgsz`: pixels that the longer side of a
        frame takes in the network's input, where heads and ATL are learned, too; None: 640. `confidence`: of the least
        certain people that the network reports. `device`: `cpu` or `cuda`. `settings`: any setting of the suite by its
        dotted name, such as `input.size`. `seed`: of what is learned. `home`: folder that holds data/ and runs/; None:
        the user's cache. `colours`: their order in frames; OpenCV reads `bgr`.
        """
        if colours not in ("rgb", "bgr"):
            raise InputError(f"colours {colours!r}: there are rgb and bgr (OpenCV's)")
        run = run_for_videos(weights, device, settings or {}, home, imgsz=imgsz, learn=learn)
        words = {key: str(value) for key, value in (options or {}).items()}
        root = None if learn is None else Path(learn)
        method = method_from(run, tracker, appearance, threshold, words, seed, learn=root, taught=heads is not None)
        known = None if heads is None else taught(Path(heads), run, method)
        self._watcher_for = partial(OnlineTracker, run, method, fps, confidence=confidence, learned=known)
        self._run, self._size = run, run.settings.input.size
        self._adapts = "input.size" not in (settings or {})
        self._watcher = self._watcher_for()
        self._number, self._bgr = 0, colours == "bgr"
        self._names: dict[int, int] = {}  # identity within the tracker -> in the order in which people were reported

    def update(self, frame: Image, detections: Any = None, seconds: float | None = None) -> People:
        """Follow everybody into the next frame, (H, W, 3) uint8; identities count from 1 in the order of first sight.

        `detections`: people found by another detector, as `supervision.Detections`, ultralytics' `Results`, or an (N,
        5) or (N, 6) array of x1, y1, x2, y2, score, class in pixels from 0; None: by the network, which looks at no
        more of a frame than the embedding needs where they are given. `seconds`: time of the frame, where frames
        do not come at the constant rate `fps`; then give it always. InputError: not an image; boxes without scores; a
        time before the last; a frame of another size, where the tracker follows the camera.
        """
        image = np.asarray(frame)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"frame is {image.dtype} {image.shape}; give (H, W, 3) uint8, red first")
        check_size("frame", image.shape[1], image.shape[0])
        self._number += 1
        boxes, classes = (None, None) if detections is None else boxes_from(detections)
        pixels = np.ascontiguousarray(image[..., ::-1]) if self._bgr else image
        shape = image.shape[1], image.shape[0]
        if self._number == 1 and self._adapts and (size := input_for(max(self._size), *shape)) != self._size:
            self._size, self._watcher = size, self._watcher_for(size=size)  # the shape of a video's frames
        look = self._watcher.look(self._number, pixels, boxes, np.nan if seconds is None else seconds)
        found = self._watcher.follow(look)
        ids = np.array([self._names.setdefault(i, len(self._names) + 1) for i in found.ids.tolist()], np.int32)
        kinds, known = np.zeros(len(ids), np.int32), found.detections >= 0
        if classes is not None:
            kinds[known] = classes[found.detections[known]]
        return People(ids, found.boxes - FIRST_PIXEL, found.scores, kinds, found.detections, look.pair)

    def save(self, path: str | Path) -> None:
        """Write the head and ATL that were learned to a .safetensors file, for `heads` of another tracker."""
        save_learned(Path(path), self._watcher.learned, self._run)

    def reset(self) -> None:
        """Forget everybody; the next frame is the first of another video."""
        self._number = 0
        self._names.clear()
        self._watcher.reset()


def boxes_from(detections: Any) -> tuple[Boxes, NDArray[np.int32]]:
    """(N, 4) tlwh in file coordinates with (N,) scores, and (N,) classes, of what `Tracker.update` takes."""
    if isinstance(detections, list | tuple | np.ndarray):
        rows = np.asarray(detections, np.float64)
        rows = rows.reshape(0, 6) if rows.size == 0 else rows
        if rows.ndim != 2 or rows.shape[1] not in (5, 6):
            raise InputError(f"detections of shape {rows.shape}; give rows of x1, y1, x2, y2, score[, class]")
        xyxy, scores, classes = rows[:, :4], rows[:, 4], rows[:, 5] if rows.shape[1] == 6 else None
    elif hasattr(detections, "boxes"):  # ultralytics
        found = detections.boxes.cpu().numpy()
        xyxy, scores, classes = found.xyxy, found.conf, found.cls
    else:
        xyxy, scores, classes = detections.xyxy, detections.confidence, detections.class_id
        if scores is None:
            raise InputError("the detections carry no confidence; give one a box, as thresholds choose by it")
    xyxy = np.asarray(xyxy, np.float64).reshape(-1, 4) + FIRST_PIXEL
    tlwh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1)
    kinds = np.zeros(len(tlwh), np.int32) if classes is None else np.asarray(classes).astype(np.int32)
    return (tlwh, np.asarray(scores, np.float32)), kinds


def run_for_videos(
    weights: str | Path,
    device: str,
    settings: Mapping[str, Any],
    home: str | Path | None,
    workers: int = 0,
    imgsz: int | None = None,
    learn: str | Path | None = None,
) -> Run:
    """A run whose heads and ATL are learned with the detector's own boxes, at 16:9; see `Tracker`."""
    given = {"detections": "detector", "tuning": "first", **settings}
    if learn is not None:
        given = {"data.main": "mot17", **given}  # a folder, not drawn scenes, under this name
    if imgsz is not None:
        if not STRIDE <= imgsz <= LARGEST:
            raise InputError(f"imgsz {imgsz}: give {STRIDE} to {LARGEST} pixels, such as 640 or 1280")
        if "input.size" in settings:
            raise InputError(f"imgsz {imgsz} and input.size {settings['input.size']}: give one of the two")
        given["input.size"] = input_for(imgsz, 16, 9)
    return open_run(
        "demo", weights=weights, device=device, workers=workers, home=home or home_folder(), overrides=given
    )


def home_folder() -> Path:
    """The working folder where runs/ is, as in a checkout; else `msfp` in the user's cache (XDG)."""
    if Path("runs").is_dir():
        return Path()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msfp"
