"""Fit the statistical twins of MOT17's public detectors: `python scripts/fit_twins.py ROOT [--report] [--out FILE]`.

ROOT holds sequence folders in the MOTChallenge layout (`MOT17-02-DPM/{seqinfo.ini,det,gt}`). Written are curves and
quantile tables only, never a row of the data. Deterministic. `--report` writes nothing and prints real against twin
instead, combined, per sequence and with each sequence left out of the fit.

Detections are matched per frame in order of score (IoU >= 0.5) to pedestrians that count. What matches another
labelled class instead is left out, as evaluation does. Recall curves are probit regressions; the correlation of
detection over time is tetrachoric, lag by lag; scores and box errors are regressions with a quantile table
for the rest.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from twin_matching import Real, columns, measures, read, twin_of
from twin_statistics import normal_scores, pairs, probit, spread_ties, time_of_events, time_of_values

from msfp.types import DETECTORS
from msfp.worlds import public_detections

TAILS = np.array([0.002, 0.006, 0.015, 0.04, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.96, 0.985, 0.994, 0.998])
LEVELS = np.concatenate([[0.0, 0.01, 0.02], np.arange(0.05, 0.96, 0.05), [0.98, 0.99, 1.0]])
RANGES = {"DPM": (-0.5, 4.8), "FRCNN": (0.05, 1.0), "SDP": (0.4, 1.0)}
Floats = NDArray[np.float64]


def box_part(rows: dict[str, Any]) -> dict[str, Any]:
    """Mean, spread, tables and correlations of the box error."""
    truth, box, x = rows["truth"], rows["box"], rows["x"]
    shift = (box[:, :2] + box[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2) / truth[:, 2:]
    aspect = np.log(box[:, 2] / box[:, 3]) + 1 - x[:, 2]
    error = np.column_stack([shift, aspect, np.log(box[:, 3] / truth[:, 3])])
    terms = np.column_stack([np.ones(len(x)), x])
    ridge = np.diag([0.0, 1, 1, 1]) + 1e-9 * np.eye(4)

    def regress(y: Floats) -> Floats:
        return np.asarray(np.linalg.solve(terms.T @ terms + ridge, terms.T @ y))

    mean = regress(error)
    rest = error - terms @ mean
    spread = regress(np.log(np.abs(rest) + 1e-3))
    rest = rest / np.exp(terms @ spread)
    table = np.quantile(rest, TAILS, axis=0).T
    correlation = np.corrcoef(normal_scores(rest), rowvar=False) * 0.98 + 0.02 * np.eye(4)
    time = time_of_values(rest, rows["frame"], rows["id"])
    return {
        "mean": mean,
        "spread": spread,
        "normal": norm.ppf(TAILS),
        "table": table,
        "correlation": correlation,
        "time": time,
    }


def margin_given(f: Floats, g: Floats, later: NDArray[np.int64], r: float) -> tuple[Floats, Floats]:
    """Mean and variance of the margin f + z of a detected person, knowing whether it is detected in the next frame too.

    Args:
        f, g: (N,) curve now and in the next frame.
        later: (N,) 1 detected in the next frame, 0 missed, -1 not there.
        r: correlation of the latent from frame to frame.
    """
    node, weight = np.polynomial.legendre.leggauss(96)
    low = np.maximum(-f, -6.0)
    half = (low + 7.0 - low) / 2
    z = low[:, None] + half[:, None] * (node + 1)
    again = norm.cdf((g[:, None] + r * z) / np.sqrt(1 - r**2))
    chance = np.where(later[:, None] < 0, 1.0, np.where(later[:, None] > 0, again, 1 - again))
    density = norm.pdf(z) * weight * chance + 1e-300
    density /= density.sum(1, keepdims=True)
    mean = (density * z).sum(1)
    return f + mean, (density * z**2).sum(1) - mean**2


def score_part(terms: Floats, value: Floats, fresh: Floats, rows: dict[str, Any], blurred: float) -> dict[str, Any]:
    """Weights, noise, table and correlation over time of a score.

    Args:
        terms: (N, K) what the score depends on, as far as it is known.
        value: (N,) real scores.
        fresh: (N, K) the same terms as the twin will draw them; the table is laid over their scores.
        rows: `frame` and `id` of the values.
        blurred: variance that the unknown part of the terms adds, per squared first weight.
    """
    target = spread_ties(value)
    centred = np.column_stack([np.ones(len(terms)), terms])
    weights = np.linalg.solve(centred.T @ centred + 1e-3 * np.eye(centred.shape[1]), centred.T @ target)
    rest = target - centred @ weights
    noise = np.sqrt(max(rest.var() - weights[1] ** 2 * blurred, 0.05))
    latent = fresh @ weights[1:] + noise * np.random.default_rng(1).standard_normal(len(fresh))
    time = time_of_values(rest[:, None], rows["frame"], rows["id"])
    return {
        "weights": weights[1:],
        "noise": noise,
        "time": time,
        "latent": np.quantile(latent, LEVELS),
        "value": np.quantile(value, LEVELS),
    }


def hit_parts(reals: list[Real], detector: str) -> dict[str, Any]:
    """Detection of people: curve, time, look-alikes; score and box of what is detected."""
    people, hits = columns(reals, "people", detector), columns(reals, "hits", detector)
    beta = probit(public_detections.design(people["x"]), people["hit"])
    f = public_detections.design(people["x"]) @ np.asarray(beta)
    time = time_of_events(f, people["hit"], people["frame"], people["id"])
    r = time["fixed"] + time["slow"] * time["rho_slow"] + time["fast"] * time["rho_fast"]

    look = [np.isin(real.truth.category, public_detections.DISTRACTORS) for real in reals]
    boxes = [public_detections.within(a.truth.tlwh[m], detector, *a.size) for a, m in zip(reals, look, strict=True)]
    x = np.concatenate(
        [
            public_detections.covariates(b, a.truth.visibility[m], a.size[1])
            for a, b, m in zip(reals, boxes, look, strict=True)
        ]
    )
    seen = np.concatenate([real.distractor_hit[m] for real, m in zip(reals, look, strict=True)])
    offset = probit(np.ones((len(x), 1)), seen, public_detections.design(x) @ np.asarray(beta))[0] if len(x) else 0.0

    key = people["id"].astype(np.int64) * 1_000_000 + people["frame"]
    order = np.argsort(key)
    own = hits["id"].astype(np.int64) * 1_000_000 + hits["frame"] + 1
    at = order[np.minimum(np.searchsorted(key[order], own), len(key) - 1)]
    later = np.where(key[at] == own, people["hit"][at].astype(int), -1)
    now = public_detections.design(hits["x"]) @ np.asarray(beta)
    mean, variance = margin_given(now, np.where(later >= 0, f[at], now), later, min(r, 0.995))
    drawn = now + norm.isf(norm.sf(-now) * np.random.default_rng(0).random(len(now)))
    side = np.stack([hits["x"][:, 0], hits["x"][:, 1], public_detections.iou(hits["box"], hits["truth"])], 1)
    scores = score_part(
        np.column_stack([mean, side]), hits["score"], np.column_stack([drawn, side]), hits, float(variance.mean())
    )
    return {"hit": {"curve": beta, "distractor": offset, "time": time}, "score": scores, "box": box_part(hits)}


def loose_part(reals: list[Real], detector: str) -> dict[str, Any]:
    """Second boxes and near misses on people."""
    people, rows = columns(reals, "people", detector), columns(reals, "loose", detector)
    beta = probit(np.column_stack([public_detections.design(people["x"]), people["hit"]]), people["loose"])
    f = public_detections.design(people["x"]) @ np.asarray(beta[:-1]) + beta[-1] * people["hit"]
    overlap = public_detections.iou(rows["box"], rows["truth"])
    terms = np.stack([rows["hit"].astype(float), rows["x"][:, 0], rows["x"][:, 1], overlap], 1)
    return {
        "curve": beta[:-1],
        "when_hit": beta[-1],
        "time": time_of_events(f, people["loose"], people["frame"], people["id"]),
        "score": score_part(terms, rows["score"], terms, rows, 0.0),
        "box": box_part(rows),
    }


def spots(real: Real) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of background boxes and the spot each belongs to: same place (IoU >= 0.5), at most 3 frames apart."""
    rows = np.flatnonzero(real.kind == 3)
    frame, box = real.detections.frame[rows], real.detections.tlwh[rows]
    spot = np.arange(len(rows))
    for n in range(len(rows)):
        before = np.flatnonzero((frame[:n] < frame[n]) & (frame[:n] >= frame[n] - 3))
        if len(before):
            overlap = public_detections.iou(box[before], np.repeat(box[n : n + 1], len(before), 0))
            if overlap.max() >= 0.5:
                spot[n] = spot[before[overlap.argmax()]]
    return rows, spot


