"""Compile the package's kernels once, as `make setup` does, so that no first command waits a minute or two for them."""

import logging
import sys
from collections.abc import Iterable
from multiprocessing import Process

import numpy as np

from msfp.config import AtlSettings, TrainingSettings
from msfp.features.detector import keep_best
from msfp.heads.training import fit_threshold
from msfp.metrics import bootstrap, hota, reid, switches
from msfp.tracking import make, names, track
from msfp.tracking.costs import with_area
from msfp.types import Detections, GroundTruth, Tracks, tlwh_to_xyxy

PEOPLE, FRAMES = 3, 12


def walk() -> GroundTruth:
    """People who walk to the right, each in a lane."""
    frame, person = (np.ravel(axis).astype(np.int32) for axis in np.mgrid[1 : FRAMES + 1, 1 : PEOPLE + 1])
    tlwh = np.stack([5.0 * frame, 100.0 * person, np.full(len(frame), 40.0), np.full(len(frame), 80.0)], axis=1)
    ones = np.ones(len(frame), np.float32)
    return GroundTruth(frame, person, tlwh, ones, ones.astype(np.int32), ones)


def compile_trackers(chosen: Iterable[str]) -> None:
    """Track with each, without and with camera motion, a sequence at once and a frame alone."""
    truth = walk()
    scores = np.where(truth.frame % 3, 0.9, 0.3).astype(np.float32)
    found = Detections(truth.frame, truth.tlwh, scores)
    looks = np.random.default_rng(0).normal(size=(len(truth.id), 8)).astype(np.float32)
    still, thresholds = np.tile(np.eye(2, 3), (FRAMES, 1, 1)), np.full((FRAMES, 2), 0.6, np.float32)
    for name in chosen:
        for warps in (None, still):
            track(make(name), found, FRAMES, looks, thresholds, warps=warps)
        make(name).update(tlwh_to_xyxy(truth.tlwh[:PEOPLE]), scores[:PEOPLE], looks[:PEOPLE])


def compile_measures() -> None:
    """Score tracks and embeddings, suppress boxes, train an encoder."""
    truth = walk()
    looks = np.random.default_rng(0).normal(size=(len(truth.id), 8)).astype(np.float32)
    prepared, tracks = hota.prepare(truth, FRAMES), Tracks(truth.frame, truth.id, truth.tlwh, truth.flag)
    hota.score(prepared, tracks)
    switches.find_switches(prepared, tracks)
    reid.evaluate_reid(looks, truth.frame, truth.id, tlwh=truth.tlwh)
    pairs = reid.pairs(truth.frame, truth.id, frames=FRAMES, max_gap=3, negatives=2, seed=0)
    bootstrap.resample(reid.similarity(looks, pairs), bootstrap.drawing(pairs, truth.id, "walk", 2))
    with_area(tlwh_to_xyxy(truth.tlwh))
    keep_best(tlwh_to_xyxy(truth.tlwh).astype(np.float32), np.arange(len(truth.id)), 0.5)
    scene, target = np.zeros((FRAMES, 8), np.float16), np.full((FRAMES, 2), 0.3, np.float32)
    fit_threshold("dual", scene, target, AtlSettings(), TrainingSettings(epochs=1), (0,))


def main() -> None:
    """In two processes: what both need is compiled twice, and still it takes little more than half as long."""
    logging.disable(logging.WARNING)  # which says that kernels are being compiled
    first = [name for name in names() if "ocsort" in name or "boost" in name]
    other = Process(target=compile_trackers, args=(first,))
    other.start()
    compile_trackers([name for name in names() if name not in first])
    compile_measures()
    other.join()
    sys.exit(other.exitcode)


if __name__ == "__main__":
    main()
