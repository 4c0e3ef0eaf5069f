"""One timing of all methods for tables 7, 11, 15, 24 and Figure 5, and cells made of it.

Two protocols (A.1, A.7, A.16). With the detector: preprocessing, the whole detector with its suppression, ReID and
association; decoding is told apart. Tracking alone: public detections are given, so methods that read feature maps need
the network only as far as its deepest tapped layer, and the others no network at all.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as ListLike
from functools import lru_cache

import numpy as np

from msfp.errors import NotComputable
from msfp.experiment import data, speed
from msfp.experiment.data import Fold, Part
from msfp.experiment.live import MILLI
from msfp.experiment.methods import Method, configured
from msfp.experiment.run import Run
from msfp.experiment.scores import SWITCHED_OFF, affordable
from msfp.experiment.selection import select_all
from msfp.experiment.speed import CUT, DETECTOR, PREPARE, Speeds, Times, association_times
from msfp.experiment.tracks import subject_of
from msfp.metrics.bootstrap import Sample, draws
from msfp.paper.cells import MeasuredCell
from msfp.paper.methods import DEEPSORT, TABLE_1
from msfp.types import Cell

LARGE = f"{DEEPSORT.row}{speed.OF_RESNET}"
"""DeepSORT with a ReID network as large as ResNet-50, which the paper's separate models may be."""

DETECTION = (PREPARE, DETECTOR)
CUT_NETWORK = (PREPARE, CUT)
NEEDS_MAPS = "reads feature maps: preprocessing and the network to its deepest tapped layer are counted in"
Measure = Callable[[Speeds, str], Times]


@lru_cache(maxsize=4)
def timings(run: Run) -> Speeds:
    """All rows of Table 1 on frames that are evaluated, or on any frames where those lack pixels; once a process.

    Raises:
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


def association_times_of(run: Run, rows: Mapping[tuple[str, str], Method], folds: ListLike[Fold]) -> list[Cell]:
    """Median milliseconds a frame of each association with each embedding, everything else being there.

    Args:
        run: the run.
        rows: (association, embedding) -> method; timed with the first seed.
        folds: on whose evaluated parts.
    """
    made = {place: configured(run, row, folds[0])[0] for place, row in rows.items()}
    timed = [method for method in made.values() if affordable(run, method)]
    try:
        found = association_times(run, timed, [p for f in folds for p in f.evaluate])
    except NotComputable as error:
        found = {method.label: str(error) for method in timed}
    cells = []
    for (association, embedding), method in made.items():
        column, times = f"ms/frame, {embedding}", found.get(method.label, SWITCHED_OFF)
        if isinstance(times, str):
            cells.append(Cell(association, column, None, source="n/a", reason=times, unit="ms"))
        else:
            cells.append(time_cell(association, column, times))
    return cells


def detection(found: Speeds, label: str) -> Times:
    """(T,) the whole detector, the same for every method."""
    found.course(label)
    return found.total(*DETECTION)


def reid(found: Speeds, label: str) -> Times:
    """(T,) from maps or pixels to embeddings."""
    course = found.course(label)
    if not course.reid:
        raise NotComputable("compares no appearances")
    return found.total(*course.reid)


def association(found: Speeds, label: str) -> Times:
    """(T,) ATL, camera motion and the tracker."""
    return found.total(*found.course(label).after)


def unified(found: Speeds, label: str) -> Times:
    """(T,) with the detector, protocol B."""
    course = found.course(label)
    return found.total(*DETECTION, *course.reid, *course.after)


def alone(found: Speeds, label: str) -> Times:
    """(T,) with given detections, protocol A."""
    course = found.course(label)
    return found.total(*(CUT_NETWORK if course.taps else ()), *course.reid, *course.after)


def said_of(found: Speeds, label: str, remarks: bool) -> str:
    """Which ReID network a method's boxes go through; with remarks, what protocol A means for one that reads maps."""
    course = found.courses.get(label)
    if course is None:
        return ""
    return NEEDS_MAPS if remarks and course.taps else course.network


def time_cells(run: Run, row: str, columns: Iterable[tuple[str, Measure]], remarks: bool = False) -> list[Cell]:
    """A row's times, or why there are none.

    Args:
        run: the run.
        row: the method's label.
        columns: (column, what it measures); a column that names FPS shows frames a second.
        remarks: say where protocol A counts a part of the network in.
    """
    cells = []
    for column, measure in columns:
        unit = "" if "FPS" in column else "ms"
        try:
            found = timings(run)
            values = measure(found, row)
            said = said_of(found, row, remarks)
            cells.append(time_cell(row, column, values if unit else MILLI / values, unit, said))
        except NotComputable as error:
            cells.append(Cell(row, column, None, source="n/a", reason=str(error), unit=unit))
    return cells


def time_cell(row: str, column: str, values: Times, unit: str = "ms", remark: str = "") -> Cell:
    """Median of frames, with half the distance of the quartiles as its spread and a bootstrap interval over frames."""
    first, median, third = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    sample = frames_sample(values)
    detail: dict[str, str | float | int] = {
        "first quartile": round(first, 4),
        "third quartile": round(third, 4),
        "frames": len(values),
    }
    low, high = np.quantile(sample.replicates, (0.025, 0.975))
    detail["95 % interval"] = f"{low:.4g} to {high:.4g}"
    return MeasuredCell(
        row, column, median, (third - first) / 2, reason=remark, unit=unit, detail=detail, seeds=(median,),
        basis=sample, measure=column,
    )  # fmt: skip


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
