"""Statistical twins of MOT17's public detectors: what DPM, FRCNN and SDP would have reported for given true boxes.

Each is a small generative model, fitted on real labels by `scripts/fit_twins.py`; `twins.json` holds curves and
quantile tables. A true box is detected where its *margin* f(x) + z is positive: x is its height over the image's and
its visibility, z a unit normal of the identity that changes slowly, so that misses come in runs. Such latents also
drive localisation error, score and loose second boxes; background boxes are spots that live for a while in one place.
A latent's correlation over k frames is `fixed + slow * rho_slow**k + fast * rho_fast**k`, the remainder is white.

A person's clearness in the picture (`render.clearness`) moves margin (`found`, probits a unit), scores (`score`, logits
a unit) and the number of background boxes (`background`, log a unit): slopes by `scripts/fit_clearness.py`, of DPM from
its own boxes on MOT17, of the networks from a YOLOv8n that saw the frames under haze and at dusk. DPM's scores are
margins, so the margin moves them.
"""

import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.types import DETECTORS, Detections, GroundTruth

Params = dict[str, Any]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Boxes = tuple[NDArray[np.int32], Floats, Floats]  # frame, tlwh, score

# MOTChallenge classes that look like a person but do not count: on a vehicle, standing still, distractor, reflection.
DISTRACTORS = (2, 7, 8, 12)

# No label says how blurred a frame is, so blur's effect is set, not fitted: at blur 1 the margin drops by 0.6 (recall
# of a person detected every other time falls from 50 to 27 %) and localisation errors grow by half.
BLUR_MARGIN = 0.6
BLUR_ERROR = 0.5


class Targets(NamedTuple):
    """True boxes a detector may see, sorted by frame."""

    frame: NDArray[np.int32]  # (N,), as `identity`
    identity: NDArray[np.int32]
    truth: Floats  # (N, 4) tlwh as labelled, file coordinates
    inside: Floats  # (N, 4) tlwh as far as the detector reports it
    x: Floats  # (N, 3) covariates
    shift: Floats  # (N,) by what scores of boxes on the person move, logits

    def pick(self, chosen: Bools) -> "Targets":
        """The chosen rows."""
        return Targets(**{name: column[chosen] for name, column in self._asdict().items()})


def detect(
    gt: GroundTruth, width: int, height: int, blur: float, detector: str, rng: np.random.Generator,
    clear: Floats | None = None, model: Params | None = None,
) -> Detections:  # fmt: skip
    """Detections that one of MOT17's public detectors might have given for these labels.

    Pedestrians that count and look-alikes (`DISTRACTORS`) are detected. `blur`: 0 sharp, 1 strongly blurred. `clear`:
    (N,) clearness of each label in its picture; None: as usual. `model`: parameters; None: the fitted ones.
    Returns file coordinates and scores in the detector's own range, rounded as in its MOT17 files; within a frame by
    descending score. Frames run from 1 to the last labelled one.
    Raises InputError: unknown detector, image without area, blur outside [0, 1], or another number of clearnesses.
    """
    if detector not in DETECTORS:
        raise InputError(f"detector {detector!r} has no statistical twin: use one of {', '.join(DETECTORS)}")
    if width < 1 or height < 1:
        raise InputError(f"image size {width} x {height} has no area: give width and height in pixels, at least 1")
    if not 0 <= blur <= 1:
        raise InputError(f"blur {blur} is outside [0, 1]: 0 is sharp, 1 strongly blurred")
    if clear is not None and len(clear) != len(gt):
        raise InputError(f"clear: {len(clear)} values beside {len(gt)} labels; give one for each")
    model = model or fitted()["detectors"][detector]
    seen = gt.pedestrian | np.isin(gt.category, DISTRACTORS)
    counts = gt.pedestrian[seen]
    inside = within(gt.tlwh[seen], detector, width, height)
    x = covariates(inside, gt.visibility[seen], height)
    slope = fitted()["picture"]["slopes"][detector]
    unusual = np.zeros(len(inside)) if clear is None else clear[seen] - fitted()["picture"]["usual"]
    rows = Targets(gt.frame[seen], gt.id[seen], gt.tlwh[seen], inside, x, slope["score"] * unusual)
    margin = design(x) @ np.asarray(model["hit"]["curve"]) + latent(model["hit"]["time"], rows, 1, rng)[:, 0]
    margin += np.where(counts, 0.0, model["hit"]["distractor"]) - BLUR_MARGIN * blur + slope["found"] * unusual
    hit = (margin > 0) & (iou(inside, rows.truth) >= 0.5)  # cut by the border below half, no box could find it
    parts = [people(model, rows.pick(hit), margin[hit], blur, rng), loose(model["loose"], rows, hit, counts, blur, rng)]
    if len(gt):
        length = int(gt.frame[-1])
        scene = float(unusual.mean()) if len(unusual) else 0.0
        crowd = max(np.count_nonzero(counts) / length, 1.0) * np.exp(slope["background"] * scene)
        frame, boxes, value = background(model["background"], length, crowd, width, height, rng)
        parts.append((frame, boxes, moved(value, np.full(len(value), slope["score"] * scene))))
    return as_written(parts, model, detector, width, height)


