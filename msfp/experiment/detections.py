"""Which boxes are tracked and with which scores: public ones, the frozen detector's own, labels; raw or calibrated."""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterable
from collections.abc import Sequence as ListLike
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.data import catalog
from msfp.data.frames import is_unchanged, stamp
from msfp.data.motchallenge import read_ground_truth
from msfp.engine.files import atomic_write
from msfp.errors import NotComputable
from msfp.experiment.run import SETTING, Run, frames_of, pairs, stage
from msfp.features.presets import preset_named
from msfp.types import Detections, Scene, Sequence

OWN, TRUE = "OWN", "TRUE"
CONFIDENCE = 0.05  # ATL's lower threshold never falls below it (4.1)
Boxes = tuple[NDArray[np.float64], NDArray[np.float32]]
log = logging.getLogger(__name__)
OWN_CODE = ("msfp.features.detector", "msfp.features.backbone")


def with_boxes(run: Run, found: tuple[Scene, ...]) -> tuple[Scene, ...]:
    """Scenes with the boxes that `detections` asks for; one sequence each in place of one a public detector.

    A scene of which frames are missing keeps none of the detector's own boxes; a scene without labels, no true ones.
    """
    return found if run.settings.detections == "public" else as_files_are(_with_boxes, run, found)


def as_files_are(make: Any, *arguments: object) -> tuple[Scene, ...]:
    """Scenes by a cached function; made again where a file of boxes was altered or removed since."""
    made: tuple[Scene, ...] = make(*arguments)
    if all(is_unchanged(s) for scene in made for s in scene.sequences):
        return made
    make.cache_clear()
    return make(*arguments)


@lru_cache(maxsize=64)
def _with_boxes(run: Run, found: tuple[Scene, ...]) -> tuple[Scene, ...]:
    if run.settings.detections == "ground_truth":
        return tuple(_replaced(s, TRUE, _true_boxes(run, s)) for s in found)
    paths = run.map(partial(_own_boxes, run=run), found, "the detector's own boxes", network=True)
    return tuple(_replaced(scene, OWN, path) for scene, path in zip(found, paths, strict=True))


def own_state(sequence: Sequence) -> Sequence:
    """The sequence, with the state of the file of boxes that took the place of its own."""
    was = sequence.state
    return sequence if was is None else replace(sequence, state=replace(was, detections=stamp(sequence.det_path)))


def _replaced(scene: Scene, name: str, path: Path | None) -> Scene:
    sequence = replace(scene.pixels, name=f"{scene.name}-{name}", det_path=path)
    return Scene(scene.name, scene.pixels, (own_state(sequence),))


def own_scene(run: Run, scene: Scene, detect: Callable[[], Detections]) -> Scene:
    """The scene with the frozen detector's own boxes, found by `detect` where the store lacks them."""
    return _replaced(scene, OWN, _written(run, scene.pixels, own_detections.keep(run, detect, scene)))


def _own_boxes(scene: Scene, run: Run) -> Path | None:
    """det.txt of the frozen detector's people; None where frames are missing."""
    if len(scene.pixels.frames) < scene.pixels.length:
        return None
    return _written(run, scene.pixels, own_detections(run, scene))


def _own_inputs(run: Run, scene: Scene) -> dict[str, object]:
    config = run.settings.input
    given = (config.preset, config.size, config.geometry, CONFIDENCE)
    return {"pixels": run.pixels_digest(scene), "weights": run.weights_digest(), "input": given}


@stage("own-boxes", _own_inputs, OWN_CODE)
def own_detections(run: Run, scene: Scene) -> Detections:
    """The frozen detector's people in a scene, of which every frame is there."""
    from msfp.features.detector import load_whole

    config = run.settings.input
    detector = load_whole(config.preset, config.weights, run.settings.device)
    numbers, found = [], []
    with frames_of(scene.pixels, "people") as (frames, progress):
        for number, image in frames:
            numbers.append(number)
            found.append(detector.people(image, config.size, CONFIDENCE, geometry=config.geometry))
            progress(1)
    return gathered(numbers, found)


