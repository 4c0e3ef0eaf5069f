"""Which scenes play which part: what is learned from, validated on, tested on, and never seen (SETTLED: "Protocol")."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
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
from msfp.experiment.detections import as_files_are, own_state, rescored, with_boxes
from msfp.experiment.run import Run, looked_once, stage
from msfp.metrics.oracle import Calibration, fit, outcomes
from msfp.metrics.scores import chosen_rows, rules
from msfp.types import Detections, GroundTruth, Scene, Sequence, Stamp, Tracks

Rows = TypeVar("Rows", Detections, GroundTruth, Tracks)
Scenes = tuple[Scene, ...]
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
    """What is learned from, and what is then evaluated with it.

    Example:
        >>> fold = run.fold()
        >>> [clip.length for clip in run.clips(fold.evaluate)] == [part.length for part in fold.evaluate]
        True
    """

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
    """Scenes of a split in order of name, at most `data.scenes`; listed again when a file or folder changes."""
    known = run.listed.get((dataset, split))
    if known is not None and _files_state(run, known[1]) == known[2]:
        return known[0]
    found = every_scene(run, dataset, split)[: run.settings.data.scenes]
    learned: Scenes = ()
    chosen = with_boxes(run, found)
    if run.settings.scores == "calibrated":
        chosen, learned = _with_calibrated(run, dataset, chosen)
    made_from = tuple(dict.fromkeys(s for scene in (*found, *learned, *chosen) for s in scene.sequences))
    run.listed[dataset, split] = chosen, made_from, _files_state(run, made_from)
    return chosen


def _with_calibrated(run: Run, dataset: str, found: Scenes) -> tuple[Scenes, Scenes]:
    """Scenes with calibrated scores, and those learned from: training frames, of the main data set for another domain.

    Under `split: half` the first halves; under `loso` the other scenes; under `paper` all, which leaks as it says.
    """
    config, raw = run.settings.data, run.variant(scores="raw")
    source = config.main if dataset in (config.cross, config.dance) else dataset
    parts = all_learning(raw, source)
    others = run.settings.split == "loso" and len(parts) > 1
    learn = tuple(tuple(p for p in parts if not others or p.scene.name != scene.name) for scene in found)
    return as_files_are(_calibrated, run, found, learn), learnable(raw, source)


def _files_state(run: Run, made_from: Iterable[Sequence]) -> tuple[object, ...]:
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


@lru_cache(maxsize=64)
def _calibrated(run: Run, found: Scenes, learn: tuple[tuple[Part, ...], ...]) -> Scenes:
    made = []
    for scene, parts in zip(found, learn, strict=True):
        own = []
        for sequence in scene.sequences:
            if sequence.det_path is not None:
                boxes = read_detections(sequence.det_path, sequence)
                score = calibration(run, sequence.detector, parts)(boxes.score)
                path = rescored(run, sequence, replace(boxes, score=score))
                sequence = own_state(replace(sequence, det_path=path))
            own.append(sequence)
        made.append(replace(scene, sequences=tuple(own)))
    return tuple(made)


Known = tuple[tuple[Part, Sequence], ...]


def calibration(run: Run, detector: str, learn: tuple[Part, ...]) -> Calibration:
    """The map of one detector's scores to P(true positive)."""
    known = tuple(having(learn, detector))
    if not known:
        raise NotComputable(f"scores of {detector} boxes cannot be calibrated: no labelled training frames have any")
    made = _calibrate(run, known)
    dataset = known[0][0].scene.pixels.dataset
    run.note(
        f"Scores of {detector} boxes of {dataset} are P(true positive), calibrated on {len(known)} sequences with "
        f"{made.true} true and {made.false} false boxes; Brier score {made.before:.3f} before, {made.after:.3f} after."
    )
    return made


def _calibration_inputs(run: Run, known: Known) -> dict[str, object]:
    files = [(run.detections_digest(s), run.labels_digest(p.scene), p.first, p.last) for p, s in known]
    return {"learn": files, "benchmark": [benchmark(p.scene) for p, _ in known]}


