"""References in the environments that `make oracle` made: results, and the CPU seconds their work took.

ultralytics is installed with the project: its trackers run in a process of the project's own environment.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msfp.data.motchallenge import read_tracks
from msfp.engine.cluster import ONE_THREAD
from msfp.types import Tracks

HERE = Path(__file__).resolve().parent
ORACLE = Path(os.environ.get("ORACLE", HERE.parent / ".oracle"))


def there(reference: str, tracker: str = "") -> bool:
    """Whether a reference's environment was made, and where the tracker is C++ its library in it."""
    mark = ORACLE / reference / (".native" if tracker.endswith("-cpp") else ".ready")
    return reference == "ultralytics" or mark.is_file()


def call(reference: str, *words: object) -> None:
    """Run `oracle/run_<reference>.py` in the reference's environment, on one thread.

    Raises SystemExit: it failed; names it and what it said last.
    """
    python = sys.executable if reference == "ultralytics" else ORACLE / reference / "bin" / "python"
    script = HERE / "oracle" / f"run_{reference}.py"
    command = [str(word) for word in (python, script, *words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ONE_THREAD})
    if done.returncode:
        raise SystemExit(f"{script.name} {words[0]}: {done.stderr.strip()[-500:]}")


def run(
    reference: str, tracker: str, settings: Mapping[str, Any], arrays: Mapping[str, Any], fps: float = 30.0
) -> tuple[Tracks, float]:
    """Tracks of one sequence and CPU seconds spent in `update`; arguments as in `run_all`."""
    return run_all(reference, tracker, settings, {"sequence": (arrays, fps)})["sequence"]


def run_all(
    reference: str,
    tracker: str,
    settings: Mapping[str, Any],
    sequences: Mapping[str, tuple[Mapping[str, Any], float]],
) -> dict[str, tuple[Tracks, float]]:
    """Tracks of each sequence and CPU seconds spent in `update`.

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
        call(reference, tracker, json.dumps(dict(settings)), out / "prepared", out)
        spent = json.loads((out / "times.json").read_text())
        return {name: (read_tracks(out / f"{name}.txt"), spent[name]) for name in sequences}