def gathered(numbers: Iterable[int], found: ListLike[Boxes]) -> Detections:
    """The people of frames of these numbers, one after the other."""
    frame = np.repeat(np.fromiter(numbers, np.int32), [len(score) for _, score in found])
    tlwh = [np.zeros((0, 4)), *(boxes for boxes, _ in found)]
    return Detections(frame, np.concatenate(tlwh), np.concatenate([np.zeros(0, np.float32), *(s for _, s in found)]))


def _true_boxes(run: Run, scene: Scene) -> Path | None:
    """det.txt of the labelled pedestrians, score 1: an upper bound that no detector reaches."""
    path = scene.pixels.gt_path or catalog.hidden_truth(scene.pixels)
    if path is None:
        return None
    truth = read_ground_truth(path, scene.pixels)
    keep = truth.pedestrian
    scores = np.ones(int(keep.sum()), np.float32)
    return _written(run, scene.pixels, Detections(truth.frame[keep], truth.tlwh[keep], scores))


def _written(run: Run, sequence: Sequence, found: Detections) -> Path:
    """The file of some boxes, named by its content; boxes without a pixel of the image are left out."""
    keep = _visible(found.tlwh, sequence)
    return _saved(run, sequence, found.frame[keep], map(_numbers, found.tlwh[keep]), found.score[keep])


def rescored(run: Run, sequence: Sequence, found: Detections) -> Path:
    """The file of a sequence's own boxes with other scores, named by its content."""
    return _saved(run, sequence, found.frame, (",".join(map(repr, box)) for box in found.tlwh.tolist()), found.score)


def _saved(
    run: Run, sequence: Sequence, frame: NDArray[np.int32], boxes: Iterable[str], score: NDArray[np.float32]
) -> Path:
    rows = zip(frame, boxes, score, strict=True)
    text = "".join(f"{t},-1,{box},{value:.6g}\n" for t, box, value in rows)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = run.out / "boxes" / f"{sequence.scene}-{name}.txt"
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode():
            return path
        log.warning("%s: was altered after it was made; written again", path)
    atomic_write(path, text.encode())
    return path


def as_written(tlwh: NDArray[np.float64], sequence: Sequence) -> NDArray[np.float64]:
    """(N, 4) boxes -> (M, 4) as they come back from their file."""
    kept = tlwh[_visible(tlwh, sequence)]
    return np.array([[float(value) for value in _numbers(box).split(",")] for box in kept]).reshape(-1, 4)


def _visible(tlwh: NDArray[np.float64], sequence: Sequence) -> NDArray[np.bool_]:
    """(N,) which boxes have a pixel of the image."""
    size = np.array((sequence.width, sequence.height))
    inside = (tlwh[:, :2] < size + 1).all(axis=1) & (tlwh[:, :2] + tlwh[:, 2:] > 1).all(axis=1)
    return np.asarray(inside & (tlwh[:, 2:] > 0).all(axis=1), np.bool_)


def _numbers(box: NDArray[np.float64]) -> str:
    return ",".join(f"{value:.3f}" for value in box)


def detectors(run: Run) -> dict[str, Run]:
    """Preset -> run, the run's own detector first."""
    own = run.settings.input
    found = {own.preset: run}
    for preset, weights in pairs(own.families).items():
        found.setdefault(preset, run.variant(input=own.model_copy(update={"preset": preset, "weights": weights})))
    return found


def run_with(run: Run, preset: str) -> Run:
    """The run with a preset's detector; NotComputable, with the option to give, where its weights were not named."""
    if found := detectors(run).get(preset):
        return found
    raise NotComputable(
        f"needs weights of {preset_named(preset).architecture}: --param {SETTING}={preset}=FILE (.pt or "
        ".safetensors), several separated by commas"
    )
