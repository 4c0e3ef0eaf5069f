"""Run a boxmot tracker over prepared sequences, without pixels; in boxmot's own environment.

    python run_boxmot.py TRACKER SETTINGS_JSON PREPARED_DIR OUT_DIR

PREPARED_DIR holds one .npz per sequence (`bench.parity.prepare`). Writes MOTChallenge files and times.json.
"""

import time
from pathlib import Path

import numpy as np
import torch
from boxmot.structures import Boxes, Detections
from boxmot.trackers.box.boosttrack.tracker import BoostTrack
from boxmot.trackers.box.botsort.tracker import BotSort
from boxmot.trackers.box.bytetrack.tracker import ByteTrack
from boxmot.trackers.box.deepocsort.tracker import DeepOcSort
from boxmot.trackers.box.ocsort.tracker import OcSort
from boxmot.trackers.box.strongsort.tracker import StrongSort
from prepared import line, main

TRACKERS = {
    "bytetrack": ByteTrack,
    "ocsort": OcSort,
    "botsort": BotSort,
    "deep-ocsort": DeepOcSort,
    "strongsort": StrongSort,
    "boosttrack": BoostTrack,
}
NATIVE = "bytetrack-cpp"  # boxmot's own C++ library, built by setup.sh where it can be
LOOKS = ("botsort", "deep-ocsort", "strongsort", "boosttrack")


def make(name: str, settings: dict) -> object:
    """A tracker without camera motion; the C++ one by boxmot's own adapter."""
    if name == NATIVE:
        from boxmot.trackers.box.bytetrack.native import NativeByteTrackTracker

        return NativeByteTrackTracker(settings)
    tracker = TRACKERS[name](**settings)
    tracker.cmc = None
    return tracker


def run(name: str, settings: dict, prepared: Path, out: Path) -> float:
    """One sequence; returns CPU seconds spent in `update`."""
    data = np.load(prepared)
    given = {k: float(data["fps"]) if v == "fps" else v for k, v in settings.items()}
    tracker = make(name, given)
    blank = np.zeros((8, 8, 3), np.uint8)
    rows, spent = [], 0.0
    for t in range(1, int(data["length"]) + 1):
        here = data["bounds"][t - 1], data["bounds"][t]
        boxes, scores = data["boxes"][slice(*here)], data["scores"][slice(*here)]
        looks = torch.from_numpy(data["embeddings"][slice(*here)]) if name in LOOKS else None
        found = Detections(
            geometry=Boxes(torch.from_numpy(boxes)),
            scores=torch.from_numpy(scores),
            class_ids=torch.zeros(len(boxes), dtype=torch.int64),
            sample_id=str(t),
            embeddings=looks,
        )
        begin = time.process_time()
        tracks = tracker.update(found, blank)
        spent += time.process_time() - begin
        for box, identity, score in zip(tracks.geometry.values, tracks.track_ids, tracks.scores, strict=True):
            rows.append(line(t, identity, box.tolist(), float(score)))
    (out / f"{prepared.stem}.txt").write_text("".join(rows))
    return spent


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(run)
