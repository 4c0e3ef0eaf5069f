"""Calls that open the run which they need: the clips of a folder, a trained head, scores and settings in one line."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.clip import Clip, as_labels, as_tracks
from msfp.experiment.folders import score_folder
from msfp.experiment.heads import Trained
from msfp.experiment.methods import measures
from msfp.heads.fusion import FusionHead
from msfp.heads.triplets import Loss
from msfp.metrics import hota
from msfp.paper import protocol
from msfp.paper.notebook import NotebookRun, begin

Place = str | Path


def load(root: Place, split: str = "train", **options: Any) -> list[Clip]:
    """Open a folder in the MOTChallenge layout: a clip a scene, with `labels()`, `detections(...)`, `image(1)`.

    `options` are those of `msfp.open`, of which `home` is this folder unless told otherwise.

    Example:
        >>> clip = msfp.load(run.dataset_root("synth17"), home=run.home)[0]
        >>> clip.image(1).shape[-1]
        3
    """
    run = _open({**options, "root": root})
    return run.clips([data.whole(scene) for scene in data.scenes(run, run.settings.data.main, split)])


def evaluate(labels: Place | pd.DataFrame, tracks: Place | pd.DataFrame, split: str = "train") -> pd.DataFrame:
    """Score tracks: HOTA, AssA, DetA, IDF1 and MOTA in percent, and IDSW; a row a sequence, and COMBINED.

    Args:
        labels: folder in the MOTChallenge layout; or a frame of one sequence with frame, id and x, y, w, h or corners.
        tracks: folder of result files, one SEQUENCE.txt each; or a frame: frame, id, x1, y1, x2, y2.
        split: of the folder.

    Raises:
        InputError: nothing can be scored, or a column is missing. What is left out of a folder is a warning.

    Example:
        >>> labels = pd.DataFrame({"frame": [1, 2], "id": 1, "x": 10.0, "y": 10.0, "w": 40.0, "h": 90.0})
        >>> tracks = pd.DataFrame({"frame": [1, 2], "id": 7, "x1": 10.0, "y1": 10.0, "x2": 50.0, "y2": 100.0})
        >>> float(msfp.evaluate(labels, tracks).loc["COMBINED", "HOTA"].round(1))
        100.0
    """
    if isinstance(labels, pd.DataFrame) and isinstance(tracks, pd.DataFrame):
        truth, found = as_labels(labels), as_tracks(tracks)
        length = max(int(truth.frame.max(initial=0)), int(found.frame.max(initial=0)))
        return pd.DataFrame({"COMBINED": measures(hota.evaluate(truth, found, length))}).T
    if isinstance(labels, pd.DataFrame) or isinstance(tracks, pd.DataFrame):
        raise InputError("give labels and tracks both as frames, or both as folders")
    scored = score_folder(Path(labels), Path(tracks), split)
    missing = dict.fromkeys(scored.missing, "no result file")
    for name, reason in {**scored.skipped, **scored.doubtful, **missing}.items():
        warnings.warn(f"{name}: {reason}", stacklevel=2)
    every = {**scored.score.sequences, "COMBINED": scored.score.combined}
    return pd.DataFrame({name: measures(one) for name, one in every.items()}).T


def train(head: str | type[FusionHead], *, seed: int = 0, loss: Loss | None = None, **options: Any) -> Trained:
    """Train a head on the learning part of a run's data: `msfp.open(...).train(head)` in one call.

    `options` are those of `msfp.open`: `profile`, or `root` for data of your own; `home` is this folder unless told
    otherwise.

    Example:
        >>> msfp.train("concat", profile="smoke", home=run.home, settings=run.overrides).name
        'concat'
    """
    return _open(options).train(head, seed=seed, loss=loss)


def tune(*rows: str, trials: int = 300, seed: int = 0, **options: Any) -> pd.DataFrame:
    """Select the open settings of trackers on held-out learning frames: row, tracker, settings, HOTA before and after.

    Args:
        rows: of Table 1, or trackers, such as `ByteTrack`; none: all.
        trials: draws a row.
        seed: of the draws.
        **options: as of `msfp.train`.

    Example:
        >>> frame = msfp.tune("SORT", trials=2, profile="smoke", home=run.home, settings=run.overrides)
        >>> frame["tracker"].tolist()
        ['sort']
    """
    words = f"selection.trials={trials} selection.seed={seed} tuning=selected {options.pop('settings', '')}"
    lines = []
    for one in protocol.tune(_open({**options, "settings": words}), rows):
        found = one.chosen.found
        line = {"row": one.chosen.label, "tracker": one.chosen.method.tracker}
        chosen = {"settings": dict(found.options) if found else None, "released": one.released}
        lines.append({**line, **chosen, "selected": one.selected, "interval": one.gain, "reason": one.reason})
    return pd.DataFrame(lines)


def _open(options: dict[str, Any]) -> NotebookRun:
    return begin(**{"profile": "mot17" if options.get("root") else "demo", "home": ".", **options})
