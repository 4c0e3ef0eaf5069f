"""The eighth column: classes of labels and results, and what stands there in files of other kinds."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.rows import Rows, plain_text, read_bytes
from msfp.errors import InputError

NAMES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non mot vehicle", "static person"),
    *("distractor", "occluder", "occluder on ground", "occluder full", "reflection", "crowd"),
)
"""MOTChallenge's classes, from 1."""
PEDESTRIAN, OCCLUDER = 1, 9
SYNONYMS = {"person": "pedestrian", "people": "pedestrian", "pedestrians": "pedestrian", "human": "pedestrian"}
VISDRONE = range(12)  # its categories; 0 is an ignored region, 1 a pedestrian
Floats = NDArray[np.float64]


def people(rows: Rows) -> NDArray[np.bool_]:
    """(N,) result rows of class pedestrian, or without a class (0, -1, world coordinates); the others are told.

    Raises:
        InputError: no such row among others, or classes that count from 0.
    """
    kind = rows.column(7, -1.0)
    other: NDArray[np.bool_] = (kind >= PEDESTRIAN + 1) & bool(np.all(kind % 1 == 0))
    if not other.any():
        return ~other
    listed = ", ".join(f"{k:g}" for k in np.unique(kind)[:8])
    if (kind == 0).any():
        raise InputError(
            f"{rows.where}: column 8 holds classes {listed}, which seem to count from 0; keep the people only, as 1"
        )
    if other.all():
        raise InputError(
            f"{rows.where}: column 8 holds classes {listed} in all {len(other)} rows, and only pedestrians (class 1, "
            "or -1 where there is no class) are scored; write 1 where these are people"
        )
    rows.tell(other, "class {7}", "results are of pedestrians, class 1", "are of other classes than 1 and are left out")
    return ~other


def of_labels(rows: Rows, world: bool) -> Floats:
    """(N,) classes of labels; 1 where the table has none.

    Args:
        world: columns 8 to 10 are known to be world coordinates.

    Raises:
        InputError: names the row whose class is none.
    """
    kind = rows.column(7, -1.0)
    ones = np.ones(len(kind))
    if not len(kind) or (world and rows.values.shape[1] == 10):
        return ones
    if rows.values.shape[1] == 10:
        whole = bool(np.all(kind % 1 == 0))
        if whole and kind.max() > 1 and _is_visdrone(rows):
            other = kind != PEDESTRIAN
            what = "category {7}, with truncation {8} and occlusion {9} after it, as VisDrone has them"
            remedy = "MOTChallenge's class and visibility come there: export the labels again"
            rows.tell(other, what, remedy, "are of another category than pedestrian and do not count")
            return np.where(other, OCCLUDER, ones)
        if not whole or kind.min() < 1:
            return ones
        rows.tell(
            kind != PEDESTRIAN,
            "class {7} in a table of 10 columns",
            "tables with classes have 9",
            "are of other classes",
        )
    if np.all(kind == -1):
        rows.form("column 8 is -1 in every row; the class is taken as 1, pedestrian")
        return ones
    found: Floats = np.trunc(kind)
    remedy = "MOTChallenge classes are whole numbers from 1"
    rows.refuse(found < 1, "class {7}", remedy)
    rows.tell(found != kind, "class {7}", remedy, "have a fraction of a class, which is cut off")
    return found


def _is_visdrone(rows: Rows) -> bool:
    """True where columns 8 to 10 are VisDrone's category, truncation (0, 1), occlusion (0, 1, 2), or -1 for these."""
    columns = zip(rows.values[:, 7:10].T, (VISDRONE, range(-1, 2), range(-1, 3)), strict=True)
    return all(np.isin(column, values).all() for column, values in columns)


def check_names(path: Path, category: Floats) -> None:
    """Hold the classes of gt.txt to the names that CVAT lists in `labels.txt` beside it, where that is there.

    Raises:
        InputError: a class of the labels has another name there than MOTChallenge gives it.
    """
    listed = path.with_name("labels.txt")
    if not listed.is_file():
        return
    text = plain_text(read_bytes(listed, "names of classes"), str(listed)).decode("utf-8", "replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for number in np.unique(category.astype(int)):
        if not 1 <= number <= len(names):
            continue
        plain = names[number - 1].casefold().replace("_", " ").replace("-", " ")
        known = NAMES[number - 1] if number <= len(NAMES) else ""
        if SYNONYMS.get(plain, plain) != known:
            raise InputError(
                f"{listed}: class {number} is {names[number - 1]!r}, while MOTChallenge's class {number} is "
                f"{known or 'none'!r}; give the rows of {path.name} MOTChallenge's classes (pedestrian 1, car 3, ...)"
            )