@stage("calibration", _calibration_inputs, ("msfp.metrics.oracle",), memory=64)
def _calibrate(run: Run, known: Known) -> Calibration:
    score, hit = [], []
    for part, sequence in known:
        boxes = window(detections(sequence), part)
        judged = outcomes(window(labels(part.scene), part), boxes, rules(benchmark(part.scene)))
        score.append(boxes.score[judged >= 0])
        hit.append(judged[judged >= 0])
    return fit(np.concatenate(score), np.concatenate(hit))


@looked_once
def learnable(run: Run, dataset: str) -> tuple[Scene, ...]:
    """Training scenes with labels that `data.learn_from` admits."""
    patterns = run.settings.data.learn_from if dataset == run.settings.data.main else ("*",)
    return tuple(
        s for s in scenes(run, dataset) if any(fnmatch(s.name, p) for p in patterns) and s.pixels.gt_path is not None
    )


def unseen(run: Run, dataset: str) -> tuple[Part, ...]:
    """Scenes held out whole, as `data.learn_from` leaves them out."""
    kept = {s.name for s in learnable(run, dataset)}
    return tuple(whole(s) for s in scenes(run, dataset) if s.name not in kept and s.pixels.gt_path is not None)


def folds(run: Run, dataset: str) -> tuple[Fold, ...]:
    """The folds of `split`: one for half and paper, one a scene for loso (one scene only: its halves)."""
    found, split = _learnable_scenes(run, dataset), run.settings.split
    return _folds(found, "half" if len(found) == 1 and split == "loso" else split, whole)


def protocols(run: Run, dataset: str) -> dict[str, tuple[Fold, ...]]:
    """The three readings of `split` on the same frames, the second halves: only what is learned from differs.

    `half`: learned on the first halves; `loso`: on all other scenes, a fold a scene (none where there is one scene
    only); `paper`: on all scenes whole, the evaluated frames among them.
    """
    found = _learnable_scenes(run, dataset)
    made = {split: _folds(found, split, lambda s: halves(s)[1]) for split in ("half", "loso", "paper")}
    return made if len(found) > 1 else {**made, "loso": ()}


def _folds(found: tuple[Scene, ...], split: str, evaluate: Callable[[Scene], Part]) -> tuple[Fold, ...]:
    if split == "loso":
        others = {s: tuple(whole(o) for o in found if o is not s) for s in found}
        return tuple(Fold(f"loso:{s.name}", learn, (evaluate(s),)) for s, learn in others.items())
    if split == "paper":
        return (Fold("paper", tuple(map(whole, found)), tuple(map(evaluate, found))),)
    return (Fold("half", tuple(halves(s)[0] for s in found), tuple(halves(s)[1] for s in found)),)


def _learnable_scenes(run: Run, dataset: str) -> tuple[Scene, ...]:
    if found := learnable(run, dataset):
        return found
    raise NotComputable(f"{dataset}: no training sequence with labels is present")


def all_learning(run: Run, dataset: str) -> tuple[Part, ...]:
    """What models for other data sets learn from: first halves under `split: half`, else whole scenes."""
    return tuple(halves(s)[0] if run.settings.split == "half" else whole(s) for s in learnable(run, dataset))


def test_fold(run: Run, dataset: str) -> Fold:
    """Models retrained on the full training split (A.2), evaluated on the test split, if its labels are here."""
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


def having(parts: Iterable[Part], detector: str) -> list[tuple[Part, Sequence]]:
    """The parts that have boxes of a detector, with the sequence of them."""
    return [(p, s) for p in parts for s in sequences(p) if s.detector == detector]


def detections(sequence: Sequence) -> Detections:
    """Detections of a sequence, as its file holds them now."""
    if sequence.det_path is None:
        raise NotComputable(f"{sequence.name} has no det/det.txt")
    return _read(read_detections, sequence.det_path, sequence)


def labels(scene: Scene) -> GroundTruth:
    """Labels for training and analysis, without boxes that have no area; a test split's are not to be had here."""
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
    """Labels for evaluation by content; InputError where the file changed since the scene was listed."""
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
    """Where a scene's labels for evaluation lie; NotComputable where nobody here has them."""
    path = scene.pixels.gt_path or catalog.hidden_truth(scene.pixels)
    if path is None and scene.pixels.split == "test":
        raise NotComputable(f"labels of {scene.name} are kept by the evaluation server")
    if path is None:
        raise NotComputable(f"{scene.name} has no labels: {scene.pixels.path / 'gt' / 'gt.txt'} is missing")
    return path
