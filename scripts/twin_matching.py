"""Real detections matched to real labels, and how near the statistical twins come to them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.data.motchallenge import read_detections, read_ground_truth, read_sequence
from msfp.types import Detections, GroundTruth
from msfp.worlds import public_detections

BACKGROUND_IOU = 0.2  # a false positive that overlaps no person more than this is background
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
Floats = NDArray[np.float64]


class Real(NamedTuple):
    """One sequence-detector pair with its matching."""

    name: str
    size: tuple[int, int]
    length: int
    truth: GroundTruth
    detections: Detections
    hit: NDArray[np.int64]  # per truth row: the detection that found it, -1 missed
    kind: NDArray[np.int64]  # per detection: 0 hit, 1 left out, 2 loose, 3 background
    person: NDArray[np.int64]  # per detection: truth row of a hit or the nearest person of a loose box
    distractor_hit: NDArray[np.bool_]  # per truth row: a look-alike that was detected


def overlaps(a: Floats, b: Floats) -> Floats:
    """(N, M) IoU of tlwh boxes."""
    return public_detections.iou(np.repeat(a, len(b), 0), np.tile(b, (len(a), 1))).reshape(len(a), len(b))


def match(name: str, size: tuple[int, int], length: int, truth: GroundTruth, found: Detections) -> Real:
    """Assign detections to people, greedily by score within a frame."""
    hit, lookalike = np.full(len(truth), -1), np.zeros(len(truth), bool)
    kind, person = np.full(len(found), 3), np.full(len(found), -1)
    person_rows = truth.pedestrian
    for t in np.unique(found.frame):
        rows = np.flatnonzero(truth.frame == t)
        people, others = rows[person_rows[rows]], rows[~person_rows[rows]]
        dets = np.flatnonzero(found.frame == t)
        dets = dets[np.argsort(-found.score[dets], kind="stable")]
        near, far = overlaps(found.tlwh[dets], truth.tlwh[people]), overlaps(found.tlwh[dets], truth.tlwh[others])
        for k, d in enumerate(dets):
            free = np.where(hit[people] < 0, near[k], 0)
            if free.max(initial=0) >= 0.5:
                person[d] = people[free.argmax()]
                hit[person[d]], kind[d] = d, 0
            elif far[k].max(initial=0) >= 0.5:
                lookalike[others[far[k].argmax()]], kind[d] = True, 1
            elif near[k].max(initial=0) >= BACKGROUND_IOU:
                person[d], kind[d] = people[near[k].argmax()], 2
    return Real(name, size, length, truth, found, hit, kind, person, lookalike)


def columns(reals: list[Real], field: str, detector: str) -> dict[str, Any]:
    """Rows of `people` (truth that counts), `hits` or `loose` boxes of all sequences, with keys unique per sequence."""
    out: dict[str, list[Any]] = {k: [] for k in ("x", "frame", "id", "truth", "box", "score", "hit", "loose")}
    for n, real in enumerate(reals):
        if field == "people":
            rows, dets = np.flatnonzero(real.truth.pedestrian), None
        else:
            dets = np.flatnonzero(real.kind == (0 if field == "hits" else 2))
            order = np.argsort(real.truth.frame[real.person[dets]], kind="stable")
            rows, dets = real.person[dets][order], dets[order]
        truth = real.truth
        inside = public_detections.within(truth.tlwh[rows], detector, *real.size)
        out["x"].append(public_detections.covariates(inside, truth.visibility[rows], real.size[1]))
        out["frame"].append(truth.frame[rows])
        out["id"].append(truth.id[rows] + 100_000 * n)
        out["truth"].append(inside)
        out["hit"].append(real.hit[rows] >= 0)
        out["loose"].append(np.isin(rows, real.person[real.kind == 2]))
        out["box"].append(real.detections.tlwh[dets] if dets is not None else truth.tlwh[rows])
        out["score"].append(real.detections.score[dets].astype(float) if dets is not None else np.zeros(len(rows)))
    return {k: np.concatenate(v) for k, v in out.items()}


def read(root: Path, detector: str) -> list[Real]:
    """All sequences of one detector under `root`, matched."""
    out = []
    for folder in sorted(root.glob(f"*-{detector}")):
        sequence = read_sequence(folder, "mot17", "train")
        truth = read_ground_truth(folder / "gt/gt.txt", sequence)
        found = read_detections(folder / "det/det.txt", sequence)
        out.append(match(folder.name, (sequence.width, sequence.height), sequence.length, truth, found))
    if not out:
        raise SystemExit(f"{root}: no folder named *-{detector}; give the folder that holds the sequences")
    return out


def twin_of(real: Real, model: dict[str, Any], detector: str, seed: int) -> Real:
    """The twin's detections for a real sequence's labels, matched in the same way."""
    rng = np.random.default_rng(seed)
    found = public_detections.detect(real.truth, *real.size, 0.0, detector, rng, model=model)
    return match(real.name, real.size, real.length, real.truth, found)


def measures(reals: list[Real]) -> dict[str, float]:
    """Recall, precision, loose and background boxes a frame, runs of misses and score quantiles, all rows together."""
    kind = np.concatenate([real.kind for real in reals])
    people = sum(int(real.truth.pedestrian.sum()) for real in reals)
    frames = sum(real.length for real in reals)
    runs = np.concatenate([miss_runs(real) for real in reals])
    out = {
        "recall": np.mean(np.concatenate([real.hit[real.truth.pedestrian] >= 0 for real in reals])) if people else 0.0,
        "precision": np.sum(kind == 0) / max(np.sum(kind != 1), 1),
        "boxes/frame": len(kind) / frames,
        "left out": np.sum(kind == 1) / frames,
        "loose": np.sum(kind == 2) / frames,
        "backgr.": np.sum(kind == 3) / frames,
        "miss run": runs.mean() if len(runs) else 0.0,
        "long runs": runs[runs >= 10].sum() / max(runs.sum(), 1),
    }
    scores = np.concatenate([real.detections.score for real in reals])
    for q in QUANTILES:
        out[f"q{100 * q:.0f}"] = float(np.quantile(scores, q))
    ious = [public_detections.iou(r.detections.tlwh[r.kind == 0], r.truth.tlwh[r.person[r.kind == 0]]) for r in reals]
    out["iou"] = float(np.mean(np.concatenate(ious)))
    tp = np.concatenate([real.detections.score[real.kind == 0] for real in reals])
    fp = np.concatenate([real.detections.score[real.kind > 1] for real in reals])
    return out | {"tp q25": float(np.quantile(tp, 0.25)), "fp q50": float(np.median(fp)) if len(fp) else np.nan}


def miss_runs(real: Real) -> NDArray[np.int64]:
    """Lengths of the runs of frames in which a person went undetected."""
    rows = np.flatnonzero(real.truth.pedestrian)
    rows = rows[np.lexsort((real.truth.frame[rows], real.truth.id[rows]))]
    missed = real.hit[rows] < 0
    start = np.diff(real.truth.id[rows], prepend=-1) != 0
    run = np.cumsum(start | np.diff(missed, prepend=False))
    return np.bincount(run[missed])[np.unique(run[missed])]