def background_part(reals: list[Real]) -> dict[str, Any]:
    """Number, life, size, place and score of background spots."""
    facts, life, count, jitter, frames, names, shown = [], [], 0, [], [], [], 0.0
    for n, real in enumerate(reals):
        rows, spot = spots(real)
        box, frame = real.detections.tlwh[rows], real.detections.frame[rows]
        centre = (box[:, :2] - 1 + box[:, 2:] / 2) / real.size
        shape = np.log(box[:, 2:] / [[1.0, real.size[1]]])
        facts.append(np.column_stack([shape[:, 1], np.log(box[:, 2] / box[:, 3]), centre, real.detections.score[rows]]))
        for name in np.unique(spot):
            own = spot == name
            life.append(frame[own].max() - frame[own].min() + 1)
            jitter.extend(
                np.std((box[own, :2] + box[own, 2:] / 2) / box[own, 3:].mean(), axis=0) if own.sum() > 4 else []
            )
        count, frames, names = count + len(rows), [*frames, *frame], [*names, *(spot + 100_000 * n)]
        shown += max(real.truth.pedestrian.sum() / real.length, 1.0) * real.length
    table, level = np.concatenate(facts), np.linspace(0, 1, 21)
    ages = np.quantile(life, level)
    mean_life = np.maximum(np.rint(np.interp((np.arange(2000) + 0.5) / 2000, level, ages)), 1).mean()
    ranks = normal_scores(table)
    i, j = pairs(np.array(frames), np.array(names), 1)
    return {
        "rate": count / shown,
        "lit": min(count / np.sum(life), 1.0),
        "level": level,
        "life": ages,
        "mean_life": mean_life,
        "jitter": float(np.mean(jitter)) if jitter else 0.02,
        "steady": float(np.clip(np.mean(ranks[i, 4] * ranks[j, 4]), 0, 0.95)) if len(i) > 20 else 0.5,
        "normal": norm.ppf(TAILS),
        "table": np.quantile(table, TAILS, axis=0).T,
        "correlation": np.corrcoef(ranks, rowvar=False) * 0.98 + 0.02 * np.eye(5),
    }


