"""Features of a frame: ultralytics' whole forward pass and RoIAlign beside our extractor, which stops at layer 12.

Both start from the same uint8 frame and use the same letterbox; weights are YOLOv8n's at random, batch normalisation
folded on both sides. The peer keeps its own memory layout and reads layers 4, 9, 14 by hooks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import crowd
import numpy as np
import torch
from bench_pooling import align, error
from harness import OURS, Case, Options, main
from numpy.typing import NDArray

from msfp.features.backbone import Backbone, fit, load_backbone, to_batch
from msfp.features.pooling import extract_modes
from msfp.features.weights import load_detector

PEER = "ultralytics forward + roi_align"
FORWARD = "ultralytics forward"
SEED = 0


class Hooked:
    """A whole ultralytics model that leaves the maps of some layers behind."""

    def __init__(self, layers: tuple[int, ...]) -> None:
        # A model of its own: the extractor changes its modules' memory layout.
        self.model = load_detector("yolov8n", "random-init", seed=SEED)
        self.maps: dict[int, torch.Tensor] = {}
        for layer in layers:
            self.model.model[layer].register_forward_hook(self._keep(layer))

    def _keep(self, layer: int) -> Any:
        return lambda module, inputs, output: self.maps.__setitem__(layer, output)

    @torch.inference_mode()
    def __call__(self, batch: torch.Tensor) -> dict[int, torch.Tensor]:
        self.model(batch)
        return self.maps


def cases(options: Options) -> Iterator[Case]:
    """The whole way from the frame, and the network alone."""
    size = (320, 192) if options.quick else (1280, 736)
    width, height = (crowd.WIDTH, crowd.HEIGHT)
    frame = np.random.default_rng(SEED).integers(0, 256, (height, width, 3), dtype=np.uint8)
    scene = crowd.real_scene(options.root) if options.root else crowd.scene(60, 3, SEED)
    boxes = scene.found.tlwh[np.random.default_rng(SEED).choice(len(scene.found), 50, replace=False)]
    backbone, peer = load_backbone("yolov8n-paper", "random-init", seed=SEED), Hooked((4, 9, 14))
    inputs = f"a noise frame of {width}x{height}, network {size[0]}x{size[1]}, YOLOv8n with random weights, seed {SEED}"
    yield whole_way(backbone, peer, frame, boxes, size, f"{inputs}, 50 boxes")
    yield network_only(backbone, peer, fit((width, height), size).apply(frame), inputs)


def whole_way(
    backbone: Backbone,
    peer: Hooked,
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    size: tuple[int, int],
    inputs: str,
) -> Case:
    """From the frame to one vector a box and level."""
    numbers = np.ones(len(boxes), np.int32)
    box = fit((frame.shape[1], frame.shape[0]), size)
    regions = torch.from_numpy(box.to_network(boxes)).float()

    def theirs() -> dict[int, NDArray[np.float32]]:
        maps = peer(to_batch(box.apply(frame)[None]))
        return {layer: align(maps[layer], regions, backbone.strides[layer]).numpy() for layer in backbone.layers}

    def ours() -> dict[int, NDArray[np.float16]]:
        wanted = {"roi_align": backbone.layers}
        return extract_modes([(1, frame)], {"det": (numbers, boxes)}, backbone, wanted, size)["roi_align"]["det"].layers

    return Case("frame to vectors", inputs, {PEER: theirs, OURS: ours}, agree, unit="ms/frame")


def network_only(backbone: Backbone, peer: Hooked, image: NDArray[np.uint8], inputs: str) -> Case:
    """The network to its end, and as far as the taps need it."""
    batch = to_batch(image[None])
    sides = {FORWARD: lambda: dict(peer(batch)), OURS: lambda: backbone.maps(batch)}
    return Case("network alone", inputs, sides, agree, unit="ms/frame")


def agree(results: Mapping[str, Any]) -> dict[str, float]:
    """Largest relative difference of a level: fp16 rounding where vectors are stored, convolution order elsewhere."""
    (other,) = (found for name, found in results.items() if name != OURS)
    worst = max(error(np.asarray(found, np.float32), np.asarray(other[k])) for k, found in results[OURS].items())
    assert worst < 2e-3, worst
    return {"largest relative difference": worst}


if __name__ == "__main__":
    main("features", cases)