@cache
def fitted() -> Params:
    """Parameters of each detector; usual clearness of a person in a picture, and slopes of each detector."""
    found: Params = json.loads((resources.files("msfp.worlds") / "twins.json").read_text(encoding="utf-8"))
    return found


def moved(value: Floats, shift: Floats) -> Floats:
    """(N,) scores between 0 and 1 whose logit is moved; others are not moved (DPM's: their shift is 0)."""
    odds = np.exp(shift)
    return np.where(shift == 0, value, value * odds / np.where(shift == 0, 1, 1 - value + value * odds))


def covariates(tlwh: Floats, visibility: NDArray[np.floating], height: int) -> Floats:
    """(N, 3) ln(box height / image height) + 1.5, visibility, ln(width / height) + 1, held to MOT17's range."""
    size = np.maximum(tlwh[:, 2:], 1e-6)
    tall = np.clip(np.log(size[:, 1] / height), -3.3, 0.2) + 1.5
    aspect = np.clip(np.log(size[:, 0] / size[:, 1]), -1.8, 0.0) + 1.0
    return np.stack([tall, np.clip(visibility, 0.0, 1.0), aspect], 1)


def design(x: Floats) -> Floats:
    """(N, 6) terms of a detection curve: constant, height, height squared, visibility, its square, their product."""
    tall, visible = x[:, 0], x[:, 1]
    return np.stack([np.ones_like(tall), tall, tall**2, visible, visible**2, tall * visible], 1)


def latent(time: Params, rows: Targets, k: int, rng: np.random.Generator) -> Floats:
    """(N, k) unit normals, correlated over the frames of an identity as `time` says."""
    frame, identity = rows.frame, rows.identity
    rho = np.array([time["rho_slow"], time["rho_fast"]])
    share = np.array([time["fixed"], time["slow"], time["fast"]])
    names, who = np.unique(identity, return_inverse=True)
    own = rng.standard_normal((len(names), k))
    state = rng.standard_normal((len(names), 2, k))
    last = np.full(len(names), -1, np.int64)
    noise = rng.standard_normal((len(frame), 2, k))
    walk = np.empty((len(frame), 2, k))
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(frame)], strict=False):  # no start where there is no row
        now, i = slice(start, stop), who[start:stop]
        keep = rho ** np.maximum(frame[start] - np.where(last[i] < 0, frame[start], last[i]), 0)[:, None]
        state[i] = walk[now] = keep[..., None] * state[i] + np.sqrt(1 - keep**2)[..., None] * noise[now]
        last[i] = frame[start]
    white = np.sqrt(max(1 - share.sum(), 0.0)) * rng.standard_normal((len(frame), k))
    return np.sqrt(share[0]) * own[who] + np.einsum("j,njk->nk", np.sqrt(share[1:]), walk) + white


def people(model: Params, rows: Targets, margin: Floats, blur: float, rng: np.random.Generator) -> Boxes:
    """Boxes that find their person (IoU >= 0.5)."""
    # The tails of the tables may together leave the person: such errors shrink.
    boxes = placed(model["box"], rows, blur, rng, lambda near: ~near, 0.8)
    terms = np.stack([margin, rows.x[:, 0], rows.x[:, 1], iou(boxes, rows.inside)], 1)
    return rows.frame, boxes, score(model["score"], terms, rows, rng)


def loose(part: Params, rows: Targets, hit: Bools, counts: Bools, blur: float, rng: np.random.Generator) -> Boxes:
    """Boxes on a person that count as false: duplicates and near misses."""
    probit = design(rows.x) @ np.asarray(part["curve"])
    f = probit + part["when_hit"] * hit + latent(part["time"], rows, 1, rng)[:, 0]
    chosen = (f > 0) & counts
    rows, hit = rows.pick(chosen), hit[chosen]
    # A box that finds a person counted as missed would raise the recall: such errors grow.
    boxes = placed(part["box"], rows, blur, rng, lambda near: near & ~hit, 1.15)
    terms = np.stack([hit.astype(float), rows.x[:, 0], rows.x[:, 1], iou(boxes, rows.inside)], 1)
    values = score(part["score"], terms, rows, rng)
    keep = hit | (iou(boxes, rows.truth) < 0.5)
    return rows.frame[keep], boxes[keep], values[keep]


def placed(
    part: Params, rows: Targets, blur: float, rng: np.random.Generator, wrong: Callable[[Bools], Bools], factor: float
) -> Floats:
    """(N, 4) boxes with errors; those `wrong`, given which have IoU >= 0.5, get theirs scaled, up to 12 times."""
    error = box_error(part, rows, rng) * (1 + BLUR_ERROR * blur)
    for _ in range(12):
        off = wrong(iou(displaced(rows, error), rows.truth) >= 0.5)
        if not off.any():
            break
        error[off] *= factor
    return displaced(rows, error)


