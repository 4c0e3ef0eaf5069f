"""Tracking of a folder with heads and ATL that were learned on the embedded worlds."""

from collections.abc import Mapping
from pathlib import Path

from msfp import tracking
from msfp.datasets.motchallenge import write_tracks
from msfp.errors import InputError, NotComputable
from msfp.heads.fusion import STRATEGIES
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.heads import Appearance, appearance
from msfp.pipeline.run import Run, literal
from msfp.pipeline.tracks import Method, Threshold, tracks

LEARN_FROM = "synth17"
ALIASES = {"lite": "single", "msfp-concat": "concat", "msfp-attention": "attention-instance", "msfp-se": "se-two-stage"}
ATL_MODES = {"atl": "offset", "atl-single": "single", "atl-dual": "dual"}


def method_from(run: Run, tracker: str, look: str, threshold: str, options: Mapping[str, str], seed: int) -> Method:
    """A method from words.

    Raises:
        InputError: an unknown tracker, appearance or threshold, naming what there is.
    """
    if tracker not in tracking.names():
        raise InputError(f"--tracker {tracker}: not known; there are: {', '.join(tracking.names())}")
    chosen = look or tracking.tracker_class(tracker).appearance or "none"
    pairs = tuple(sorted((key, literal(value)) for key, value in options.items()))
    return Method(tracker, tracker, _look(run, chosen, seed), _threshold(run, threshold, seed), pairs)


def _learn(run: Run) -> tuple[Part, ...]:
    return tuple(data.whole(s) for s in data.scenes(run, LEARN_FROM))


def _look(run: Run, name: str, seed: int) -> Appearance | None:
    if name == "none":
        return None
    strategy = ALIASES.get(name, name)
    if strategy not in STRATEGIES:
        raise InputError(
            f"--appearance {name}: not known; there are: none, {', '.join(sorted({*STRATEGIES, *ALIASES}))}"
        )
    return appearance(strategy, _learn(run), seed)


def _threshold(run: Run, text: str, seed: int) -> Threshold:
    if text == "default":
        return Threshold()
    if text in ATL_MODES:
        return Threshold("atl", mode=ATL_MODES[text], learn=_learn(run), seed=seed)  # type: ignore[arg-type]
    try:
        values = [float(v) for v in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise InputError(f"--threshold {text}: write default, TAU, HIGH,LOW, {', '.join(ATL_MODES)}")
    return Threshold("fixed", values[0], values[-1])


def track_folder(run: Run, method: Method, split: str, out: Path) -> tuple[list[Path], dict[str, str]]:
    """Track every sequence of the run's folder; what is written, and why the rest is not.

    Raises:
        NotComputable: not one sequence could be tracked.
    """
    written, skipped = [], {}
    for scene in data.scenes(run, run.settings.data.main, split):
        part = data.whole(scene)
        for sequence in data.sequences(part):
            try:
                found = tracks(run, part, sequence, method)
            except NotComputable as error:
                skipped[sequence.name] = str(error)
                continue
            path = out / f"{sequence.name}.txt"
            write_tracks(path, found)
            written.append(path)
    if not written:
        raise NotComputable("; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no sequence here")
    return written, skipped