def fit(reals: list[Real], detector: str) -> dict[str, Any]:
    """All parameters of one detector, rounded as they are stored."""
    parts = hit_parts(reals, detector) | {
        "loose": loose_part(reals, detector),
        "background": background_part(reals),
        "range": RANGES[detector],
    }
    rounded: dict[str, Any] = json.loads(
        json.dumps(parts, default=lambda a: np.asarray(a).tolist()), parse_float=lambda t: float(f"{float(t):.4g}")
    )
    return rounded


def numbers(node: Any) -> int:
    """How many numbers a nest of dicts and lists holds."""
    if isinstance(node, dict):
        return sum(numbers(v) for v in node.values())
    return sum(numbers(v) for v in node) if isinstance(node, list) else 1


def as_text(fitted: dict[str, Any]) -> str:
    """The text of twins.json: one line a list, table or flat dictionary of numbers."""
    inner = r"\[(?:[^\[\]{}]|\[[^\[\]]*\])*\]|\{[^\[\]{}]*\}"
    return re.sub(inner, lambda m: " ".join(m[0].split()), json.dumps(fitted, indent=1)) + "\n"


def report(root: Path, seeds: int) -> None:
    """Print real against twin: combined, per sequence, and per sequence left out of the fit."""
    for detector in DETECTORS:
        reals, model = read(root, detector), public_detections.fitted()["detectors"][detector]
        print(f"\n{detector}: {numbers(model)} numbers")
        print(f"{'':26}" + "".join(f"{k:>12}" for k in measures(reals)))
        groups = [("all", reals, model)] + [(real.name, [real], model) for real in reals]
        groups += [(f"{a.name} left out", [a], fit([b for b in reals if b is not a], detector)) for a in reals]
        for name, group, use in groups:
            rows = [measures([twin_of(real, use, detector, seed) for real in group]) for seed in range(seeds)]
            mean = {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}
            for label, values in ((f"{name} real", measures(group)), ("twin", mean)):
                print(f"{label:>26}" + "".join(f"{v:12.3f}" for v in values.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder that holds MOT17 train sequences")
    parser.add_argument("--report", action="store_true", help="print real against twin, write nothing")
    parser.add_argument("--seeds", type=int, default=2, help="twins drawn per sequence in the report")
    parser.add_argument("--out", type=Path, default=Path(public_detections.__file__).with_name("twins.json"))
    args = parser.parse_args()
    if args.report:
        report(args.root, args.seeds)
        return
    fitted = {
        "source": sorted({p.name for p in args.root.glob("*-*")}),
        "detectors": {name: fit(read(args.root, name), name) for name in DETECTORS},
        "picture": public_detections.fitted()["picture"],  # `fit_clearness.py` measures it
    }
    args.out.write_text(as_text(fitted), encoding="utf-8")
    print(f"{args.out}: {numbers(fitted['detectors'])} numbers")


if __name__ == "__main__":
    main()
