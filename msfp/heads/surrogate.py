"""A differentiable stand-in for IDF1, and ATL trained on it instead of on searched thresholds (A.5).

The paper names a "differentiable IDF1 surrogate" and does not define it: re-derived. With thresholds tau_t, detection
i of frame t is kept with probability p_i = sigmoid((score_i - tau_t) / T). Whom it shows is known beforehand, from
matching the detections with the labels. IDF1 = 2 IDTP / (boxes in the truth + boxes kept), so

    soft IDF1 = 2 sum_i p_i l_i / (truth + sum_i p_i),

the first sum over detections that show somebody. l_i is the probability that the identity is still held: that a box of
the same person was kept within the track buffer before, or none at all so far. Each break costs the box after it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from msfp.config import AtlSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import Fitted, fit_net

TEMPERATURE = 0.05  # T, the step of the grid of thresholds


@dataclass(frozen=True)
class Clip:
    """Successive frames of one sequence with one detector's boxes."""

    scene: NDArray[np.float16]  # (T, C) scene vectors
    frame: NDArray[np.int64]  # (N,) frame of each detection, from 0, ascending
    score: NDArray[np.float32]  # (N,) in the detector's own range
    person: NDArray[np.int64]  # (N,) identity that the detection shows, -1 for none
    truth: int  # number of labelled boxes
    buffer: int  # frames for which a lost track is kept


class SoftIdf1:
    """Soft IDF1 of one clip as a function of its thresholds."""

    def __init__(self, clip: Clip, temperature: float = TEMPERATURE) -> None:
        self.temperature = temperature
        self.truth = clip.truth
        self.scene = torch.from_numpy(clip.scene.astype(np.float32))
        self.frame = torch.from_numpy(clip.frame)
        self.score = torch.from_numpy(clip.score.astype(np.float64))
        shown = np.flatnonzero(clip.person >= 0)
        order = shown[np.lexsort((clip.frame[shown], clip.person[shown]))]
        person, frame = clip.person[order], clip.frame[order]
        span = int(clip.frame.max(initial=0)) + clip.buffer + 2  # so that the keys of two people never mix
        key = person * span + frame
        self.order = torch.from_numpy(order)
        self.first = torch.from_numpy(np.searchsorted(person, person))
        self.window = torch.from_numpy(np.maximum(np.searchsorted(key, key - clip.buffer), self.first.numpy()))

    def __call__(self, tau: Tensor) -> Tensor:
        """(T,) thresholds -> scalar in [0, 1]."""
        margin = (self.score - tau.double()[self.frame]) / self.temperature
        kept = torch.sigmoid(margin)
        dropped = torch.cat([margin.new_zeros(1), torch.cumsum(logsigmoid(-margin[self.order]), dim=0)])
        here = torch.arange(len(self.order))
        none_so_far = torch.exp(dropped[here] - dropped[self.first])
        none_in_buffer = torch.exp(dropped[here] - dropped[self.window])
        held = 1.0 - (none_in_buffer - none_so_far)
        return 2.0 * (kept[self.order] * held).sum() / (self.truth + kept.sum())


def fit_surrogate(clips: Iterable[Clip], atl: AtlSettings, training: TrainingSettings, seed: int) -> Fitted:
    """Train ATL (single threshold) on 1 - soft IDF1, one clip a step; NotComputable where no clip has labels."""
    tasks = [SoftIdf1(clip) for clip in clips if clip.truth]
    if not tasks:
        raise NotComputable("no learning frame has labelled people, so there is no identity to keep")
    torch.manual_seed(seed)
    encoder = SceneEncoder(tasks[0].scene.shape[1], "single", atl)
    encoder.learn_scale(torch.cat([task.scene for task in tasks]))
    rng = np.random.default_rng([seed, 3])
    optimiser = torch.optim.Adam(
        encoder.parameters(), lr=training.learning_rate, weight_decay=atl.weight_decay, fused=True
    )

    def losses() -> Iterator[tuple[Tensor, int]]:
        for i in rng.permutation(len(tasks)):
            yield 1.0 - tasks[i](encoder(tasks[i].scene)[:, 0]), 1

    return fit_net(encoder, optimiser, losses, training.epochs)
