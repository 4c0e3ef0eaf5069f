"""Settings that the paper leaves open, selected on the learning part (A.2): one search, one budget, for every method.

A fifth of the learning part is held out: whole scenes where there are five or more, else the last frames of each. Heads
learn from the rest, and of the drawn settings (`search_space.csv`) those of highest HOTA on held-out frames are taken.
"""

import csv
from collections.abc import Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.features import REID, reid_jobs
from msfp.experiment.heads import TRAINING_FREE, Appearance, box_inputs, embeddings, head_inputs, head_jobs, seeded
from msfp.experiment.passes import part_warps, scene_warps
from msfp.experiment.run import Job, Run, attempt, literal, one_look, stage
from msfp.metrics import hota
from msfp.metrics import scores as trackeval
from msfp.metrics.scores import SequenceScore
from msfp.tracking import Tracker, make, track, tracker_class
from msfp.types import Detections, Sequence

Options = tuple[tuple[str, object], ...]  # settings of a tracker, as (name, value), in order of name
SPACE = Path(__file__).with_name("search_space.csv")
WHOLE_SCENES = 5  # from so many scenes on whole ones are held out (A.2: "80/20 split of training sequences")
CHUNK = 10  # draws that one worker makes in a row
SELECTION_CODE = (code_digest(__name__, follow=False), "msfp.tracking", "msfp.metrics.hota")
# Of the paper's association, of which only the thresholds are given.
FIRST_GUESS: Options = (
    ("buffer", 30), ("ema", 0.9), ("fuse_score", False), ("fusion", "sum"), ("match", 0.8), ("match_low", 0.5),
    ("match_unconfirmed", 0.7), ("min_iou", 0.2), ("new_track_margin", 0.1), ("weight", 0.5),
)  # fmt: skip


class Open(NamedTuple):
    """A setting that is open for some trackers."""

    setting: str
    trackers: tuple[str, ...]
    paper: str  # what it says of the setting
    candidates: tuple[object, ...]  # values that are tried


@dataclass(frozen=True)
class Subject:
    """For whom settings are selected: rows that differ in nothing else share them."""

    tracker: str  # registered tracker
    look: Appearance | None  # its embedding, as the evaluated row has it; None for motion only
    camera: str  # how camera motion is compensated
    fixed: Options  # settings that the row itself fixes; they are not drawn
    learn: tuple[Part, ...]  # its learning parts


@dataclass(frozen=True)
class Selection:
    """Outcome of a search."""

    options: Options  # what was chosen beyond the released settings
    hota: float  # of it on the held-out frames, in [0, 1], mean of the seeds
    released: float  # the same of the released settings
    draws: int  # how many different draws were tried
    quartiles: NDArray[np.float64]  # (3,) of the draws' HOTA, with the first seed
    seeds: tuple[int, ...]  # with which the best draws were measured
    held_out: tuple[str, ...]  # names of the parts it was selected on


@cache
def search_space() -> tuple[Open, ...]:
    """Every open setting, in the file's order."""
    with SPACE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Open(r["setting"], tuple(r["trackers"].split()), r["paper"], tuple(map(literal, r["candidates"].split())))
            for r in csv.DictReader(file)
        )


def open_settings(tracker: str, fixed: Options = ()) -> tuple[Open, ...]:
    """What is open for a tracker, less what a row fixes; one that the file does not name has its base's."""
    named = {name for one in search_space() for name in one.trackers}
    ancestors = [str(getattr(kind, "name", "")) for kind in tracker_class(tracker).__mro__]
    known = next((name for name in ancestors if name in named), "")
    return tuple(one for one in search_space() if known in one.trackers and one.setting not in dict(fixed))


def first_guess(tracker: str) -> Options:
    """The first guess for the paper's association, and for ByteTrack what it shares with it; nothing for others."""
    names = {one.setting for one in open_settings(tracker)}
    concerned = tracker == "bytetrack" or has_papers_association(tracker)
    return tuple((key, value) for key, value in FIRST_GUESS if concerned and key in names)


