"""Score tracks with motrics, which reads and prepares MOTChallenge files itself; in its own environment.

    python run_motrics.py FOLDER OUT SEQUENCE...

FOLDER holds truth/SEQUENCE/gt/gt.txt and trackers/ours/data/SEQUENCE.txt. Writes OUT: seconds spent on reading and on
scoring (its preparation included), and each sequence's metrics as motrics names them.
"""

import json
import sys
import time
from pathlib import Path

import motrics


def public(found: object) -> dict:
    """A result's numbers and lists by name."""
    values = {name: getattr(found, name) for name in dir(found) if not name.startswith("_")}
    return {name: value for name, value in values.items() if isinstance(value, (int, float, list))}


def main() -> None:
    folder, out, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    began = time.process_time()
    held = [
        (
            motrics.load_motchallenge_gt(folder / "truth" / name / "gt" / "gt.txt"),
            motrics.load_motchallenge(folder / "trackers" / "ours" / "data" / f"{name}.txt"),
        )
        for name in names
    ]
    read = time.process_time()
    results = []
    for truth, tracks in held:
        ids, boxes, track_ids, track_boxes = motrics.preprocess_motchallenge(truth, tracks)
        results.append(motrics.evaluate(motrics.Frames(ids, boxes), motrics.Frames(track_ids, track_boxes)))
    done = time.process_time()
    scores = [{part: public(getattr(found, part)) for part in ("clear", "identity", "hota")} for found in results]
    out.write_text(json.dumps({"reading": read - began, "scoring": done - read, "scores": scores}))


if __name__ == "__main__":
    main()
