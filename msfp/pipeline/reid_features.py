"""Vectors of the separate ReID network for every public box of a scene: the baselines' appearance."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.errors import InputError, NotComputable
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import TRUTH, BoxSet, need_frames, of_part, public_boxes, truth_boxes
from msfp.pipeline.run import Job, Run
from msfp.pipeline.stage import frames_of, stage
from msfp.types import Scene

if TYPE_CHECKING:
    from msfp.features.osnet import OSNet

REID = "reid"
REID_FEATURE_CODE = ("msfp.features.reid",)


def reid_inputs(run: Run, scene: Scene, weights: str = "") -> dict[str, object]:
    """What a scene's ReID vectors depend on, all by content."""
    boxes = {s.detector: run.detections_digest(s) for s in scene.sequences}
    return {**network_inputs(run, weights), "pixels": run.pixels_digest(scene), "boxes": boxes}


def network_inputs(run: Run, weights: str = "") -> dict[str, object]:
    """The network's weights by content, and its code.

    Raises:
        NotComputable: its embedded weights are not shipped.
        InputError: its weights' file is not there.
    """
    from msfp.features.reid import EMBEDDED

    digest = embedded_digest(run, weights or run.settings.input.reid_weights, EMBEDDED, "separate ReID network")
    return {"network": digest, "crops": run.settings.input.reid_size, "code": code_digest(*REID_FEATURE_CODE)}


def embedded_digest(run: Run, weights: str, embedded: str, what: str) -> str:
    """Weights of a network of its own, by content.

    Raises:
        NotComputable: its embedded weights are not shipped.
        InputError: its weights' file is not there.
    """
    from msfp.features.weights import find

    if weights == "random-init":
        return weights
    try:
        return run.store.file_digest(find(weights, embedded))
    except InputError as error:
        if weights != "embedded":
            raise
        raise NotComputable(f"{what}: {error}") from None


def _part_inputs(run: Run, part: Part, weights: str = "") -> dict[str, object]:
    return {**reid_inputs(run, part.scene, weights), "part": (part.first, part.last)}


@stage("reid-features", _part_inputs, REID_FEATURE_CODE, memory=24, network=True)
def reid_features(run: Run, part: Part, weights: str = "") -> dict[str, NDArray[np.float16]]:
    """Public detector -> (N, 512) unit ReID vectors of a part's detections, zeros where the frame is absent.

    `weights` are other ones than the run's, such as the control `random-init`.

    Raises:
        NotComputable: not one frame has its pixels, or the network's weights are not shipped.
    """
    need_frames(part.scene)
    return _compute(run, part, weights, public_boxes(part.scene))


def reid_jobs(run: Run, parts: Iterable[Part], weights: str = "") -> list[Job]:
    """To extract the ReID vectors of many parts, the longest first."""
    longest_first = sorted(parts, key=lambda part: part.length, reverse=True)
    return reid_features.jobs(run, [(part, weights) for part in longest_first])


def _truth_inputs(run: Run, part: Part, weights: str = "") -> dict[str, object]:
    return {**_part_inputs(run, part, weights), "truth": data.truth_digest(run, part.scene)}


@stage("reid-truth-features", _truth_inputs, REID_FEATURE_CODE, memory=24)
def reid_truth_features(run: Run, part: Part, weights: str = "") -> NDArray[np.float16]:
    """(N, 512) unit ReID vectors of a part's labelled boxes, for measuring re-identification; a pass of its own."""
    return _compute(run, part, weights, truth_boxes(part.scene))[TRUTH]


@lru_cache(maxsize=4)
def _network(run: Run, weights: str) -> "OSNet":
    from msfp.features.reid import load_reid

    return load_reid(weights or run.settings.input.reid_weights, run.settings.device)


def _compute(run: Run, part: Part, weights: str, boxes: Mapping[str, BoxSet]) -> dict[str, NDArray[np.float16]]:
    from msfp.features.reid import extract_reid

    network, sets = _network(run, weights), of_part(part, boxes)
    with frames_of(part.scene.pixels, "separate ReID", part.present) as (frames, progress):
        found = extract_reid(frames, sets, network, progress, run.settings.input.reid_size)
    return {name: vectors for name, (_, vectors) in found.items()}
