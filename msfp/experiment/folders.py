"""Folders in and out: tracking one with what was learned on the embedded worlds, finishing tracks, scoring results."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msfp import tracking
from msfp.data import catalog
from msfp.data.motchallenge import read_tracks, write_tracks
from msfp.data.sequences import ScoreRange, read_length, remedy, score_range
from msfp.errors import InputError, NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.external import need_writable
from msfp.experiment.features import REID
from msfp.experiment.heads import TRAINING_FREE, appearance
from msfp.experiment.passes import default_camera
from msfp.experiment.reid import Discrimination, measure, people_sample, usable
from msfp.experiment.run import Run, literal, stage
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method, Recovery, tracks
from msfp.heads import ALIASES
from msfp.heads.fusion import strategies
from msfp.heads.recovery import Linker, fit_link
from msfp.heads.training import Fitted
from msfp.metrics import scores as trackeval
from msfp.metrics.scores import Score
from msfp.metrics.switches import nothing_counts, nothing_overlaps
from msfp.tracking.postprocess import LONGEST, Stretch, fill_gaps, link, may_follow, pair, smooth, stretches
from msfp.tracking.thresholds import policies
from msfp.types import GroundTruth, Scene, Tracks

STEPS = ("link", "fill", "smooth")
CUTS = 8  # times that the labels are cut anew
EPOCHS, OTHERS = 60, 3  # passes over the pairs; strangers for each pair of one person
PIECE = (10, 60)  # observations of a stretch between two cuts
WOBBLE = 0.03  # spread of a detected box's place, as a share of its height


def steps_from(text: str) -> tuple[str, ...]:
    """`"link,smooth"` -> those steps in their order; empty: none."""
    asked = [word.strip() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in STEPS:
            raise InputError(f"--after {word}: not known; there are: {', '.join(STEPS)}, several separated by commas")
    return tuple(step for step in STEPS if step in asked)


def finish(run: Run, tracks: Tracks, steps: Iterable[str], learn: tuple[Part, ...], seed: int = 0) -> Tracks:
    """Tracks of a whole sequence after steps of `STEPS`; `link` learns from the labels of `learn`."""
    for step in steps:
        if not len(tracks):
            return tracks
        if step == "link":
            tracks = link(tracks, Linker(train_link(run, learn, seed).state))
        else:
            tracks = fill_gaps(tracks) if step == "fill" else smooth(tracks)
    return tracks


@stage(
    "link",
    lambda run, learn, seed: {
        "labels": [(data.truth_digest(run, p.scene), p.first, p.last) for p in learn],
        "recipe": (CUTS, EPOCHS, OTHERS, PIECE, WOBBLE),
        "seed": seed,
    },
    ("msfp.heads.recovery", "msfp.tracking.postprocess"),
)
def train_link(run: Run, learn: tuple[Part, ...], seed: int) -> Fitted:
    """The decision, taught by the labels of the learning parts."""
    return fit_link(*link_pairs([data.window(data.labels(p.scene), p) for p in learn], seed), EPOCHS, seed)


def link_pairs(labels: Iterable[GroundTruth], seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Stretches that follow each other, (M, 2, T, 3), and (M,) whether they are one person's."""
    rng = np.random.default_rng([seed, 5])
    found, same = [], []
    for seen in [people(truth) for truth in labels] * CUTS:
        pieces = [(who, piece) for who, whole in seen.items() for piece in cut(whole, rng)]
        for who, before in pieces:
            after = [(other, piece) for other, piece in pieces if may_follow(before, piece)]
            own = [piece for other, piece in after if other == who][:1]
            strangers = [piece for other, piece in after if other != who]
            chosen = rng.permutation(len(strangers))[:OTHERS]
            for piece in [*own, *(strangers[k] for k in chosen)]:
                found.append(pair(before, piece))
                same.append(bool(own) and piece is own[0])
    empty = np.zeros((0, 2, 0, 3), np.float32)
    return np.stack(found) if found else empty, np.array(same, np.bool_)


