"""Run a tracker of roboflow `trackers` over prepared sequences; in its own environment.

    python run_trackers.py TRACKER SETTINGS_JSON PREPARED_DIR OUT_DIR

PREPARED_DIR holds one .npz per sequence (`bench.parity.prepare`). Writes MOTChallenge files and times.json.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import supervision as sv
from trackers import BoTSORTTracker, ByteTrackTracker, OCSORTTracker, SORTTracker
from trackers.utils.state_representations import XCYCSRStateEstimator

TRACKERS = {"sort": SORTTracker, "bytetrack": ByteTrackTracker, "ocsort": OCSORTTracker, "botsort": BoTSORTTracker}
ESTIMATORS = {"xysr": XCYCSRStateEstimator}


def run(name: str, settings: dict, prepared: Path, out: Path) -> float:
    """One sequence; returns CPU seconds spent in `update`."""
    data = np.load(prepared)
    given = {k: float(data["fps"]) if v == "fps" else ESTIMATORS.get(v, v) for k, v in settings.items()}
    tracker = TRACKERS[name](**given)
    rows, spent = [], 0.0
    for t in range(1, int(data["length"]) + 1):
        here = slice(data["bounds"][t - 1], data["bounds"][t])
        found = sv.Detections(
            xyxy=data["boxes"][here], confidence=data["scores"][here], class_id=np.zeros(here.stop - here.start, int)
        )
        begin = time.process_time()
        tracks = tracker.update(found)
        spent += time.process_time() - begin
        for box, identity, score in zip(tracks.xyxy, tracks.tracker_id, tracks.confidence, strict=True):
            if identity >= 0:
                x1, y1, x2, y2 = box.tolist()
                row = f"{t},{identity + 1},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.4f},-1,-1,-1"
                rows.append(row)
    (out / f"{prepared.stem}.txt").write_text("".join(f"{row}\n" for row in rows))
    return spent


def main() -> None:
    name, settings, prepared, out = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    out.mkdir(parents=True, exist_ok=True)
    spent = {path.stem: run(name, settings, path, out) for path in sorted(prepared.glob("*.npz"))}
    (out / "times.json").write_text(json.dumps(spent))


if __name__ == "__main__":
    main()
