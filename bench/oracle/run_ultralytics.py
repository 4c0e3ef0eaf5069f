"""Run an observation-centric tracker of ultralytics over prepared sequences; in the project's environment.

    python run_ultralytics.py TRACKER SETTINGS_JSON PREPARED_DIR OUT_DIR

PREPARED_DIR holds one .npz per sequence (`bench.parity.prepare`). Writes MOTChallenge files and times.json. What the
settings do not name is as in ultralytics' own file of defaults. Its box objects are made before the clock starts.
"""

import os
import time
from pathlib import Path

import numpy as np

os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true")

import torch
from prepared import line, main
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
        rows += [line(t, row[4], row[:4], row[5]) for row in tracks.reshape(-1, 8).tolist()]
    (out / f"{prepared.stem}.txt").write_text("".join(rows))
    return spent


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(run)
