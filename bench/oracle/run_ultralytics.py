"""Run an observation-centric tracker of ultralytics over prepared sequences; in the project's environment.

    python run_ultralytics.py TRACKER SETTINGS_JSON PREPARED_DIR OUT_DIR

PREPARED_DIR holds one .npz per sequence (`bench.parity.prepare`). Writes MOTChallenge files and times.json. What the
settings do not name is as in ultralytics' own file of defaults. Its box objects are made before the clock starts.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true")

import torch
from ultralytics.engine.results import Boxes
from ultralytics.trackers.deep_oc_sort import DeepOCSORT
from ultralytics.trackers.oc_sort import OCSORT
from ultralytics.utils import YAML, IterableSimpleNamespace
from ultralytics.utils.checks import check_yaml

TRACKERS = {"ocsort": (OCSORT, "ocsort.yaml"), "deep-ocsort": (DeepOCSORT, "deepocsort.yaml")}
SHAPE = (1080, 1920)


def run(name: str, settings: dict, prepared: Path, out: Path) -> float:
    """One sequence; returns CPU seconds spent in `update`."""
    data = {key: value for key, value in np.load(prepared).items()}
    kind, defaults = TRACKERS[name]
    tracker = kind(IterableSimpleNamespace(**{**YAML.load(check_yaml(defaults)), **settings}))
    found = np.column_stack([data["boxes"], data["scores"], np.zeros(len(data["boxes"]))]).astype(np.float32)
    bounds, rows, spent = data["bounds"], [], 0.0
    for t in range(1, int(data["length"]) + 1):
        here = slice(bounds[t - 1], bounds[t])
        given, looks = Boxes(found[here], SHAPE), data["embeddings"][here] if name == "deep-ocsort" else None
        begin = time.process_time()
        tracks = tracker.update(given, feats=looks)
        spent += time.process_time() - begin
        for x1, y1, x2, y2, identity, score, _, _ in tracks.reshape(-1, 8).tolist():
            box = f"{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f}"
            rows.append(f"{t},{int(identity)},{box},{score:.4f},-1,-1,-1")
    (out / f"{prepared.stem}.txt").write_text("".join(f"{row}\n" for row in rows))
    return spent


def main() -> None:
    name, settings, prepared, out = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    spent = {path.stem: run(name, settings, path, out) for path in sorted(prepared.glob("*.npz"))}
    (out / "times.json").write_text(json.dumps(spent))


if __name__ == "__main__":
    main()
