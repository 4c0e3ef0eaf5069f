"""Our trackers beside the reference implementations: same boxes, scores, embeddings and parameters; no pixels.

    python -m bench.parity ROOT [--only REFERENCE:TRACKER ...]

ROOT is a data set in MOTChallenge layout with labels (`<root>/train/<sequence>`). Run `make oracle` before, once; of a
reference that is not there the row of the last run stays. Writes bench/PARITY.md. Scores are clipped to [0, 1] for both
sides, as boxmot takes no others. Embeddings stand in for a network's: one direction per labelled identity plus noise,
the same for both sides.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from bench.crowd import looks
from bench.outside import ORACLE, call, there
from bench.parity_pairs import PAIRS, Pair
from msfp.data import catalog
from msfp.data.motchallenge import read_detections, read_ground_truth, read_tracks
from msfp.metrics.hota import evaluate
from msfp.metrics.scores import SequenceScore, combine
from msfp.tracking import FrameContext, Tracker, make
from msfp.types import Sequence, Tracks, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh

HERE = Path(__file__).resolve().parent
Key = tuple[str, str]  # reference, tracker
LIMITS = {"HOTA": 0.3, "IDF1": 0.5, "MOTA": 0.3, "IDSW": 5.0}  # points, points, points, per cent


@dataclass
class Outcome:
    """Scores and milliseconds a frame of both sides of a pair."""

    pair: Pair
    theirs: SequenceScore
    ours: SequenceScore
    their_ms: float
    our_ms: float
    apart: dict[str, float] = field(default_factory=dict)


def prepare(sequence: Sequence, out: Path) -> None:
    """Boxes, scores, stand-in embeddings and frame offsets of a sequence as an .npz both sides read."""
    found = read_detections(sequence.det_path, sequence)
    kept = (found.tlwh[:, 2] > 0) & (found.tlwh[:, 3] > 0)
    frame, boxes = found.frame[kept], tlwh_to_xyxy(found.tlwh[kept]).astype(np.float32)
    bounds = frame_bounds(frame, sequence.length)
    np.savez(
        out / f"{sequence.name}.npz",
        boxes=boxes,
        scores=np.clip(found.score[kept], 0.0, 1.0).astype(np.float32),
        embeddings=looks(read_ground_truth(sequence.gt_path, sequence), frame, boxes),
        bounds=bounds,
        length=sequence.length,
        fps=sequence.fps,
    )


def run_reference(pair: Pair, prepared: Path) -> tuple[dict[str, Tracks], float]:
    """Result files of a reference, run in its own environment, and its seconds."""
    out = ORACLE / "results" / f"{pair.reference}-{pair.tracker}"
    script = HERE / "oracle" / f"run_{pair.reference}.py"
    asked = json.dumps({"settings": dict(pair.theirs), "input": digest(prepared), "script": script.read_text()})
    if (out / "asked.json").exists() and (out / "asked.json").read_text() == asked:
        return read_results(out)
    call(pair.reference, pair.tracker, json.dumps(dict(pair.theirs)), prepared, out)
    (out / "asked.json").write_text(asked)
    return read_results(out)


def digest(prepared: Path) -> str:
    """Hash of the prepared input."""
    whole = hashlib.sha256()
    for path in sorted(prepared.glob("*.npz")):
        data = np.load(path)
        whole.update(path.name.encode())
        for name in ("boxes", "scores", "embeddings"):
            whole.update(data[name].tobytes())
    return whole.hexdigest()


def read_results(out: Path) -> tuple[dict[str, Tracks], float]:
    """Result files of a folder and the seconds they took."""
    spent = json.loads((out / "times.json").read_text())
    return {name: read_tracks(out / f"{name}.txt") for name in spent}, sum(spent.values())


def run_ours(pair: Pair, prepared: Path) -> tuple[dict[str, Tracks], float]:
    """Our tracks on the same input, and seconds spent in `update`."""
    results, spent = {}, 0.0
    for path in sorted(prepared.glob("*.npz")):
        data = np.load(path)
        settings = {k: float(data["fps"]) if v == "fps" else v for k, v in pair.ours.items()}
        results[path.stem], seconds = track_prepared(make(pair.tracker, **settings), pair, data)
        spent += seconds
    return results, spent


def track_prepared(tracker: Tracker, pair: Pair, data: Mapping[str, np.ndarray]) -> tuple[Tracks, float]:
    """Tracks of one prepared sequence; boxes as the reference reports them."""
    looks = data["embeddings"] if pair.looks and tracker.needs_embeddings else None
    arrays = {name: data[name] for name in ("boxes", "scores", "bounds")}
    frames, ids, boxes, scores, spent = [], [], [], [], 0.0
    for t in range(1, int(data["length"]) + 1):
        here = slice(arrays["bounds"][t - 1], arrays["bounds"][t])
        given = arrays["boxes"][here].astype(np.float64)
        context = FrameContext(index=t, has_embedding=None if looks is not None else np.zeros(len(given), bool))
        begin = time.perf_counter()
        out = tracker.update(given, arrays["scores"][here], None if looks is None else looks[here], context)
        spent += time.perf_counter() - begin
        frames.append(np.full(len(out), t, np.int32))
        ids.append(out.ids)
        boxes.append(given[out.detections] if pair.boxes == "detection" else out.boxes)
        scores.append(out.scores)
    tlwh = xyxy_to_tlwh(np.concatenate(boxes))
    return Tracks(np.concatenate(frames), np.concatenate(ids), tlwh, np.concatenate(scores)), spent


def compare(pair: Pair, sequences: tuple[Sequence, ...], prepared: Path) -> Outcome:
    """Run both sides, score all sequences together."""
    frames = sum(s.length for s in sequences)
    sides = []
    for results, seconds in (run_reference(pair, prepared), run_ours(pair, prepared)):
        scores = {s.name: evaluate(read_ground_truth(s.gt_path, s), results[s.name], s.length) for s in sequences}
        sides.append((combine(scores).combined, 1000 * seconds / frames))
    (theirs, their_ms), (ours, our_ms) = sides
    outcome = Outcome(pair, theirs, ours, their_ms, our_ms)
    first, second = measures(theirs), measures(ours)
    for name in ("HOTA", "IDF1", "MOTA"):
        outcome.apart[name] = second[name] - first[name]
    outcome.apart["IDSW"] = 100 * (second["IDSW"] - first["IDSW"]) / max(first["IDSW"], 1)
    return outcome


def measures(score: SequenceScore) -> dict[str, float]:
    """HOTA, IDF1, MOTA in per cent, and identity switches."""
    return {"HOTA": 100 * score.hota, "IDF1": 100 * score.idf1, "MOTA": 100 * score.mota, "IDSW": float(score.idsw)}


def verdict(outcome: Outcome) -> str:
    """Whether a pair is within the limits."""
    beyond = [name for name, limit in LIMITS.items() if abs(outcome.apart[name]) > limit]
    if not outcome.pair.claims:
        return "another algorithm"
    return "parity" if not beyond else f"beyond the limit in {', '.join(beyond)}"


def row(o: Outcome) -> str:
    """A pair's line of the table."""
    first, second = measures(o.theirs), measures(o.ours)
    cells = [f"{first[m]:.2f} / {second[m]:.2f}" for m in ("HOTA", "IDF1", "MOTA")]
    cells += [f"{first['IDSW']:.0f} / {second['IDSW']:.0f}", f"{o.their_ms:.2f} / {o.our_ms:.2f}", verdict(o)]
    return f"| {o.pair.reference} | {o.pair.tracker} | {' | '.join(cells)} |"