def box_error(part: Params, rows: Targets, rng: np.random.Generator) -> Floats:
    """(N, 4) errors as `displaced` takes them: mean and log spread linear in x, correlated tables for the rest."""
    x = rows.x
    terms = np.column_stack([np.ones(len(x)), x])
    normal = latent(part["time"], rows, 4, rng) @ np.linalg.cholesky(np.asarray(part["correlation"])).T
    rest = np.stack([np.interp(normal[:, k], part["normal"], part["table"][k]) for k in range(4)], 1)
    return terms @ np.asarray(part["mean"]) + np.exp(terms @ np.asarray(part["spread"])) * rest


def displaced(rows: Targets, error: Floats) -> Floats:
    """(N, 4) tlwh after an error: centre shift over width and over height, ln(aspect ratio), ln(height ratio)."""
    inside = rows.inside
    high = inside[:, 3] * np.exp(np.clip(error[:, 3], -2.5, 2.5))
    wide = high * np.exp(rows.x[:, 2] - 1.0 + np.clip(error[:, 2], -2.0, 2.0))
    centre = inside[:, :2] + inside[:, 2:] * (0.5 + error[:, :2])
    return np.stack([centre[:, 0] - wide / 2, centre[:, 1] - high / 2, wide, high], 1)


def score(part: Params, terms: Floats, rows: Targets, rng: np.random.Generator) -> Floats:
    """(N,) scores: a linear latent of the terms and a unit normal, through a monotone table; then moved."""
    value = terms @ np.asarray(part["weights"]) + part["noise"] * latent(part["time"], rows, 1, rng)[:, 0]
    return moved(np.interp(value, part["latent"], part["value"]), rows.shift)


def background(part: Params, length: int, crowd: float, width: int, height: int, rng: np.random.Generator) -> Boxes:
    """Spots that are no person, each alive for a while in one place; their number goes with that of people a frame."""
    reach = int(part["life"][-1])
    births = part["rate"] * crowd * (length + reach) / (part["mean_life"] * part["lit"])
    born = rng.integers(1 - reach, length + 1, rng.poisson(births))
    life = np.maximum(np.rint(np.interp(rng.random(len(born)), part["level"], part["life"])), 1).astype(int)
    normal = rng.standard_normal((len(born), 5)) @ np.linalg.cholesky(np.asarray(part["correlation"])).T
    place = np.stack([np.interp(normal[:, k], part["normal"], part["table"][k]) for k in range(4)], 1)

    spot = np.repeat(np.arange(len(born)), life)
    frame = born[spot] + np.arange(len(spot)) - np.repeat(np.cumsum(life) - life, life)
    alive = (frame >= 1) & (frame <= length) & (rng.random(len(frame)) < part["lit"])
    spot, frame = spot[alive], frame[alive]
    high = height * np.exp(place[spot, 0])
    wide = high * np.exp(place[spot, 1])
    centre = place[spot, 2:] * (width, height) + part["jitter"] * high[:, None] * rng.standard_normal((len(spot), 2))
    boxes = np.stack([centre[:, 0] - wide / 2 + 1, centre[:, 1] - high / 2 + 1, wide, high], 1)
    mixed = np.sqrt(part["steady"]) * normal[spot, 4] + np.sqrt(1 - part["steady"]) * rng.standard_normal(len(spot))
    return frame.astype(np.int32), boxes, np.interp(mixed, part["normal"], part["table"][4])


def iou(a: Floats, b: Floats) -> Floats:
    """(N,) intersection over union of paired (N, 4) tlwh boxes."""
    overlap = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(overlap, 0), 1)
    return shared / np.maximum(np.prod(a[:, 2:], 1) + np.prod(b[:, 2:], 1) - shared, 1e-12)


def as_written(parts: list[Boxes], model: Params, detector: str, width: int, height: int) -> Detections:
    """Boxes of all kinds in one table, clipped and rounded like the detector's own files."""
    frame, tlwh, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    tlwh = within(tlwh, detector, width, height)
    if detector == "DPM":  # five significant digits
        units = (10.0 ** (4 - np.floor(np.log10(np.maximum(np.abs(x), 1e-9)))) for x in (tlwh, value))
        tlwh, value = (np.round(x * unit) / unit for x, unit in zip((tlwh, value), units, strict=True))
    else:
        tlwh, value = np.round(tlwh, 1), np.round(value, 3)
        if detector == "SDP":
            tlwh[:, :2] = np.round(tlwh[:, :2])
    value = np.clip(value, *model["range"])
    inside = (tlwh[:, :2] < (width + 1, height + 1)) & (tlwh[:, :2] + tlwh[:, 2:] > 1)
    kept = np.flatnonzero((inside & (tlwh[:, 2:] >= 1)).all(1))
    kept = kept[np.lexsort((-value[kept], frame[kept]))]
    return Detections(frame[kept].astype(np.int32), tlwh[kept], value[kept].astype(np.float32))


def within(tlwh: Floats, detector: str, width: int, height: int) -> Floats:
    """Boxes cut at the image border for FRCNN, the only detector that does so."""
    if detector != "FRCNN":
        return tlwh
    first, last = np.clip([tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]], 1, (width + 1, height + 1))
    return np.concatenate([first, last - first], 1)