def people(truth: GroundTruth) -> dict[int, Stretch]:
    """Labelled pedestrians as tracks without a mistake."""
    rows = truth.pedestrian
    score = np.ones(int(rows.sum()), np.float32)
    return stretches(Tracks(truth.frame[rows], truth.id[rows], truth.tlwh[rows], score))


def cut(whole: Stretch, rng: np.random.Generator) -> list[Stretch]:
    """A person's observations in stretches with gaps between them, their places as inexact as detections are."""
    pieces, at = [], 0
    while at < len(whole.frame):
        end = min(at + int(rng.integers(*PIECE)), len(whole.frame))
        tlwh = whole.tlwh[at:end].copy()
        tlwh[:, :2] += rng.normal(0.0, WOBBLE, (end - at, 2)) * tlwh[:, 3:]
        pieces.append(Stretch(whole.frame[at:end], tlwh))
        at = end + int(rng.integers(0, LONGEST))
    return pieces


LEARN_FROM = "synth17"
RECOVERIES = ("none", "busca")
BETTER = {"msfp-track": "parts"}
"""Embeddings that tell people of real scenes apart better than the tracker's own (README); tables keep to the paper."""
OWN_THRESHOLDS, OWN_OPTIONS = "0.25,0.1", {"fuse_score": True}
"""Of `msfp-track` on boxes of a detector that learned from photographs. ATL as the paper words it adds to .5 and can
only rise (eq. 6): on MOT17-02 DetA is a quarter lower there than at .25. The values are ultralytics' own."""
ATL_MODES = {"atl": "offset", "atl-single": "single", "atl-dual": "dual"}


def appearances() -> list[str]:
    """Every word for an embedding, other than `none`."""
    return sorted({*strategies(), *ALIASES, REID})


def method_from(
    run: Run,
    tracker: str,
    look: str,
    threshold: str,
    options: Mapping[str, str],
    seed: int,
    recovery: str = "none",
    learn: Path | None = None,
    taught: bool = False,
) -> Method:
    """A method from words, which learns from the folder `learn`, as `learning_parts`; nothing if it is `taught`.

    InputError names what there is in place of an unknown word, or what does not go together.
    """
    known = ", ".join(appearances())
    if tracker not in tracking.names():
        raise InputError(f"--tracker {tracker}: not known; there are: {', '.join(tracking.names())}")
    if "fps" in options:
        raise InputError(f"--set fps={options['fps']}: the rate is the source's own; `msfp track` has --fps for it")
    kind = tracking.tracker_class(tracker)
    chosen = look or BETTER.get(tracker) or kind.appearance or "none"
    if tracker in BETTER and _knows_photographs(run):
        threshold = threshold or OWN_THRESHOLDS
        options = {**{key: str(value) for key, value in OWN_OPTIONS.items()}, **options}
    threshold = threshold or kind.threshold
    of_policy = dict(policies()[threshold].options) if threshold in policies() else {}
    of_policy = {key: value for key, value in of_policy.items() if key in kind.Settings.model_fields}
    pairs = tuple(sorted({**of_policy, **{key: literal(value) for key, value in options.items()}}.items()))
    tracking.make(tracker, **dict(pairs))  # refuses what does not fit before hours are spent on features
    if kind.needs_embeddings and chosen == "none":
        raise InputError(f"--appearance none: {tracker} compares appearances; choose one of {known}")
    if chosen != "none" and not kind.needs_embeddings:
        able = ", ".join(name for name in tracking.names() if tracking.tracker_class(name).needs_embeddings)
        raise InputError(f"--appearance {chosen}: {tracker} goes by motion alone; leave it out, or take one of {able}")
    if recovery not in RECOVERIES:
        raise InputError(f"--recovery {recovery}: not known; there are: {', '.join(RECOVERIES)}")
    rule = _threshold(threshold, seed, lambda: () if taught else learning_parts(run, learn))
    plugin = Recovery(learning_parts(run, learn), seed) if recovery == "busca" else None
    strategy = ALIASES.get(chosen, chosen)
    if strategy not in ("none", *strategies(), REID):
        raise InputError(f"--appearance {chosen}: not known; there are: none, {known}")
    # The embedded worlds are rendered only where something is learned from them.
    parts = () if taught or strategy in ("none", *TRAINING_FREE) else learning_parts(run, learn)
    seen = None if strategy == "none" else appearance(strategy, parts, seed)
    select = learning_parts(run, learn) if run.settings.tuning == "selected" else ()
    return Method(tracker, tracker, seen, rule, pairs, default_camera(tracker), recovery=plugin, learn=select)


