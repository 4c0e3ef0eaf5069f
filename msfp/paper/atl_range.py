"""How far ATL moves from where it starts, said with measured numbers."""

from dataclasses import dataclass

import numpy as np

from msfp.errors import NotComputable
from msfp.experiment.method import atl
from msfp.paper.measure import predicted, validation
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.pipeline.search import detectors_of, targets
from msfp.pipeline.tracks import Threshold


@dataclass(frozen=True)
class Reach:
    """Thresholds that sequences get.

    Attributes:
        low, high: least and greatest mean of a sequence, over detectors and seeds.
        spread: mean standard deviation over the frames of a sequence.
    """

    low: float
    high: float
    spread: float


def reach(run: Run, folds: tuple[Fold, ...], rule: Threshold) -> Reach:
    """What ATL gives the evaluated sequences.

    Raises:
        NotComputable: frames that ATL needs are missing.
    """
    taus = [tau for seed in run.settings.seeds for _, tau in predicted(run, folds, rule, seed)]
    means = [float(tau.mean(dtype=np.float64)) for tau in taus]
    return Reach(min(means), max(means), float(np.mean([tau.std(dtype=np.float64) for tau in taus])))


def taught(run: Run, folds: tuple[Fold, ...]) -> tuple[float, float]:
    """Least and greatest threshold that a learning sequence was found to be best with."""
    best = [
        float(found.best[0])
        for fold in folds
        for detector in detectors_of(fold.learn)
        for found in targets(run, fold.learn, detector, "single").values()
    ]
    return min(best), max(best)


def note(run: Run) -> None:
    """Remark for the report: what was taught, and how much of it either kind of input reaches."""
    try:
        folds = validation(run)
        low, high = taught(run, folds)
        found = {way: reach(run, folds, atl("single", input=way)) for way in ("raw", "standardised")}
    except NotComputable:
        return
    config = run.settings
    start = (config.atl.tau_min + config.atl.tau_max) / 2
    said = {way: f"{r.low:.3f} to {r.high:.3f} (spread within a sequence {r.spread:.4f})" for way, r in found.items()}
    run.note(
        f"ATL, single threshold: its searched targets lie between {low:.2f} and {high:.2f}; untrained it says about "
        f"{start:.3f}. After {config.training.epochs} epochs at {config.training.learning_rate:g} the mean of an "
        f"evaluated sequence lies at {said['raw']} with the paper's raw scene vectors and at "
        f"{said['standardised']} with `atl.input=standardised`."
    )
