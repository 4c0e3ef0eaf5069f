"""Measure how detectors depend on a person's clearness: `python scripts/fit_clearness.py ROOT WEIGHTS [--out FILE]`.

ROOT holds sequence folders of MOT17 with their frames (or a video each), labels and public detections; WEIGHTS are of a
YOLOv8n trained on real pictures. Two measurements:

- *observed*: of each public detector, a probit regression of finding a person on the terms of the twin's curve, the
  scene, and the person's clearness. It holds for DPM, whose other pictures nobody has.
- *intervention*: the YOLOv8n on the same frames as they are, under haze, and at dusk with noise; how much detection,
  scores and background boxes change for each unit of clearness that the people lose. What was observed of FRCNN and
  SDP is less, as clearness within a bright scene is a small part of what tells people from their surroundings.

Written are the slopes only, rounded, into the `picture` part of twins.json. Deterministic.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fit_twins import as_text
from numpy.typing import NDArray
from twin_matching import match, read
from twin_statistics import probit

from msfp.data.frames import FrameReader, Image
from msfp.data.motchallenge import read_ground_truth, read_sequence
from msfp.features.detector import load_whole
from msfp.types import DETECTORS, Detections, GroundTruth, Sequence
from msfp.worlds import public_detections
from msfp.worlds.render import VEIL, clearness

FOUND = 0.25  # score from which the YOLOv8n counts as having found a person
NOISE = 4.0  # of the sensor at dusk, grey levels
Floats = NDArray[np.float64]


def frames_of(sequence: Sequence, truth: GroundTruth, step: int) -> list[tuple[Image, NDArray[np.int64]]]:
    """Every step-th frame with the rows of its labels."""
    with FrameReader(sequence, range(step, sequence.length + 1, step)) as reader:
        return [(image, np.flatnonzero(truth.frame == t)) for t, image in reader]


def rows_of(truth: GroundTruth, rows: NDArray[np.int64]) -> GroundTruth:
    """Some of the labels."""
    return GroundTruth(*(getattr(truth, name)[rows] for name in truth.__dataclass_fields__))


def observed(root: Path, step: int = 5) -> dict[str, tuple[float, float]]:
    """detector -> probits a unit of clearness, and the mean clearness of the people who count."""
    out = {}
    for detector in DETECTORS:
        x, clear, hit = [], [], []
        for number, real in enumerate(real for real in read(root, detector) if real.name.startswith("MOT17")):
            sequence = read_sequence(root / real.name, "mot17", "train")
            for image, rows in frames_of(sequence, real.truth, step):
                rows = rows[real.truth.pedestrian[rows]]
                inside = public_detections.within(real.truth.tlwh[rows], detector, *real.size)
                terms = public_detections.design(
                    public_detections.covariates(inside, real.truth.visibility[rows], real.size[1])
                )
                x.append(np.column_stack([terms, np.full(len(rows), float(number))]))
                clear.append(clearness(image, real.truth.tlwh[rows]))
                hit.append(real.hit[rows] >= 0)
        values = np.concatenate(clear)
        slope = probit(np.column_stack([np.concatenate(x), values]), np.concatenate(hit))[-1]
        out[detector] = float(slope), float(values.mean())
    return out


def pictures() -> dict[str, Callable[[Image], Image]]:
    """How the same frame would have looked."""
    rng = np.random.default_rng(0)

    def cut(values: Floats) -> Image:
        return np.clip(values, 0, 255).astype(np.uint8)

    found: dict[str, Callable[[Image], Image]] = {"as it is": lambda image: image}
    for kept in (0.6, 0.35, 0.2):
        found[f"haze {1 - kept:.2f}"] = lambda image, kept=kept: cut(kept * image + (1 - kept) * VEIL)  # type: ignore[misc]
    for gain in (0.5, 0.25):
        found[f"dusk {gain}"] = lambda image, gain=gain: cut(gain * image + rng.normal(0, NOISE, image.shape))  # type: ignore[misc]
    return found


def intervention(root: Path, weights: Path, step: int = 50) -> dict[str, float]:
    """Slopes of a YOLOv8n: `found`, `score` and `background`, as `twins` has them."""
    detector = load_whole("yolov8n-paper", str(weights), "cpu")
    x, hit, moved, people = [], [], [], []
    spots: dict[str, list[tuple[float, int]]] = {}
    for number, folder in enumerate(sorted(root.glob("MOT17-*-FRCNN"))):
        sequence, truth = read_sequence(folder, "mot17", "train"), read_ground_truth(folder / "gt" / "gt.txt")
        size = (-(-sequence.width // 32) * 32, -(-sequence.height // 32) * 32)
        for image, rows in frames_of(sequence, truth, step):
            labels = rows_of(truth, rows)
            counts = labels.pedestrian
            terms = public_detections.design(
                public_detections.covariates(labels.tlwh, labels.visibility, sequence.height)
            )
            before: tuple[Floats, Floats] | None = None
            for name, change in pictures().items():
                seen = change(image)
                tlwh, score = detector.people(seen, size, 0.01)
                frame = np.full(len(score), int(labels.frame[0]), np.int32)
                boxes = Detections(frame, tlwh.astype(float), score.astype(np.float32))
                real = match(folder.name, (sequence.width, sequence.height), 1, labels, boxes)
                clear = clearness(seen, labels.tlwh)
                best = np.where(real.hit >= 0, score[real.hit], 0.0)
                x.append(np.column_stack([terms, np.full(len(rows), float(number)), clear])[counts])
                hit.append(best[counts] > FOUND)
                spots.setdefault(name, []).append((float(clear[counts].mean()), int((real.kind == 3).sum())))
                if before is None:
                    before = clear, best
                both = counts & (before[1] > FOUND) & (best > 0)
                now, then = best[both], before[1][both]
                moved.append(np.log(now / (1 - now)) - np.log(then / (1 - then)))
                people.append((clear - before[0])[both])
    shift, score_change = np.concatenate(people), np.concatenate(moved)
    rates = np.array([np.mean(found, axis=0) for found in spots.values()])
    found_slope = probit(np.concatenate(x), np.concatenate(hit))[-1]
    return {
        "found": float(found_slope),
        "score": float(shift @ score_change / (shift @ shift)),
        "background": float(np.polyfit(rates[:, 0], np.log(rates[:, 1]), 1)[0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder that holds MOT17 train sequences with frames")
    parser.add_argument("weights", type=Path, help="of a YOLOv8n trained on real pictures")
    parser.add_argument("--out", type=Path, default=Path(public_detections.__file__).with_name("twins.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    seen, network = observed(args.root), intervention(args.root, args.weights)
    print("observed:", seen, "\nintervention:", network)
    slopes = {name: {k: round(v, 2) for k, v in network.items()} for name in DETECTORS}
    slopes["DPM"] |= {"found": round(seen["DPM"][0], 2), "score": 0.0}
    kept = json.loads(args.out.read_text(encoding="utf-8"))
    kept["picture"] = {"usual": round(seen["FRCNN"][1], 1), "slopes": slopes}
    args.out.write_text(as_text(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
