"""RoIAlign's 7x7 cells for heads that weigh them (Table 16): seen once and dropped, as they take 50 KB a box."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as ListLike

import numpy as np
from numpy.typing import NDArray

from msfp.heads.apply import embed
from msfp.heads.fusion import FusionHead
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import TRUTH, BoxSet, box_sets, of_part, truth_boxes
from msfp.pipeline.run import Run
from msfp.pipeline.stage import frames_of

MOST = 12_000  # boxes whose cells are held for training: 0.6 GB of YOLOv8n's taps
Cells = dict[int, NDArray[np.float16]]


def thinned(frames: ListLike[NDArray[np.int32]], most: int = MOST) -> list[NDArray[np.bool_]]:
    """Which rows of each learning part are kept: all, or those of every n-th frame where there are more than `most`.

    `frames` holds the (n,) frame of each row, per part.
    """
    step = max(1, -(-sum(map(len, frames)) // most))
    return [(frame - 1) % step == 0 for frame in frames]


def labelled_cells(run: Run, part: Part, rows: NDArray[np.int64], weights: str) -> Cells:
    """layer -> (n, 49, C) cells of these rows of a learning part's labels, which are in order."""
    truth = data.labels(part.scene)
    found = [cells for _, _, cells in _passes(run, part, {TRUTH: (truth.frame[rows], truth.tlwh[rows])}, weights)]
    return {layer: np.concatenate([cells[layer] for cells in found]) for layer in found[0]} if found else {}


def embed_cells(
    run: Run, part: Part, boxes: str, heads: Mapping[int, FusionHead], weights: str
) -> dict[int, dict[str, NDArray[np.float16]]]:
    """Seed -> box set -> (N, D) embeddings by the heads of several seeds, in one pass over a part's frames.

    Beside the box set that is wanted, those that are open come along.
    """
    sets = of_part(part, wanted_sets(part, boxes))
    out: dict[int, dict[str, NDArray[np.float16]]] = {
        seed: {name: np.zeros((len(frame), head.config.width), np.float16) for name, (frame, _) in sets.items()}
        for seed, head in heads.items()
    }
    for name, rows, cells in _passes(run, part, sets, weights):
        for seed, head in heads.items():
            out[seed][name][rows] = embed(head, cells)
    return out


def wanted_sets(part: Part, boxes: str) -> dict[str, BoxSet]:
    """The scene's open box sets; a closed truth, which only evaluation may see, comes alone."""
    sets = box_sets(part.scene)
    return sets if boxes in sets else truth_boxes(part.scene)


def _passes(run: Run, part: Part, sets: Mapping[str, BoxSet], weights: str) -> Iterator[tuple[str, slice, Cells]]:
    from msfp.features.extract import extract_cells

    config, backbone = run.settings.input, run.backbone(weights)
    boxed = {int(t) for frame, _ in sets.values() for t in np.unique(frame)}
    with frames_of(part.scene.pixels, "cells", [t for t in part.present if t in boxed]) as (frames, progress):
        yield from extract_cells(frames, sets, backbone, config.size, config.geometry, progress=progress)