def _knows_photographs(run: Run) -> bool:
    """True where the boxes are those of a detector that somebody brought."""
    return run.settings.detections == "detector" and run.settings.input.weights not in ("embedded", "random-init")


def learning_parts(run: Run, root: Path | None = None) -> tuple[Part, ...]:
    """The parts to learn from: labelled training scenes of a folder in the MOTChallenge layout, or embedded worlds."""
    if root is None:
        return tuple(data.whole(s) for s in data.scenes(run, LEARN_FROM))
    other = run.variant(data=run.settings.data.model_copy(update={"root": root.resolve()}))
    scenes = data.scenes(other, other.settings.data.main)
    found = tuple(data.whole(s) for s in scenes if s.pixels.gt_path is not None)
    if not found:
        raise InputError(f"--learn {root}: no scene under train/ has labels (gt/gt.txt) to learn from")
    return found


def others(run: Run, learn: ListLike[Part], scene: Scene) -> tuple[Part, ...]:
    """Learning parts of other scenes than this one, in whatever folder: nothing is learned where it is measured."""
    kept = _of_others(run, learn, scene)
    if learn and not kept:
        raise InputError(f"{scene.name}: there is no other scene to learn from; give --learn a folder of other scenes")
    return kept


def _of_others(run: Run, learn: ListLike[Part], scene: Scene) -> tuple[Part, ...]:
    digest = run.pixels_digest(scene)
    return tuple(part for part in learn if part.scene.name != scene.name and run.pixels_digest(part.scene) != digest)


