"""Run a tracker of roboflow `trackers` over prepared sequences; in its own environment.

    python run_trackers.py TRACKER SETTINGS_JSON PREPARED_DIR OUT_DIR

PREPARED_DIR holds one .npz per sequence (`bench.parity.prepare`). Writes MOTChallenge files and times.json.
"""

import time
from pathlib import Path

import numpy as np
import supervision as sv
from prepared import line, main
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
                rows.append(line(t, identity + 1, box.tolist(), score))
    (out / f"{prepared.stem}.txt").write_text("".join(rows))
    return spent


if __name__ == "__main__":
    main(run)
