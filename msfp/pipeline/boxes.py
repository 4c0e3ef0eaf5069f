"""Which boxes are tracked in place of the public ones: the frozen detector's own, or the labelled ones (`detections`).

They are written as det.txt, one a scene, so that every later stage reads them as it reads public detections, and the
content of the file is what its results depend on.
"""

import contextlib
import hashlib
import logging
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from msfp.datasets import catalog
from msfp.datasets.motchallenge import read_ground_truth
from msfp.datasets.states import is_unchanged, stamp
from msfp.engine.files import atomic_write
from msfp.engine.progress import Bar
from msfp.pipeline.run import Run
from msfp.threads import one_thread
from msfp.types import Detections, Scene, Sequence

OWN, TRUE = "OWN", "TRUE"
CONFIDENCE = 0.05  # ATL's lower threshold never falls below it (4.1)
log = logging.getLogger(__name__)
OWN_CODE = ("msfp.features.detector", "msfp.features.presets")


def with_boxes(run: Run, found: tuple[Scene, ...]) -> tuple[Scene, ...]:
    """Scenes with the boxes that `detections` asks for; one sequence each in place of one a public detector.

    A scene of which frames are missing keeps none of the detector's own boxes; a scene without labels, no true ones.
    """
    if run.settings.detections == "public":
        return found
    made = _with_boxes(run, found)
    if not all(is_unchanged(s) for scene in made for s in scene.sequences):
        _with_boxes.cache_clear()  # a file of boxes was altered or removed: it is written again
        made = _with_boxes(run, found)
    return made


@lru_cache(maxsize=64)
def _with_boxes(run: Run, found: tuple[Scene, ...]) -> tuple[Scene, ...]:
    if run.settings.detections == "ground_truth":
        return tuple(_replaced(s, TRUE, _true_boxes(run, s)) for s in found)
    paths = run.map(partial(_own_boxes, run=run), found, "the detector's own boxes", network=True)
    return tuple(_replaced(scene, OWN, path) for scene, path in zip(found, paths, strict=True))


def own_state(sequence: Sequence) -> Sequence:
    """A sequence with the state of a file of boxes that took the place of its own."""
    was = sequence.state
    return sequence if was is None else replace(sequence, state=replace(was, detections=stamp(sequence.det_path)))


def _replaced(scene: Scene, name: str, path: Path | None) -> Scene:
    sequence = replace(scene.pixels, name=f"{scene.name}-{name}", det_path=path)
    return Scene(scene.name, scene.pixels, (own_state(sequence),))


def _own_boxes(scene: Scene, run: Run) -> Path | None:
    """det.txt of the frozen detector's people."""
    pixels = scene.pixels
    if len(pixels.frames) < pixels.length:
        return None
    config = run.settings.input
    inputs = {
        "pixels": run.pixels_digest(scene),
        "weights": run.weights_digest(),
        "preset": config.preset,
        "size": config.size,
        "geometry": config.geometry,
        "confidence": CONFIDENCE,
    }
    found = run.store.get_or_compute("own-boxes", inputs, lambda: _detect(run, scene), code=OWN_CODE)
    return written(run, scene.pixels, found)


def _detect(run: Run, scene: Scene) -> Detections:
    from msfp.datasets.frames import FrameReader
    from msfp.features.detector import load_whole

    config = run.settings.input
    detector = load_whole(config.preset, config.weights, run.settings.device)
    frame, boxes, scores = [np.zeros(0, np.int32)], [np.zeros((0, 4))], [np.zeros(0, np.float32)]
    with one_thread(), FrameReader(scene.pixels) as frames, Bar(len(frames), f"people of {scene.name}") as bar:
        for number, image in frames:
            tlwh, score = detector.people(image, config.size, CONFIDENCE, geometry=config.geometry)
            frame.append(np.full(len(score), number, np.int32))
            boxes.append(tlwh)
            scores.append(score)
            bar.update()
    return Detections(np.concatenate(frame), np.concatenate(boxes), np.concatenate(scores))


def _true_boxes(run: Run, scene: Scene) -> Path | None:
    """det.txt of the labelled pedestrians, score 1: an upper bound that no detector reaches."""
    path = scene.pixels.gt_path or catalog.hidden_truth(scene.pixels)
    if path is None:
        return None
    truth = read_ground_truth(path, scene.pixels)
    keep = truth.pedestrian
    scores = np.ones(int(keep.sum()), np.float32)
    return written(run, scene.pixels, Detections(truth.frame[keep], truth.tlwh[keep], scores))


def written(run: Run, sequence: Sequence, found: Detections) -> Path:
    """The file of some boxes, named by its content; boxes without a pixel of the image are left out.

    A file of that name that holds something else was altered, and is written again.
    """
    tlwh, size = found.tlwh, (sequence.width, sequence.height)
    inside = (tlwh[:, :2] < np.array(size) + 1).all(axis=1) & (tlwh[:, :2] + tlwh[:, 2:] > 1).all(axis=1)
    keep = inside & (tlwh[:, 2:] > 0).all(axis=1)
    rows = zip(found.frame[keep], tlwh[keep], found.score[keep], strict=True)
    text = "".join(f"{t},-1,{x:.3f},{y:.3f},{w:.3f},{h:.3f},{score:.6g}\n" for t, (x, y, w, h), score in rows)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = run.out / "boxes" / f"{sequence.scene}-{name}.txt"
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode():
            return path
        log.warning("%s: was altered after it was made; written again", path)
    atomic_write(path, text.encode())
    return path
