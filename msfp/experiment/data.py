"""Which scenes play which part: what is learned from, validated on, tested on, and never seen (SETTLED: "Protocol")."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from msfp.data import catalog
from msfp.data.frames import changed, need_unchanged, pixels_state, stamp
from msfp.data.motchallenge import read_detections, read_ground_truth
from msfp.engine.files import file_digest, unsettled
from msfp.errors import InputError, NotComputable, each_once
from msfp.experiment.detections import Stretch, calibrated, with_boxes
from msfp.experiment.run import Run, looked_once
from msfp.metrics.rules import chosen_rows
from msfp.types import Detections, GroundTruth, Scene, Sequence, Stamp, Tracks

Rows = TypeVar("Rows", Detections, GroundTruth, Tracks)
BENCHMARKS = {"mot15": "MOT15", "mot20": "MOT20", "dancetrack": "DanceTrack", "personpath22": "PersonPath22"}


@dataclass(frozen=True)
class Part:
    """Frames `first` to `last` of a scene, both included, numbered from 1."""

    scene: Scene
    first: int
    last: int

    @property
    def name(self) -> str:
        return f"{self.scene.name} frames {self.first}-{self.last}"

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def present(self) -> list[int]:
        """Frames whose pixels are there."""
        return [t for t in self.scene.pixels.frames if self.first <= t <= self.last]

    def rows(self, frame: NDArray[np.integer]) -> slice:
        """Rows of the part's frames, where `frame` (N,) ascends and counts from the scene's first."""
        return slice(*map(int, np.searchsorted(frame, [self.first, self.last + 1])))


@dataclass(frozen=True)
class Fold:
    """What is learned from, and what is then evaluated with it."""

    name: str  # `half`, `paper`, `test`, `val`, or `loso:SCENE`
    learn: tuple[Part, ...]
    evaluate: tuple[Part, ...]  # their labels never enter training except under `split: paper`
    select: tuple[Part, ...] = ()  # on which open settings are selected, where it is another data set than `learn`
    atl: tuple[Part, ...] = ()  # what ATL learns from, where that is not `learn`


def benchmark(scene: Scene) -> str:
    """Whose evaluation rules apply to a scene; the embedded worlds have MOT17's."""
    return BENCHMARKS.get(scene.pixels.dataset, "MOT17")


def whole(scene: Scene) -> Part:
    return Part(scene, 1, scene.pixels.length)


def halves(scene: Scene) -> tuple[Part, Part]:
    """First and second half; the first is the shorter one of an odd length."""
    middle = scene.pixels.length // 2
    return Part(scene, 1, middle), Part(scene, middle + 1, scene.pixels.length)


@looked_once
def scenes(run: Run, dataset: str, split: str = "train") -> tuple[Scene, ...]:
    """Scenes of a split in order of name, at most `data.scenes`; listed again whenever a file or folder changes."""
    known = run.listed.get((dataset, split))
    if known is not None and _files_state(run, known[1]) == known[2]:
        return known[0]
    found = every_scene(run, dataset, split)[: run.settings.data.scenes]
    chosen = with_boxes(run, found)
    learned: tuple[Scene, ...] = ()
    if run.settings.scores == "calibrated":
        chosen = calibrated(run, chosen, lambda scene: _calibrates(run, dataset, scene))
        learned = learnable(run.variant(scores="raw"), _calibrating(run, dataset))
    made_from = tuple(dict.fromkeys(s for scene in (*found, *learned, *chosen) for s in scene.sequences))
    run.listed[dataset, split] = chosen, made_from, _files_state(run, made_from)
    return chosen


def _files_state(run: Run, made_from: tuple[Sequence, ...]) -> tuple[object, ...]:
    paths: dict[Path | None, None] = dict.fromkeys(run.weights_files)
    for one in made_from:
        inside = (one.path / name for name in (".", "..", "seqinfo.ini", "gt", "det"))
        paths |= dict.fromkeys((*inside, one.gt_path or catalog.hidden_truth(one), one.det_path))
    return (*map(stamp, paths), *map(pixels_state, dict.fromkeys(s.images for s in made_from)))


