"""Result files from elsewhere scored beside ours, and ours packed for a server."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from msfp.data.motchallenge import parse_tracks, write_submission
from msfp.data.sequences import expected
from msfp.engine.files import atomic_write, digest, replace_folder
from msfp.engine.parallel import Bar
from msfp.errors import InputError, NotComputable
from msfp.experiment import data, scores
from msfp.experiment.data import Fold, Part
from msfp.experiment.run import Run
from msfp.experiment.scores import Measured, prepare
from msfp.experiment.tracks import Method, tracks
from msfp.types import Scene, Sequence, Tracks

TRACKER = "imported"
NAME = re.compile(r"[\w+()†-][\w +().†-]{0,59}")
SHOWN = 20


@dataclass(frozen=True)
class Imported:
    """Result files that were taken."""

    name: str  # the row's label
    folder: Path  # where they are kept
    sequences: dict[str, int]  # names of the result files, without `.txt`, and how many boxes each has
    problems: tuple[str, ...] = ()  # a sentence for each file that was left out, and for each that the row lacks
    unshown: tuple[str, ...] = ()  # of `sequences`, those that no table of the run shows


class Refused(InputError):
    """Result files of which none can be taken; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        more = len(problems) - SHOWN
        super().__init__("\n".join(problems[:SHOWN] + ([f"and {more} more problems"] if more > 0 else [])))


def take(run: Run, name: str, folder: Path, reserved: Iterable[str] = ()) -> Imported:
    """Check result files and keep the right ones with the run as the row `name`; those kept before are replaced.

    A file that cannot be read, or is named after no sequence, is left out and told. Cells that would need it say so,
    as no number is shown over fewer sequences than it names. `folder` holds a MOTChallenge result file a sequence,
    `MOT17-02-DPM.txt`; `MOT17-02.txt` stands for all public detectors of the scene. `reserved`: rows measured here.
    Refused has a sentence for each problem where no file can be taken, or none that a table shows.
    """
    if not NAME.fullmatch(name) or name != name.strip():
        raise InputError(
            f"name {name!r}: a row's name has 1 to 60 letters, digits, spaces or + - _ . ( ), and does not begin with "
            "a dot or space"
        )
    if name in set(reserved):
        raise InputError(f"name {name!r}: that row is measured here; give the imported results another name")
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of result files")
    known = _known(run)
    evaluated = {
        dataset: [s for fold in data.judged_folds(run, dataset)[0] for p in fold.evaluate for s in data.sequences(p)]
        for dataset in datasets(run)
    }
    files, problems = _read(folder, known)
    given = {path.stem for path in folder.glob("*.txt")}
    for dataset, needed in evaluated.items():
        lacking = [s for s in needed if not {s.name, s.scene} & given]
        problems += [
            f"{folder}: {s.name}.txt is missing; {dataset} is scored on all its sequences: add it, empty if nothing "
            "was tracked"
            for s in lacking * (len(lacking) < len(needed))  # none of a data set is given on purpose
        ]
    if not files and problems:
        raise Refused(problems)
    if not files:
        example = min(known, default="no sequence at all")
        raise InputError(f"{folder}: no result files; one SEQUENCE.txt for each of {example}, ... is expected")
    # A file of the scene is read only where a sequence has none of its own.
    shown = {s.name if s.name in files else s.scene for needed in evaluated.values() for s in needed} & set(files)
    if not shown:
        there = ", ".join(sorted({s.name for needed in evaluated.values() for s in needed}))
        unshown = (
            f"{folder}: no table of this run shows any of {', '.join(sorted(files))}; what is evaluated here is "
            f"{there}: add files for those, or choose another --profile, --root or split"
        )
        raise Refused([*problems, unshown])
    kept = place(run, name)
    replace_folder(kept, {f"{stem}.txt": content for stem, (content, _) in files.items()})
    counts = {stem: count for stem, (_, count) in files.items()}
    return Imported(name, kept, counts, tuple(problems), tuple(stem for stem in files if stem not in shown))


def names(run: Run) -> tuple[str, ...]:
    """Names under which results were imported, sorted."""
    return tuple(sorted(p.name for p in (run.out / "imported").glob("*") if p.is_dir() and NAME.fullmatch(p.name)))


def place(run: Run, name: str) -> Path:
    return run.out / "imported" / name


