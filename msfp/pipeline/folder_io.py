"""Folders in and out: tracking one with heads and ATL learned on the embedded worlds, and scoring result files."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from msfp import tracking
from msfp.datasets import catalog
from msfp.datasets.motchallenge import read_tracks, write_tracks
from msfp.datasets.results import result_folder
from msfp.datasets.score_ranges import ScoreRange, remedy, score_range
from msfp.datasets.seqinfo import read_length
from msfp.engine.files import atomic_write
from msfp.errors import InputError, NotComputable
from msfp.heads.fusion import strategies
from msfp.metrics import tracking as metrics
from msfp.metrics.mistakes import nothing_counts, nothing_overlaps
from msfp.metrics.score import Score
from msfp.pipeline import data
from msfp.pipeline.camera import default_camera
from msfp.pipeline.data import Part
from msfp.pipeline.heads import TRAINING_FREE, appearance
from msfp.pipeline.postprocess import finish
from msfp.pipeline.recovery import Recovery
from msfp.pipeline.reid_features import REID
from msfp.pipeline.run import Run, literal
from msfp.pipeline.tracks import Method, Threshold, tracks
from msfp.tracking.thresholds import policies

LEARN_FROM = "synth17"
RECOVERIES = ("none", "busca")
ALIASES = {"msfp-concat": "concat", "msfp-attention": "attention-instance", "msfp-se": "se-two-stage"}
ATL_MODES = {"atl": "offset", "atl-single": "single", "atl-dual": "dual"}


def method_from(
    run: Run, tracker: str, look: str, threshold: str, options: Mapping[str, str], seed: int, recovery: str = "none"
) -> Method:
    """A method from words.

    Raises:
        InputError: an unknown tracker, tracker setting, appearance or threshold, naming what there is; an appearance
            that the tracker cannot use, or lacks.
    """
    appearances = ", ".join(sorted({*strategies(), *ALIASES, REID}))
    if tracker not in tracking.names():
        raise InputError(f"--tracker {tracker}: not known; there are: {', '.join(tracking.names())}")
    if "fps" in options:
        raise InputError(f"--set fps={options['fps']}: the rate is the source's own; `msfp track` has --fps for it")
    kind = tracking.tracker_class(tracker)
    chosen = look or kind.appearance or "none"
    of_policy = dict(policies()[threshold].options) if threshold in policies() else {}
    of_policy = {key: value for key, value in of_policy.items() if key in kind.Settings.model_fields}
    pairs = tuple(sorted({**of_policy, **{key: literal(value) for key, value in options.items()}}.items()))
    tracking.make(tracker, **dict(pairs))  # refuses what does not fit before hours are spent on features
    if kind.needs_embeddings and chosen == "none":
        raise InputError(f"--appearance none: {tracker} compares appearances; choose one of {appearances}")
    if chosen != "none" and not kind.needs_embeddings:
        able = ", ".join(name for name in tracking.names() if tracking.tracker_class(name).needs_embeddings)
        raise InputError(f"--appearance {chosen}: {tracker} goes by motion alone; leave it out, or take one of {able}")
    if recovery not in RECOVERIES:
        raise InputError(f"--recovery {recovery}: not known; there are: {', '.join(RECOVERIES)}")
    rule = _threshold(run, threshold, seed)
    plugin = Recovery(_learn(run), seed) if recovery == "busca" else None
    strategy = ALIASES.get(chosen, chosen)
    if strategy not in ("none", *strategies(), REID):
        raise InputError(f"--appearance {chosen}: not known; there are: none, {appearances}")
    # The embedded worlds are rendered only where something is learned from them.
    learn = () if strategy in ("none", *TRAINING_FREE) else _learn(run)
    seen = None if strategy == "none" else appearance(strategy, learn, seed)
    return Method(tracker, tracker, seen, rule, pairs, default_camera(tracker), recovery=plugin)


def _learn(run: Run) -> tuple[Part, ...]:
    return tuple(data.whole(s) for s in data.scenes(run, LEARN_FROM))


def _threshold(run: Run, text: str, seed: int) -> Threshold:
    if text == "default":
        return Threshold()
    if text in ATL_MODES:
        return Threshold("atl", mode=ATL_MODES[text], learn=_learn(run), seed=seed)  # type: ignore[arg-type]
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

    `after`: steps of post-processing, see `finish`; `seed`: of what they learn.

    Raises:
        NotComputable: not one sequence could be tracked.
        InputError: settings that fit nothing.
        MsfpError: the output folder cannot be written, which is found before anything is computed.
    """
    trial = out / ".writable"
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)
    written, skipped = [], {}
    learn = _learn(run) if "link" in after else ()
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
class FolderScore:
    """Scores of a folder of result files."""

    score: Score  # of each sequence, and combined
    missing: list[str]  # sequences without a result file
    skipped: dict[str, str]  # sequence -> why it has no score
    told: list[str]  # what a person should know of the files; the score stands
    doubtful: dict[str, str]  # sequence -> why its score says nothing


def score_folder(root: Path, results: Path, split: str) -> FolderScore:
    """Score result files against a folder's labels with TrackEval. What cannot be read is left out and named.

    Args:
        root: folder in the MOTChallenge layout; of seqinfo.ini only the length is needed.
        results: folder of result files, one `SEQUENCE.txt` each, or TrackEval's `NAME/data/SEQUENCE.txt`.
        split: `train`, `val` or `test`.

    Raises:
        InputError: no such folder, no file named after a sequence, or not one that can be scored.
    """
    if not results.is_dir():
        raise InputError(f"{results}: there is no such folder of result files")
    skipped: dict[str, str] = {}
    scenes = catalog.load(root, None, split, read=read_length, unreadable=skipped)
    sequences = [(scene, sequence) for scene in scenes for sequence in scene.sequences]
    folder = result_folder(results, [sequence.name for _, sequence in sequences])
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
            scores[sequence.name] = metrics.evaluate(truth, found, sequence.length, benchmark=benchmark)
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
    return FolderScore(metrics.combine(scores), missing, skipped, lines, doubtful)