def every_scene(run: Run, dataset: str, split: str) -> tuple[Scene, ...]:
    """Scenes of a split as they lie on the disk, also those that `data.scenes` leaves out."""
    root = run.dataset_root(dataset)
    if split == "test" and not (root / "test").is_dir():
        raise NotComputable(f"{dataset}: there is no test split at {root.name}")
    if dataset in run.embedded_names:
        return catalog.load(root, dataset, split)
    if dataset == run.settings.data.main:  # whatever the folder holds; `data.learn_from` says what trains
        return catalog.load(root, None, split)
    try:
        return catalog.load(root, dataset, split)
    except InputError as error:
        raise NotComputable(str(error)) from None


def _calibrates(run: Run, dataset: str, scene: Scene) -> tuple[Stretch, ...]:
    """What a scene's scores are calibrated on: training frames only, of the main data set for another domain.

    Under `split: half` the first halves; under `loso` the other scenes; under `paper` all, which leaks as it says.
    """
    raw, source = run.variant(scores="raw"), _calibrating(run, dataset)
    parts = all_learning(raw, source)
    if run.settings.split == "loso" and len(parts) > 1:
        parts = tuple(p for p in parts if p.scene.name != scene.name)
    return tuple(Stretch(p.scene, p.first, p.last, benchmark(p.scene)) for p in parts)


def _calibrating(run: Run, dataset: str) -> str:
    config = run.settings.data
    return config.main if dataset in (config.cross, config.dance) else dataset


@looked_once
def learnable(run: Run, dataset: str) -> tuple[Scene, ...]:
    """Training scenes with labels that `data.learn_from` admits."""
    patterns = run.settings.data.learn_from if dataset == run.settings.data.main else ("*",)
    return tuple(
        s for s in scenes(run, dataset) if any(fnmatch(s.name, p) for p in patterns) and s.pixels.gt_path is not None
    )


def unseen(run: Run, dataset: str) -> tuple[Part, ...]:
    """Scenes held out whole: those that `data.learn_from` leaves out."""
    kept = {s.name for s in learnable(run, dataset)}
    return tuple(whole(s) for s in scenes(run, dataset) if s.name not in kept and s.pixels.gt_path is not None)


def folds(run: Run, dataset: str) -> tuple[Fold, ...]:
    """The folds of `split`: one for half and paper, one a scene for loso (one scene only: its halves)."""
    found = _learnable_scenes(run, dataset)
    if run.settings.split == "paper":
        parts = tuple(map(whole, found))
        return (Fold("paper", parts, parts),)
    if run.settings.split == "loso" and len(found) > 1:
        return _left_out(found, {s: whole(s) for s in found})
    return (Fold("half", tuple(halves(s)[0] for s in found), tuple(halves(s)[1] for s in found)),)


def protocols(run: Run, dataset: str) -> dict[str, tuple[Fold, ...]]:
    """The three readings of `split` on the same frames, the second halves: only what is learned from differs.

    Returns:
        `half`: learned on the first halves; `loso`: on all other scenes, a fold a scene (none where there is one scene
        only); `paper`: on all scenes whole, the evaluated frames among them.
    """
    found = _learnable_scenes(run, dataset)
    second = {s: halves(s)[1] for s in found}
    every = tuple(second.values())
    return {
        "half": (Fold("half", tuple(halves(s)[0] for s in found), every),),
        "loso": _left_out(found, second) if len(found) > 1 else (),
        "paper": (Fold("paper", tuple(map(whole, found)), every),),
    }


def _learnable_scenes(run: Run, dataset: str) -> tuple[Scene, ...]:
    if found := learnable(run, dataset):
        return found
    raise NotComputable(f"{dataset}: no training sequence with labels is present")


def _left_out(found: tuple[Scene, ...], evaluate: dict[Scene, Part]) -> tuple[Fold, ...]:
    """A fold a scene, which learns from the whole of all others."""
    return tuple(Fold(f"loso:{s.name}", tuple(whole(o) for o in found if o is not s), (evaluate[s],)) for s in found)


def all_learning(run: Run, dataset: str) -> tuple[Part, ...]:
    """What models for other data sets learn from: the first halves under `split: half`, else the whole scenes."""
    return tuple(halves(s)[0] if run.settings.split == "half" else whole(s) for s in learnable(run, dataset))


def test_fold(run: Run, dataset: str) -> Fold:
    """Models retrained on the full training split (A.2), evaluated on the test split.

    Raises:
        NotComputable: no test split, or its labels are kept by a server.
    """
    parts = tuple(map(whole, scenes(run, dataset, "test")))
    hidden = [p.scene.name for p in parts if catalog.hidden_truth(p.scene.pixels) is None]
    if hidden:
        raise NotComputable(f"labels of {', '.join(hidden)} are kept by the evaluation server")
    return Fold("test", tuple(map(whole, learnable(run, dataset))), parts)