def rows_before(path: Path) -> dict[Key, str]:
    """Lines of a table that was written before, by reference and tracker."""
    lines = path.read_text().splitlines() if path.exists() else []
    split = ((tuple(cell.strip() for cell in line.split("|")[1:3]), line) for line in lines if line.startswith("| "))
    return {(key[0], key[1]): line for key, line in split}


def table(rows: Mapping[Key, str], before: set[str], root: Path, sequences: tuple[Sequence, ...]) -> str:
    """bench/PARITY.md; `before` names the references whose rows are of an earlier run."""
    frames = sum(s.length for s in sequences)
    lines = [
        "# Parity with the reference implementations",
        "",
        f"Made by `python -m bench.parity {root.name}`: {len(sequences)} sequences, {frames} frames, combined scores; "
        "same boxes, scores, embeddings and parameters on both sides, no camera motion.",
        f"Limits: HOTA {LIMITS['HOTA']}, IDF1 {LIMITS['IDF1']}, MOTA {LIMITS['MOTA']} points, "
        f"IDSW {LIMITS['IDSW']:g} %. Times are spent in `update`, one thread, and say only how the two sides compare.",
    ]
    if before:
        lines += [f"Not there in the last run, so of the run before: {', '.join(sorted(before))}."]
    lines += [
        "",
        "| reference | tracker | HOTA theirs / ours | IDF1 | MOTA | IDSW | ms/frame theirs / ours | verdict |",
        "|---|---|---|---|---|---|---|---|",
        *(rows[pair.key] for pair in PAIRS if pair.key in rows),
        "",
        "Where a reference is another algorithm or is set to a rule of its own:",
        "",
        *(f"- {pair.reference} {pair.tracker}: {pair.remark}." for pair in PAIRS if pair.key in rows and pair.remark),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="REFERENCE:TRACKER")
    parser.add_argument("--sequences", default="*", help="pattern of sequence names")
    arguments = parser.parse_args()
    scenes = catalog.load(arguments.root)
    sequences = tuple(
        s
        for scene in scenes
        for s in scene.sequences
        if s.det_path and s.gt_path and fnmatch(s.name, arguments.sequences)
    )
    prepared = ORACLE / "prepared"
    prepared.mkdir(parents=True, exist_ok=True)
    for old in prepared.glob("*.npz"):
        old.unlink()
    for sequence in sequences:
        prepare(sequence, prepared)
    rows, before = rows_before(HERE / "PARITY.md"), set()
    for pair in PAIRS:
        if arguments.only and ":".join(pair.key) not in arguments.only:
            continue
        if not there(*pair.key):
            before.add(pair.reference)
            print(f"{' '.join(pair.key)}: not in {ORACLE}, its row stays; `make oracle` brings it", file=sys.stderr)
            continue
        outcome = compare(pair, sequences, prepared)
        rows[pair.key] = row(outcome)
        print(f"{' '.join(pair.key)}: {', '.join(f'{k} {v:+.2f}' for k, v in outcome.apart.items())}", flush=True)
    text = table(rows, before, arguments.root, sequences)
    if not arguments.only and arguments.sequences == "*":
        (HERE / "PARITY.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
