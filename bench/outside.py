"""Reference trackers in the environments that `make oracle` made: results, and the seconds their updates took."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msfp.data.motchallenge import read_tracks
from msfp.types import Tracks

HERE = Path(__file__).resolve().parent
ORACLE = Path(os.environ.get("ORACLE", HERE.parent / ".oracle"))


def there(reference: str, tracker: str) -> bool:
    """Whether a reference's environment was made, and where the tracker is C++ its library in it."""
    return (ORACLE / reference / (".native" if tracker.endswith("-cpp") else ".ready")).is_file()


def run(
    reference: str, tracker: str, settings: Mapping[str, Any], arrays: Mapping[str, Any], fps: float = 30.0
) -> tuple[Tracks, float]:
    """Tracks of one sequence and seconds spent in `update`; arguments as in `run_all`."""
    return run_all(reference, tracker, settings, {"sequence": (arrays, fps)})["sequence"]


def run_all(
    reference: str,
    tracker: str,
    settings: Mapping[str, Any],
    sequences: Mapping[str, tuple[Mapping[str, Any], float]],
) -> dict[str, tuple[Tracks, float]]:
    """Tracks of each sequence and seconds spent in `update`.

    Args:
        reference: name of the environment; `oracle/run_<reference>.py` runs in it.
        tracker: as that script knows it.
        settings: of the tracker.
        sequences: by name, boxes (N, 4) xyxy, scores, bounds (T + 1,), embeddings where the tracker takes them; and
            frames per second.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        (out / "prepared").mkdir()
        for name, (arrays, fps) in sequences.items():
            np.savez(out / "prepared" / f"{name}.npz", length=len(arrays["bounds"]) - 1, fps=fps, **arrays)
        script = HERE / "oracle" / f"run_{reference}.py"
        python = ORACLE / reference / "bin" / "python"
        command = [python, script, tracker, json.dumps(dict(settings)), out / "prepared", out]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        spent = json.loads((out / "times.json").read_text())
        return {name: (read_tracks(out / f"{name}.txt"), spent[name]) for name in sequences}
