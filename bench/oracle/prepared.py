"""Prepared sequences in, MOTChallenge files and times out: the frame of each script here, in whatever environment."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

Run = Callable[[str, dict, Path, Path], float]


def line(frame: int, identity: float, xyxy: list[float], score: float) -> str:
    """A row of a result file."""
    x1, y1, x2, y2 = xyxy
    return f"{frame},{int(identity)},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.4f},-1,-1,-1\n"


def main(run: Run) -> None:
    """Run the tracker that the arguments name, with their settings, over their folder into another."""
    name, settings, prepared, out = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    out.mkdir(parents=True, exist_ok=True)
    spent = {path.stem: run(name, settings, path, out) for path in sorted(prepared.glob("*.npz"))}
    (out / "times.json").write_text(json.dumps(spent))
