"""One timing of all methods for tables 7, 11, 15, 24 and Figure 5, and cells made of times."""

from functools import lru_cache

import numpy as np

from msfp.experiment import data, speed
from msfp.experiment.data import Part
from msfp.experiment.run import Run
from msfp.experiment.scores import affordable
from msfp.experiment.selection import select_all
from msfp.experiment.speed import Speeds, Times
from msfp.experiment.tracks import subject_of
from msfp.metrics.bootstrap import Sample, draws
from msfp.paper.cells import MeasuredCell
from msfp.paper.methods import DEEPSORT, TABLE_1
from msfp.types import Cell

LARGE = f"{DEEPSORT.row}{speed.OF_RESNET}"
"""DeepSORT with a ReID network as large as ResNet-50, which the paper's separate models may be."""


@lru_cache(maxsize=4)
def timings(run: Run) -> Speeds:
    """All rows of Table 1 on frames that are evaluated, or on any frames where those lack pixels; once a process.

    NotComputable: no sequence has detections.
    """
    folds, _ = data.judged_folds(run, run.settings.data.main)
    methods = [m for row in TABLE_1 if affordable(run, m := row.configured(folds[0].learn, run.settings.seeds[0]))]
    select_all(run, map(subject_of, methods))
    found = speed.measure(run, methods, places(run))
    run.note(f"Times: {speed.in_words(found.about)}. The paper's: RTX 3090 and i9-12900K, YOLOv8m at 1280x720.")
    return found


def places(run: Run) -> list[Part]:
    """Where frames are taken from: what is evaluated, else any scene of the main data set."""
    main = run.settings.data.main
    folds, _ = data.judged_folds(run, main)
    return [p for fold in folds for p in fold.evaluate] + [data.whole(s) for s in data.scenes(run, main)]


def time_cell(row: str, column: str, values: Times, unit: str = "ms", remark: str = "") -> Cell:
    """Median of frames, with half the distance of the quartiles as its spread and a bootstrap interval over frames."""
    first, median, third = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    sample = frames_sample(values)
    low, high = np.quantile(sample.replicates, (0.025, 0.975))
    detail: dict[str, str | float | int] = {
        "first quartile": round(first, 4),
        "third quartile": round(third, 4),
        "frames": len(values),
        "95 % interval": f"{low:.4g} to {high:.4g}",
    }
    return MeasuredCell(
        row, column, median, (third - first) / 2, reason=remark, unit=unit, detail=detail, seeds=(median,), basis=sample
    )


def frames_sample(values: Times) -> Sample:
    """The median of (T,) times, and in each bootstrap draw of the frames; times of the same frames share their draws.

    Frames are drawn one by one: what slows a machine for longer than a frame is in no interval.
    """
    units = tuple(f"frame {t + 1}" for t in range(len(values)))
    order = np.argsort(values)
    rank = draws(units)[:, order].cumsum(axis=1)
    middle = [(rank > half).argmax(axis=1) for half in ((len(values) - 1) // 2, len(values) // 2)]
    medians = np.mean([values[order[m]] for m in middle], axis=0)
    return Sample(np.array([np.median(values)]), medians[:, None], units, "frames")
