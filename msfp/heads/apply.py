"""Use of trained heads: arrays in, arrays out."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from msfp.config import AtlSettings, FusionSettings
from msfp.heads.fusion import SIZE, Attention, FusionHead, make_head
from msfp.heads.threshold import Mode, SceneEncoder
from msfp.threads import one_thread

M = TypeVar("M", bound=nn.Module)
CHUNK = 65536  # rows embedded at once, so that memory does not grow with the data set


def restore(module: M, state: Mapping[str, NDArray[np.float32]]) -> M:
    """Load a state into a module, strictly, and set it to evaluation."""
    own = module.state_dict()
    module.load_state_dict(
        {k: torch.from_numpy(np.asarray(v)).to(own[k].dtype).reshape(own[k].shape) for k, v in state.items()}
    )
    return module.eval()


def restore_head(
    strategy: str | type[FusionHead],
    channels: dict[int, int],
    state: Mapping[str, NDArray[np.float32]],
    config: FusionSettings,
) -> FusionHead:
    """A trained fusion head."""
    return restore(make_head(strategy, channels, config), state)


@torch.inference_mode()
def embed(head: FusionHead, layers: Mapping[int, NDArray[np.floating]]) -> NDArray[np.float32]:
    """{layer: (N, C)} -> (N, D) unit rows; N may be 0. The batch norm runs on its stored statistics."""
    used = {k: layers[k] for k in (*head.channels, SIZE) if k in layers}
    count = len(next(iter(used.values()))) if used else 0
    parts = []
    for start in range(0, max(count, 1), CHUNK):
        chunk = {k: _tensor(v[start : start + CHUNK]) for k, v in used.items()}
        with one_thread():
            parts.append(head.eval()(chunk).numpy())
    return np.concatenate(parts)


def _tensor(values: NDArray[np.floating]) -> Tensor:
    """Values in single precision; PyTorch reads half precision several times faster than NumPy does."""
    return torch.from_numpy(np.require(values, requirements="W")).float()


@torch.inference_mode()
def attention(head: Attention, layers: Mapping[int, NDArray[np.float16]]) -> NDArray[np.float32]:
    """(N, L) attention weights (Figure 2), columns in the order of the head's layers."""
    used = {k: torch.from_numpy(v.astype(np.float32)) for k, v in layers.items()}
    return head.eval().attention(used).numpy()


class ScenePredictor:
    """A trained scene encoder (eqs. 6 and 8): arrays in, arrays out."""

    def __init__(
        self, mode: Mode, channels: int, state: Mapping[str, NDArray[np.float32]], config: AtlSettings
    ) -> None:
        """Take a trained encoder's state."""
        self.encoder = restore(SceneEncoder(channels, mode, config), state)

    @torch.inference_mode()
    def __call__(self, scene: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C,) scene vector -> (k,) raw thresholds, before any smoothing, or (T, C) -> (T, k)."""
        rows = torch.from_numpy(scene.astype(np.float32).reshape(-1, scene.shape[-1]))
        return self.encoder(rows).numpy().reshape(*scene.shape[:-1], -1)


def predict(
    mode: Mode, scene: NDArray[np.float16], state: Mapping[str, NDArray[np.float32]], config: AtlSettings
) -> NDArray[np.float32]:
    """(T, C) scene vectors -> (T, 1) or (T, 2) raw thresholds per frame, on one thread."""
    with one_thread():
        return ScenePredictor(mode, scene.shape[1], state, config)(scene)
