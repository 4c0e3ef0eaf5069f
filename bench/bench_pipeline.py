"""Frame in, tracks out, batch size 1: MSFP-Track beside LITE done LITE's way, and ultralytics' BoT-SORT with ReID.

All sides have the same detector, decoded frames, thresholds of detection and input size. LITE's way is one vector a box
from the last tapped layer by cutting whole cells out of the map and taking their mean, box by box. Heads and ATL are
untrained, which takes as long. `--device cuda` times MSFP-Track's parts on a GPU for all sizes of YOLOv8 instead.
"""

import copy
import itertools
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import OURS, Case, Options, main
from numpy.typing import NDArray

from msfp.config import AtlSettings, FusionSettings, settings
from msfp.data import catalog
from msfp.data.frames import decode_in_turn
from msfp.errors import MsfpError
from msfp.features.backbone import Part, fit, to_batch, whole
from msfp.features.detector import Detector, load_whole
from msfp.features.pooling import global_average, pool_levels
from msfp.features.weights import load_detector
from msfp.heads.fusion import make_head
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import ScenePredictor, embed
from msfp.tracking import make, thresholds
from msfp.tracking.base import FrameContext
from msfp.types import tlwh_to_xyxy
from msfp.worlds.render import render
from msfp.worlds.world import scene_worlds

LITE, BOTSORT = "LITE's way", "ultralytics BoT-SORT + native ReID"
PRESET, LAYER = "yolov8n-paper", 14
CONFIDENCE, OVERLAP = 0.1, 0.7
BOTSORT_SETTINGS = """
tracker_type: botsort
track_high_thresh: 0.25
track_low_thresh: 0.1
new_track_thresh: 0.25
track_buffer: 30
match_thresh: 0.8
fuse_score: True
gmc_method: none
proximity_thresh: 0.5
appearance_thresh: 0.8
with_reid: True
model: auto
"""
Image = NDArray[np.uint8]
Maps = dict[int, tuple[Part, ...]]
Boxes = NDArray[np.float64]
Vectors = NDArray[np.float32]


def cases(options: Options) -> Iterator[Case]:
    """The ReID part alone, on the boxes found; then the whole way."""
    size = (320, 192) if options.quick else (1280, 736)
    frames, about = images(options, 3 if options.quick else 10)
    detector = load_whole(PRESET, "embedded")
    about = f"{about}, YOLOv8n (embedded weights) at {size[0]}x{size[1]}"
    yield reid_part(detector, frames[-1], size, 50, about)
    yield whole_way(detector, frames, size, about)


def images(options: Options, count: int) -> tuple[list[Image], str]:
    """The first frames of a real sequence or of a rendered world, decoded."""
    if options.root is not None:
        present = next(s for scene in catalog.load(options.root) for s in scene.sequences if len(s.frames) >= count)
        found = [image for _, image in decode_in_turn(present, present.frames[:count])]
        return found, f"{count} frames of {present.name}"
    width, height = (320, 180) if options.quick else (1280, 720)
    world = scene_worlds("synth17", frames=count, size=(width, height))[0][1]
    return [image for image, _ in itertools.islice(render(world), count)], f"{count} rendered frames {width}x{height}"


class Ours:
    """MSFP-Track's way from maps to embeddings and thresholds: three layers, attention, ATL."""

    def __init__(self, detector: Detector) -> None:
        fusion: FusionSettings = settings("demo").fusion
        atl: AtlSettings = settings("demo").atl
        torch.manual_seed(0)
        self.detector = detector
        self.head = make_head("attention-instance", detector.channels, fusion).eval()
        self.scene = detector.preset.scene
        channels = detector.channels[self.scene]
        state = {k: v.numpy() for k, v in SceneEncoder(channels, "offset", atl).state_dict().items()}
        self.atl = ScenePredictor("offset", channels, state, atl)
        self.base = (atl.base_high, atl.base_low)

    def __call__(self, maps: Maps, regions: Boxes) -> tuple[Vectors, Vectors]:
        """(N, D) embeddings and (2,) thresholds."""
        vectors = embed(self.head, pool_levels(maps, regions, self.detector.strides))  # type: ignore[arg-type]
        raw = self.atl(global_average(maps[self.scene])[0])
        return vectors, thresholds.offset(raw, *self.base, warn=False)[0]


@torch.inference_mode()
def lite(feature_map: torch.Tensor, regions: Boxes, stride: int) -> Vectors:
    """(N, C) unit vectors: whole cells under each box, their mean."""
    height, width = feature_map.shape[-2:]
    out = np.zeros((len(regions), feature_map.shape[1]), np.float32)
    for row, (left, top, right, bottom) in enumerate((regions / stride).astype(int)):
        x, y = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        cut = feature_map[0, :, y : max(bottom, y + 1), x : max(right, x + 1)]
        out[row] = torch.nn.functional.normalize(cut.mean((1, 2)), dim=0).numpy()
    return out