def _threshold(text: str, seed: int, learn: Callable[[], tuple[Part, ...]]) -> Threshold:
    if text == "default":
        return Threshold()
    if text in ATL_MODES:
        return Threshold("atl", mode=ATL_MODES[text], learn=learn(), seed=seed)  # type: ignore[arg-type]
    if text in policies():
        return Threshold("policy", policy=text)
    try:
        values = [float(v) for v in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(isfinite(v) for v in values) or values[-1] > values[0]:
        raise InputError(
            f"--threshold {text}: write default, a number TAU, two numbers HIGH,LOW with LOW not above HIGH, or "
            f"{', '.join((*ATL_MODES, *policies()))}"
        )
    return Threshold("fixed", values[0], values[-1])


def leak_warning(run: Run, learn: Path | None, split: str) -> str:
    """One line of scenes that are tracked with what they taught themselves; empty where there are none."""
    if learn is None:
        return ""
    parts = learning_parts(run, learn)
    tracked = data.scenes(run, run.settings.data.main, split)
    known = [s.name for s in tracked if len(_of_others(run, parts, s)) < len(parts)]
    if not known:
        return ""
    return (
        f"{', '.join(known)}: learned from --learn {learn}, so these results say nothing of scenes that are new; for "
        "a score leave them out of that folder"
    )


def range_warning(run: Run, method: Method, split: str) -> str:
    """One line of files whose scores lie outside what the method's thresholds mean; empty where none does.

    Thresholds given as numbers are in the scores' own range, save where those are percentages; ATL learned DPM's.
    """
    odd: dict[Path, ScoreRange] = {}
    for scene in data.scenes(run, run.settings.data.main, split):
        for sequence in scene.sequences:
            try:
                found = score_range(data.detections(sequence))
            except (NotComputable, InputError):
                continue  # told where it is tracked
            rule = method.threshold
            meant = (rule.kind == "fixed" and not (found.percent and rule.high <= 1)) or (
                rule.kind == "atl" and sequence.detector == "DPM" and not found.percent
            )
            if sequence.det_path is not None and not found.unit and not meant:
                odd[sequence.det_path] = found
    if not odd:
        return ""
    path, first = next(iter(odd.items()))
    whole = ScoreRange(min(f.low for f in odd.values()), max(f.high for f in odd.values()))
    more = f" (and {len(odd) - 1} more files)" if len(odd) > 1 else ""
    return f"{path}{more}: {whole}, as the thresholds of {method.tracker} assume: {remedy(first)}"


def track_folder(
    run: Run, method: Method, split: str, out: Path, after: tuple[str, ...] = (), seed: int = 0
) -> tuple[list[Path], dict[str, str]]:
    """Track every sequence of a split into `out`: the files written, and why a sequence has none.

    `after`: steps of `finish`, which learn with `seed`. NotComputable: not one sequence could be tracked.
    """
    need_writable(out / ".writable")
    written, skipped = [], {}
    learn = learning_parts(run) if "link" in after else ()
    for scene in data.scenes(run, run.settings.data.main, split):
        part = data.whole(scene)
        for sequence in scene.sequences:
            try:
                found = finish(run, tracks(run, part, sequence, method), after, learn, seed)
            except (NotComputable, InputError) as error:
                skipped[sequence.name] = str(error)
                continue
            path = out / f"{sequence.name}.txt"
            write_tracks(path, found)
            written.append(path)
    if not written:
        raise NotComputable("; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no sequence here")
    return written, skipped


@dataclass(frozen=True)
class FolderReid:
    """How well embeddings tell the people of a folder apart."""

    rows: list[dict[str, object]]  # appearance, scene (`mean` of all), seeds, and the measures of section 4.2
    skipped: dict[str, str]  # scene -> why it is not measured


MEASURES = ("auc", "gap", "hard_auc", "first_of_two", "same_frame_auc")


def reid_folder(run: Run, names: ListLike[str], split: str, learn: Path | None) -> FolderReid:
    """Measure embeddings on the labelled boxes of every scene of a split.

    What is learned is learned from `learn`, see `learning_parts`; a scene that is measured is never learned from.
    InputError: an unknown embedding, or nothing to learn from. NotComputable: not one scene can be measured.
    """
    if wrong := [name for name in names if name not in appearances()]:
        raise InputError(f"--appearance {wrong[0]}: not known; there are: {', '.join(appearances())}")
    scenes, skipped = [], {}
    for scene in data.scenes(run, run.settings.data.main, split):
        try:
            data.truth_path(scene)
            data.need_pixels((data.whole(scene),))
            scenes.append(scene)
        except NotComputable as error:
            skipped[scene.name] = str(error)
    rows: list[dict[str, object]] = []
    parts = learning_parts(run, learn) if any(ALIASES.get(name, name) not in TRAINING_FREE for name in names) else ()
    from_elsewhere = {scene: others(run, parts, scene) for scene in scenes}
    for name in names:
        strategy = ALIASES.get(name, name)
        by_scene = {}
        for scene, learned in from_elsewhere.items():
            looks = list(dict.fromkeys(appearance(strategy, learned, seed) for seed in run.settings.seeds))
            found = measure(run, looks, [data.whole(scene)], f"{name} on {scene.name}")
            try:
                by_scene[scene.name] = [one for look in looks for one in usable(found[look])]
            except NotComputable as error:
                skipped[scene.name] = str(error)
        rows += _reid_rows(name, by_scene)
    if not rows:
        raise NotComputable("; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no scene here")
    return FolderReid(rows, skipped)


def _reid_rows(name: str, by_scene: Mapping[str, ListLike[Discrimination]]) -> Iterator[dict[str, object]]:
    """A row a scene, means over seeds, and one of all scenes with the interval of its hard_auc; None: no such pairs."""
    for scene, found in by_scene.items():
        yield {"appearance": name, "scene": scene, "seeds": len(found), **_means(found)}
    if by_scene:
        groups = list(zip(*by_scene.values(), strict=True))
        interval: list[float] | None = None
        with suppress(NotComputable):
            interval = [float(end) for end in people_sample(groups, "hard_auc").interval()]
        row = {"appearance": name, "scene": "mean", "seeds": len(groups), **_means(chain(*groups))}
        yield {**row, "hard_auc_interval": interval}


def _means(found: Iterable[Discrimination]) -> dict[str, float | None]:
    """Measure -> its mean over those that have it."""
    each, means = list(found), {}
    for name in MEASURES:
        there = [value for one in each if not np.isnan(value := getattr(one, name))]
        means[name] = float(np.mean(there)) if there else None
    return means


@dataclass(frozen=True)
class FolderScore:
    """Scores of a folder of result files."""

    score: Score  # of each sequence, and combined
    missing: list[str]  # sequences without a result file
    skipped: dict[str, str]  # sequence -> why it has no score
    told: list[str]  # what a person should know of the files; the score stands
    doubtful: dict[str, str]  # sequence -> why its score says nothing


def score_folder(root: Path, results: Path, split: str) -> FolderScore:
    """Score result files against a folder's labels with TrackEval. What cannot be read is left out and named.

    `root` has the MOTChallenge layout; of seqinfo.ini only the length is needed. `results` holds `SEQUENCE.txt` files,
    or TrackEval's `NAME/data/SEQUENCE.txt`. InputError: no such folder, or no file that can be scored.
    """
    if not results.is_dir():
        raise InputError(f"{results}: there is no such folder of result files")
    skipped: dict[str, str] = {}
    scenes = catalog.load(root, None, split, read=read_length, unreadable=skipped)
    sequences = [(scene, sequence) for scene in scenes for sequence in scene.sequences]
    folder = catalog.result_folder(results, [sequence.name for _, sequence in sequences])
    scores, missing, doubtful = {}, [], {}
    told: dict[str, list[Path]] = {}
    for scene, sequence in sequences:
        path = folder / f"{sequence.name}.txt"
        if not path.is_file():
            missing.append(sequence.name)
            continue
        said: list[str] = []
        try:
            truth, benchmark = data.truth(scene), data.benchmark(scene)
            found = read_tracks(path, said)
        except (InputError, NotComputable) as error:
            skipped[sequence.name] = str(error)
            continue
        try:
            scores[sequence.name] = trackeval.evaluate(truth, found, sequence.length, benchmark=benchmark)
        except InputError as error:
            skipped[sequence.name] = f"{path}: {error}"
            continue
        if doubt := nothing_counts(truth, benchmark) or nothing_overlaps(truth, found):
            doubtful[sequence.name] = doubt
        for text in said:
            told.setdefault(text, []).append(path)
    if not scores and skipped:
        raise InputError("; ".join(skipped.values()))
    if not scores:
        wanted = f"{missing[0]}.txt" if missing else "MOT17-02-SDP.txt"
        raise InputError(f"{results}: no file is named after a sequence of {root}, such as {wanted}")
    more = {text: f" (and {len(paths) - 1} more files)" if len(paths) > 1 else "" for text, paths in told.items()}
    lines = [f"{paths[0]}{more[text]}: {text}" for text, paths in told.items()]
    return FolderScore(trackeval.combine(scores), missing, skipped, lines, doubtful)