def contents(run: Run) -> str:
    """What is imported, by name and content; empty where nothing is."""
    found = {n: {p.name: run.store.file_digest(p) for p in sorted(place(run, n).glob("*.txt"))} for n in names(run)}
    return digest(found) if found else ""


def measured(run: Run, name: str, fold: Fold) -> list[Measured]:
    """Scores of a name's results on a fold's evaluated parts; empty where it has no file for any of them."""
    items = [(p, s) for p in fold.evaluate for s in data.sequences(p)]
    if not any(_file(run, name, s) for _, s in items):
        return []
    method = Method(name, TRACKER)
    return [scores.measured(run, method, p, s, partial(read_tracks, run, name, p, s)) for p, s in items]


def read_tracks(run: Run, name: str, part: Part, sequence: Sequence) -> Tracks:
    path = _file(run, name, sequence)
    if path is None:
        raise NotComputable(f"imported results {name} have no file for {sequence.name}")
    return data.window(_parsed(path.read_bytes(), str(path)), part)


_parsed = lru_cache(maxsize=64)(parse_tracks)


def _file(run: Run, name: str, sequence: Sequence) -> Path | None:
    found = (place(run, name) / f"{stem}.txt" for stem in (sequence.name, sequence.scene))
    return next((path for path in found if path.is_file()), None)


def _read(folder: Path, known: dict[str, Scene]) -> tuple[dict[str, tuple[bytes, int]], list[str]]:
    """File stem -> its bytes and number of boxes; and what is wrong, file by file."""
    files: dict[str, tuple[bytes, int]] = {}
    problems = []
    for path in sorted(folder.glob("*.txt")):
        scene = known.get(path.stem)
        try:
            if scene is None:
                raise InputError(f"{path}: named after no sequence of this profile's data sets; rename or remove it")
            content = path.read_bytes()
            found, length = parse_tracks(content, str(path)), scene.pixels.length
            if len(found) and found.frame[-1] > length:
                raise InputError(
                    f"{path}: frame {found.frame[-1]} of a sequence of {length} frames; remove rows beyond it, or "
                    "import results of the same sequence"
                )
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror}); make it readable")
        except InputError as error:
            problems.append(str(error))
        else:
            files[path.stem] = content, len(found)
    return files, problems


def datasets(run: Run) -> tuple[str, ...]:
    """Data sets of Tables 1 and 2 that are here with labels."""
    found = []
    for dataset in dict.fromkeys(filter(None, (run.settings.data.main, run.settings.data.crowded))):
        with suppress(NotComputable):
            data.judged_folds(run, dataset)
            found.append(dataset)
    return tuple(found)


def _known(run: Run) -> dict[str, Scene]:
    """Every name that a result file may have -> its scene."""
    found: dict[str, Scene] = {}
    for dataset in datasets(run):
        for split in ("train", "test"):
            with suppress(NotComputable):
                for scene in data.every_scene(run, dataset, split):
                    found |= {name: scene for name in (scene.name, *(s.name for s in scene.sequences))}
    return found


def need_writable(trial: Path) -> None:
    """Raise MsfpError, before anything is computed, where a file cannot be written."""
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)


def submit(run: Run, dataset: str, method: Method, path: Path) -> Path:
    """Track every sequence of a MOTChallenge test split and write the zip, which is checked against the rules.

    InputError, before anything is computed: no server for this data set, or sequences that are not there.
    """
    wanted = expected(dataset, "test")
    parts = tuple(data.whole(s) for s in data.scenes(run, dataset, "test"))
    found = [(part, sequence) for part in parts for sequence in part.scene.sequences]
    lacking = [name for name in wanted if name not in {s.name for _, s in found}]
    if lacking:
        raise InputError(
            f"{dataset}: {len(lacking)} of {len(wanted)} sequences of the test split are not there: "
            f"{', '.join(lacking)}; the server takes whole submissions only"
        )
    need_writable(path.with_name(f"{path.name}.writable"))
    chosen = [(part, sequence) for part, sequence in found if sequence.name in wanted]
    prepare(run, [method], [part for part, _ in chosen])
    results = {}
    with Bar(len(chosen), f"tracking the {dataset} test split") as progress:
        for part, sequence in chosen:
            try:
                results[sequence.name] = tracks(run, part, sequence, method)
            except NotComputable as error:
                raise NotComputable(f"no zip, as {sequence.name} cannot be tracked: {error}") from None
            progress.update()
    write_submission(path, results, dataset)
    return path