def reid_part(detector: Detector, frame: Image, size: tuple[int, int], count: int, about: str) -> Case:
    """From the detector's maps to embeddings (and thresholds), for boxes found in the frame."""
    box = fit((frame.shape[1], frame.shape[0]), size)
    maps, (tlwh, _) = detector.detect(to_batch(box.apply(frame)[None]), box, 0.001, OVERLAP, count)
    regions, ours = box.to_network(tlwh), Ours(detector)

    def theirs() -> Vectors:
        return lite(whole(maps[LAYER]), regions, detector.strides[LAYER])

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        pooled = pool_levels({LAYER: maps[LAYER]}, regions, detector.strides)[LAYER]
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        alike = np.median((pooled * results[LITE]).sum(1))
        assert alike > 0.9, alike
        assert np.allclose(np.linalg.norm(results[OURS][0], axis=1), 1, atol=1e-4)
        return {"median cosine of LITE's vector and RoIAlign's": float(alike), "boxes": len(regions)}

    sides = {LITE: theirs, OURS: lambda: ours(maps, regions)}
    return Case(f"ReID part, {len(regions)} boxes", about, sides, agree, unit="ms/frame", rounds=15)


def whole_way(detector: Detector, frames: list[Image], size: tuple[int, int], about: str) -> Case:
    """From decoded frames to tracks."""
    box, ours = fit((frames[0].shape[1], frames[0].shape[0]), size), Ours(detector)
    peer = Botsort(size)

    def follow(name: str) -> list[int]:
        tracker = make("msfp-track" if name == OURS else "lite")
        counts = []
        for frame in frames:
            maps, (tlwh, scores) = detector.detect(to_batch(box.apply(frame)[None]), box, CONFIDENCE, OVERLAP)
            regions = box.to_network(tlwh)
            if name == OURS:
                vectors, (high, low) = ours(maps, regions)
                context = FrameContext(tau_high=float(high), tau_low=float(low))
            else:
                vectors, context = lite(whole(maps[LAYER]), regions, detector.strides[LAYER]), FrameContext()
            tracker.update(tlwh_to_xyxy(tlwh), scores, vectors, context)
            counts.append(int((scores >= 0.25).sum()))
        return counts

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        assert results[OURS] == results[LITE]
        found = {name: float(np.mean(counts)) for name, counts in results.items()}
        assert abs(found[OURS] - found[BOTSORT]) <= 2 + 0.3 * found[OURS], found
        return {"boxes a frame": found[OURS], "tracked by ultralytics": found[BOTSORT]}

    sides = {LITE: lambda: follow(LITE), BOTSORT: lambda: peer(frames), OURS: lambda: follow(OURS)}
    return Case("frame to tracks", about, sides, agree, unit="ms/frame", per=len(frames), rounds=5)


class Botsort:
    """ultralytics' `track` with the same network."""

    def __init__(self, size: tuple[int, int]) -> None:
        from ultralytics import YOLO

        from msfp.features.presets import preset_named

        preset = preset_named(PRESET)
        network = copy.deepcopy(load_detector(preset.architecture, "embedded", preset.embedded))
        network.names = {0: "person"}
        network.args = {"task": "detect", "imgsz": list(size), "single_cls": False}
        network.task = "detect"
        self.model = YOLO(f"{preset.architecture}.yaml", task="detect")
        self.model.model = network
        self.settings = Path(tempfile.mkdtemp()) / "botsort.yaml"
        self.settings.write_text(BOTSORT_SETTINGS)
        self.size = size

    def __call__(self, frames: list[Image]) -> list[int]:
        """Tracks a frame; the tracker begins anew."""
        if self.model.predictor is not None:
            for tracker in self.model.predictor.trackers:
                tracker.reset()
        options = {"imgsz": self.size[::-1], "conf": CONFIDENCE, "iou": OVERLAP, "device": "cpu", "verbose": False}
        out = []
        for frame in frames:
            bgr = np.ascontiguousarray(frame[..., ::-1])
            result = self.model.track(bgr, persist=True, tracker=str(self.settings), **options)[0]
            out.append(len(result.boxes))
        return out


if __name__ == "__main__":
    if "--device" in sys.argv:
        from gpu_frame import report

        try:
            report(sys.argv[sys.argv.index("--device") + 1], "--json" in sys.argv)
        except MsfpError as error:
            sys.exit(f"msfp: {error}")
    else:
        main("pipeline", cases)