def has_papers_association(tracker: str) -> bool:
    """True for the trackers of LITE's trained projection and of MSFP's rows, whose kind of fusion is open."""
    return any(one.setting == "fusion" for one in open_settings(tracker))


@cache
def draws(tracker: str, fixed: Options, trials: int, seed: int) -> tuple[Options, ...]:
    """Different draws of the open settings, the released values first; fewer where there are not so many."""
    space = open_settings(tracker, fixed)
    rng = np.random.default_rng(seed)
    found: dict[Options, None] = {(): None}
    for _ in range(trials * 20):
        if len(found) >= trials or not space:
            break
        drawn = {one.setting: one.candidates[rng.integers(len(one.candidates))] for one in space}
        if not drawn.get("track_low", 0.0) < drawn.get("track_high", 1.0):  # type: ignore[operator]
            continue
        found[tuple(sorted(effective(drawn).items()))] = None
    return tuple(found)


def effective(drawn: dict[str, object]) -> dict[str, object]:
    """A draw without the settings that its kind of fusion does not read, so that equal draws are known as equal."""
    unread = {
        "sum": ("proximity", "max_appearance"),
        "min_gate": ("weight", "min_iou"),
        "mahalanobis": ("weight", "min_iou", "proximity", "max_appearance", "fuse_score"),
    }.get(str(drawn.get("fusion", "")), ())
    return {key: value for key, value in drawn.items() if key not in unread}


def learning_parts(run: Run, learn: Iterable[Part]) -> tuple[Part, ...]:
    """Cut learning parts to first halves under `split: half`, so that settings are those of validation on tests too."""
    parts = (data.halves(p.scene)[0] if run.settings.split == "half" and p == data.whole(p.scene) else p for p in learn)
    return tuple(dict.fromkeys(parts))


