"""Run a tracker of pyxtrackers over prepared sequences; in its own environment.

    python run_pyxtrackers.py TRACKER SETTINGS_JSON PREPARED_DIR OUT_DIR

PREPARED_DIR holds one .npz per sequence (`bench.parity.prepare`). Writes MOTChallenge files and times.json. Only
ByteTrack tells scores; of SORT and OC-SORT they are written as 1.
"""

import time
from pathlib import Path

import numpy as np
from prepared import line, main
from pyxtrackers import BYTETracker, OCSort, Sort

TRACKERS = {"sort": Sort, "bytetrack": BYTETracker, "ocsort": OCSort}


def run(name: str, settings: dict, prepared: Path, out: Path) -> float:
    """One sequence; returns CPU seconds spent in `update`."""
    data = np.load(prepared)
    tracker = TRACKERS[name](**{k: float(data["fps"]) if v == "fps" else v for k, v in settings.items()})
    found = np.column_stack([data["boxes"], data["scores"]]).astype(np.float64)
    bounds, rows, spent = data["bounds"], [], 0.0
    for t in range(1, int(data["length"]) + 1):
        given = found[bounds[t - 1] : bounds[t]]
        begin = time.process_time()
        tracks = tracker.update(given)
        spent += time.process_time() - begin
        scores = [1.0] * len(tracks)
        if name == "bytetrack":
            scores = [track.score for track in tracker.tracked_stracks if track.is_activated]
        for (*box, identity), score in zip(tracks.tolist(), scores, strict=True):
            rows.append(line(t, identity, box, score))
    (out / f"{prepared.stem}.txt").write_text("".join(rows))
    return spent


if __name__ == "__main__":
    main(run)
