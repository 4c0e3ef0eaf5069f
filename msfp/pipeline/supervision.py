"""What ATL can be taught by instead of a grid search on labels: identities, scores alone, or tracks alone (A.5).

The paper names these alternatives and does not define them; each docstring says how it is re-derived here.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from msfp.config import AtlSettings
from msfp.metrics.oracle import true_identities
from msfp.metrics.rules import DISTRACTORS
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import scene_vectors
from msfp.pipeline.run import Run
from msfp.pipeline.search import plateau_middle
from msfp.tracking import make, thresholds, track
from msfp.tracking.lifecycle import buffer_frames
from msfp.types import Detections, GroundTruth, Sequence

if TYPE_CHECKING:
    from msfp.heads.surrogate import Clip

Supervision = Literal["grid", "idf1", "statistics", "consistency"]
SUPERVISION_CODE = ("msfp.heads.surrogate", "msfp.metrics.oracle", "msfp.tracking")
TRACK_SECONDS = 0.5  # a track that lasts this long is taken for a person
BUFFER = 30  # frames at 30 a second, the trackers' default


def statistics_target(atl: AtlSettings, found: Detections) -> float:
    """Detection score statistics: the threshold that 85 % of the part's scores exceed, held to the bounds."""
    rule = thresholds.make_policy("percentile", low=atl.tau_min, high=atl.tau_max, memory=1)
    return float(rule.update(found.score)[0])


def consistency_target(atl: AtlSettings, found: Detections, length: int, fps: float) -> float:
    """Self-supervised calibration: the threshold that best separates boxes of lasting tracks from all others.

    ByteTrack, which sees no pixel, tracks everything above the lower bound. Boxes of tracks seen for half a second
    stand in for true ones. With C(tau) of them and D(tau) of all detections above tau, the target is the grid's tau of
    highest F1 = 2 C(tau) / (C(lowest) + D(tau)), the middle of the first plateau. No label is read.
    """
    tracker = make("bytetrack", fps=fps)
    made = track(tracker, found, length, None, thresholds.fixed(atl.tau_min, atl.tau_min, length))
    _, row, seen = np.unique(made.id, return_inverse=True, return_counts=True)
    lasting = made.score[seen[row] >= TRACK_SECONDS * fps] if len(made) else made.score
    grid = np.array(atl.grid, np.float32)
    true = (lasting[None] > grid[:, None]).sum(axis=1)
    above = (found.score[None] > grid[:, None]).sum(axis=1)
    return float(plateau_middle(grid[:, None], 2 * true / np.maximum(len(lasting) + above, 1))[0])


def clips(run: Run, part: Part, sequence: Sequence) -> "Iterator[Clip]":
    """Stretches of `atl.batch` frames with what the surrogate of IDF1 needs; boxes on distractors take no part."""
    from msfp.heads.surrogate import Clip

    found, truth = data.window(data.detections(sequence), part), data.window(data.labels(part.scene), part)
    person = true_identities(truth, found)
    counts = (person >= 0) | (true_identities(distractors(truth), found) < 0)
    scene = scene_vectors(run, part)
    size = run.settings.atl.batch
    for start in range(0, part.length, size):
        end = min(start + size, part.length)
        rows = counts & (found.frame > start) & (found.frame <= end)
        yield Clip(
            scene=scene[start:end],
            frame=found.frame[rows].astype(np.int64) - start - 1,
            score=found.score[rows],
            person=person[rows].astype(np.int64),
            truth=int((truth.pedestrian & (truth.frame > start) & (truth.frame <= end)).sum()),
            buffer=max(buffer_frames(BUFFER, sequence.fps), 1),
        )


def distractors(truth: GroundTruth) -> GroundTruth:
    """Rows that evaluation neither rewards nor punishes, as if they were people to be matched."""
    there = np.isin(truth.category, DISTRACTORS)
    kept = {name: column[there] for name, column in vars(truth).items()}
    ones = np.ones(int(there.sum()), np.int32)
    return GroundTruth(**{**kept, "category": ones, "flag": ones.astype(np.float32)})