def inner_split(run: Run, learn: ListLike[Part]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Learning parts -> what heads learn from, and what is held out to select on; no frame is in both."""
    parts, share = learning_parts(run, learn), run.settings.selection.share
    names = list(dict.fromkeys(p.scene.name for p in parts))
    if len(names) >= WHOLE_SCENES:
        order = np.random.default_rng(run.settings.selection.seed).permutation(len(names))
        held = {names[i] for i in order[: ceil(share * len(names))]}
        return tuple(p for p in parts if p.scene.name not in held), tuple(p for p in parts if p.scene.name in held)
    cut = [(p, p.last - max(1, ceil(share * p.length))) for p in parts]
    inner = tuple(replace(p, last=last) for p, last in cut if last >= p.first)
    return inner, tuple(replace(p, first=last + 1) for p, last in cut)


def inner_look(run: Run, look: Appearance | None, learn: ListLike[Part], part: Part, seed: int) -> Appearance | None:
    """The embedding that tracks a held-out part: the row's own where it never saw those frames, else of the rest."""
    if look is None:
        return None
    if look.strategy in TRAINING_FREE:
        return replace(look, joint=False)
    own = replace(look, seed=seed if seeded(look.strategy) else 0, joint=False)
    return replace(own, learn=inner_split(run, learn)[0]) if any(overlap(p, part) for p in own.learn) else own


def overlap(one: Part, other: Part) -> bool:
    return one.scene.name == other.scene.name and one.first <= other.last and other.first <= one.last


def options_for(run: Run, subject: Subject) -> Options:
    """A row's settings under the run's `tuning`, with `association.*` above them and the row's own above all."""
    if run.settings.tuning == "first":
        found = dict(first_guess(subject.tracker))
    elif run.settings.tuning == "selected" and open_settings(subject.tracker, subject.fixed):
        try:
            found = dict(select(run, subject).options)
        except NotComputable as error:
            raise NotComputable(
                f"{error}: settings are selected on learning frames; -p tuning=released takes published ones"
            ) from error
    else:
        found = {}
    if has_papers_association(subject.tracker):
        found |= run.settings.association.given()
    return tuple(sorted({**found, **dict(subject.fixed)}.items()))


def select(run: Run, subject: Subject) -> Selection:
    """The settings of highest HOTA on held-out learning frames."""
    return _select(run, _normal(run, subject))


def _normal(run: Run, subject: Subject) -> Subject:
    """Without what does not bear on the search, so that rows share it."""
    look = subject.look and replace(subject.look, joint=False, seed=0)
    return replace(subject, look=look, learn=learning_parts(run, subject.learn))


def _inputs(run: Run, subject: Subject) -> dict[str, object]:
    held = inner_split(run, subject.learn)[1]
    if not held:
        raise NotComputable("there is no learning part to select settings on")
    config = run.settings.selection
    seeds = _seeds(run, subject)
    looks = [inner_look(run, subject.look, subject.learn, part, seed) for part in held for seed in seeds]
    return {
        "tracker": subject.tracker,
        "space": [(one.setting, one.candidates) for one in open_settings(subject.tracker, subject.fixed)],
        "fixed": dict(subject.fixed),
        "config": (config.trials, config.finalists, config.seed),
        "seeds": seeds,
        "held": [
            {
                "part": (p.first, p.last),
                "boxes": run.boxes_digest(p.scene),
                "benchmark": data.benchmark(p.scene),
                "scores": run.settings.scores,
                "features": box_inputs(run, p.scene, subject.look) if subject.look else None,
                "camera": None if subject.camera == "none" else scene_warps.key(run, p.scene, subject.camera),
            }
            for p in held
        ],
        "heads": [head_inputs(run, look) for look in dict.fromkeys(looks) if look is not None],
    }


def _seeds(run: Run, subject: Subject) -> tuple[int, ...]:
    """Seeds that matter: the run's for a trained head, one where nothing is random."""
    return run.settings.seeds if subject.look and seeded(subject.look.strategy) else run.settings.seeds[:1]


class Labelled(NamedTuple):
    """A labelled part of a sequence, ready to be tracked and scored many times."""

    sequence: Sequence
    length: int
    found: Detections
    vectors: NDArray[np.float32] | None
    warps: NDArray[np.float64] | None
    truth: hota.PreparedTruth

    def score(self, tracker: Tracker, taus: NDArray[np.float32] | None = None) -> SequenceScore:
        """Score of a tracker, with (T, 2) thresholds or its own."""
        return hota.score(self.truth, track(tracker, self.found, self.length, self.vectors, taus, warps=self.warps))


def labelled(run: Run, part: Part, sequence: Sequence, look: Appearance | None, camera: str = "none") -> Labelled:
    """A part with its labels, public detections, their embeddings and the camera's motion."""
    labels = data.window(data.labels(part.scene), part)
    return Labelled(
        sequence,
        part.length,
        data.window(data.detections(sequence), part),
        None if look is None else embeddings(run, part, sequence.detector, look),
        None if camera == "none" else part_warps(run, part, camera),
        hota.prepare(labels, part.length, benchmark=data.benchmark(part.scene)),
    )


@lru_cache(maxsize=16)
def _materials(run: Run, subject: Subject, seed: int) -> list[Labelled]:
    out = []
    for part in inner_split(run, subject.learn)[1]:
        look = inner_look(run, subject.look, subject.learn, part, seed)
        out += [labelled(run, part, sequence, look, subject.camera) for sequence in data.sequences(part)]
    if not out:
        raise NotComputable("no held-out learning sequence has detections to select settings on")
    return out


def _draws(run: Run, subject: Subject) -> list[tuple[Options, ...]]:
    config = run.settings.selection
    every = draws(subject.tracker, subject.fixed, config.trials, config.seed)
    return [every[start : start + CHUNK] for start in range(0, len(every), CHUNK)]


@stage(
    "draws",
    lambda run, subject, seed, chunk: {**_inputs(run, subject), "draws": [dict(one) for one in chunk], "seed": seed},
    SELECTION_CODE,
)
def inner_hota(run: Run, subject: Subject, seed: int, chunk: ListLike[Options]) -> NDArray[np.float64]:
    """HOTA in [0, 1] of each draw over all held-out sequences; kept, so that a stopped search goes on from there."""
    hota = []
    for options in chunk:
        scores = {}
        for one in _materials(run, subject, seed):
            tracker = make(subject.tracker, fps=one.sequence.fps, **dict(subject.fixed), **dict(options))
            scores[one.sequence.name] = one.score(tracker)
        hota.append(trackeval.combine(scores).combined.hota)
    return np.array(hota)


@stage("selection", _inputs, SELECTION_CODE, memory=256)
def _select(run: Run, subject: Subject) -> Selection:
    chunks, seeds = _draws(run, subject), _seeds(run, subject)
    every = [options for chunk in chunks for options in chunk]
    hota = np.concatenate([inner_hota(run, subject, seeds[0], chunk) for chunk in chunks])
    best = np.argsort(-hota, kind="stable")[: run.settings.selection.finalists]  # ties go to the earlier draw
    last = [(), *(every[i] for i in best if every[i] != ())]
    means = np.mean([inner_hota(run, subject, seed, last) for seed in seeds], axis=0)
    winner = int(np.argmax(means))
    held = tuple(p.name for p in inner_split(run, subject.learn)[1])
    quartiles = np.quantile(hota, [0.25, 0.5, 0.75])
    return Selection(last[winner], float(means[winner]), float(means[0]), len(every), quartiles, seeds, held)


def select_all(run: Run, subjects: Iterable[Subject]) -> None:
    """Many searches, fanned out: what they need first, then draws, then finalists; all is then in the store."""
    if run.settings.tuning != "selected":
        return
    wanted = dict.fromkeys(_normal(run, s) for s in subjects if open_settings(s.tracker, s.fixed) and s.learn)
    with one_look():
        todo = [s for s in wanted if not _is_selected(run, s)]
    held = [(s, part) for s in todo for part in inner_split(run, s.learn)[1]]
    looks = ((inner_look(run, s.look, s.learn, part, seed), part) for s, part in held for seed in _seeds(run, s))
    jobs = needed_jobs(run, looks, ((s.camera, part) for s, part in held))
    run.do(jobs, "heads, ReID and cameras to select with")
    todo.sort(key=lambda s: s.look is None)  # embeddings last longer
    items = [(s, _seeds(run, s)[0], chunk) for s in todo for chunk in _draws(run, s)]
    run.map(partial(attempt, function=inner_hota, run=run), items, "selecting settings")
    run.do(_select.jobs(run, [(s,) for s in todo]), "selecting settings, last round")


def kept(run: Run, subject: Subject) -> Selection | None:
    """A selection that was made before, None where there is none."""
    try:
        return select(run, subject) if subject.learn and _is_selected(run, _normal(run, subject)) else None
    except NotComputable:
        return None


def words(options: Options) -> str:
    """`match 0.7, min_iou 0.2, ...`; `as released` where nothing differs."""
    told: dict[object, str] = {"True": "yes", "False": "no", "None": "none"}
    return ", ".join(f"{key} {told.get(str(value), value)}" for key, value in options) or "as released"


def _is_selected(run: Run, subject: Subject) -> bool:
    try:
        return _select.is_stored(run, subject)
    except NotComputable:  # whoever needs it says so in its cells
        return True


def needed_jobs(
    run: Run, looks: Iterable[tuple[Appearance | None, Part]], cameras: Iterable[tuple[str, Part]]
) -> list[Job]:
    """ReID vectors, heads and camera motion that the store lacks of embeddings and cameras on parts."""
    heads: dict[Appearance, None] = {}
    reid: dict[str, dict[Part, None]] = {}
    for look, part in looks:
        if look is not None and look.strategy == REID:
            reid.setdefault(look.weights, {})[part] = None
        elif look is not None:
            heads[look] = None
    jobs = [job for weights in sorted(reid) for job in reid_jobs(run, reid[weights], weights)]  # the longest first
    filmed = [(part.scene, camera) for camera, part in cameras if camera != "none"]
    return jobs + head_jobs(run, heads) + scene_warps.jobs(run, filmed)