def judged_folds(run: Run, dataset: str) -> tuple[tuple[Fold, ...], str]:
    """The test split; where its labels are hidden, the data set's `val` split or else the validation folds, and why."""
    try:
        return (test_fold(run, dataset),), ""
    except NotComputable as error:
        reason = str(error)
    try:
        parts = tuple(map(whole, scenes(run, dataset, "val")))
    except (InputError, NotComputable):
        return folds(run, dataset), reason
    return (Fold("val", tuple(map(whole, learnable(run, dataset))), parts),), reason


def sequences(part: Part) -> tuple[Sequence, ...]:
    """The part's sequences, one per public detector, that have detections."""
    return tuple(s for s in part.scene.sequences if s.det_path is not None)


def detections(sequence: Sequence) -> Detections:
    """Detections of a sequence, as its file holds them now."""
    if sequence.det_path is None:
        raise NotComputable(f"{sequence.name} has no det/det.txt")
    return _read(read_detections, sequence.det_path, sequence)


def labels(scene: Scene) -> GroundTruth:
    """Labels for training and analysis, boxes without area left out; a test split's are not to be had here."""
    if scene.pixels.gt_path is None:
        raise NotComputable(f"{scene.name} has no labels")
    return _read(_with_area, scene.pixels.gt_path, scene.pixels)


def _with_area(path: Path, sequence: Sequence) -> GroundTruth:
    found = read_ground_truth(path, sequence)
    return chosen_rows(found, np.asarray((found.tlwh[:, 2:] > 0).all(axis=1)))


def truth(scene: Scene) -> GroundTruth:
    """Labels for evaluation only: also a test split's, which are kept apart."""
    return _read(read_ground_truth, truth_path(scene), scene.pixels)


@looked_once
def truth_digest(run: Run, scene: Scene) -> str:
    """Labels for evaluation by content.

    Raises:
        NotComputable: nobody here has them.
        InputError: the file changed since the scene was listed.
    """
    path = truth_path(scene)
    need_unchanged(scene.pixels, path)
    return run.file_digest(path)


def _read(read: Callable[[Path, Sequence], Rows], path: Path, sequence: Sequence) -> Rows:
    """The rows of a file as it is now, read once for each state of it."""
    now = stamp(path)
    # So new that it may change without another stamp, it is told by its digest too.
    digest = file_digest(path) if now is not None and unsettled(now[1]) else ""
    return _parsed(read, path, now, digest, sequence)


@lru_cache(maxsize=320)
def _parsed(
    read: Callable[[Path, Sequence], Rows], path: Path, was: Stamp | None, digest: str, sequence: Sequence
) -> Rows:
    found = read(path, sequence)
    if stamp(path) != was or (digest and file_digest(path) != digest):
        raise changed(path)
    return found


def missing_pixels(part: Part) -> str:
    """Why appearance cannot be computed on the part: `MOT17-04: 8 of 1050 frames present`; empty when it can."""
    pixels = part.scene.pixels
    if len(part.present) == part.length:
        return ""
    return pixels.trouble or f"{part.scene.name}: {len(pixels.frames)} of {pixels.length} frames present"


def need_pixels(parts: Iterable[Part]) -> None:
    """Raise NotComputable, which names the scenes and their frames, unless every frame of every part is there."""
    if missing := [m for m in map(missing_pixels, parts) if m]:
        raise NotComputable(each_once(missing))


def window(rows: Rows, part: Part) -> Rows:
    """The part's rows of detections, labels or tracks, frames renumbered from 1."""
    keep = part.rows(rows.frame)
    cut = {f.name: getattr(rows, f.name)[keep] for f in fields(rows)}
    return type(rows)(**{**cut, "frame": cut["frame"] - np.int32(part.first - 1)})


def truth_path(scene: Scene) -> Path:
    """Where a scene's labels for evaluation lie. Raises NotComputable: nobody here has them."""
    path = scene.pixels.gt_path or catalog.hidden_truth(scene.pixels)
    if path is None and scene.pixels.split == "test":
        raise NotComputable(f"labels of {scene.name} are kept by the evaluation server")
    if path is None:
        raise NotComputable(f"{scene.name} has no labels: {scene.pixels.path / 'gt' / 'gt.txt'} is missing")
    return path
