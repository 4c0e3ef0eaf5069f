"""The sequences of a folder, grouped by the scene they show; where hidden labels lie; what is missing or wrong."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from msfp.data.frames import FrameReader, with_state
from msfp.data.motchallenge import read_detections, read_ground_truth
from msfp.data.sequences import CUSTOM, DATASETS, Dataset, dataset_of, read_sequence, remedy, score_range
from msfp.data.video import health, loss, numbers_in_short
from msfp.errors import InputError
from msfp.types import DETECTORS, Detections, Scene, Sequence

SPLITS = ("train", "val", "test")
LAYOUT = "ROOT/train/MOT17-02-FRCNN/{seqinfo.ini, det/det.txt, gt/gt.txt, img1/000001.jpg ...}"
SHOWN = 8


@dataclass(frozen=True)
class Finding:
    """One thing that is right, missing or wrong."""

    split: str  # `train`, `val` or `test`
    sequence: str  # the sequence, or the data set where it concerns the whole
    state: str  # `right`, `missing` (could be had elsewhere) or `wrong` (is not what it has to be)
    message: str

    @property
    def right(self) -> bool:
        """Nothing is amiss."""
        return self.state == "right"

    def __str__(self) -> str:
        return f"{self.state:7s} {self.split}/{self.sequence}: {self.message}"


def load(
    root: Path,
    dataset: str | None = None,
    split: str = "train",
    *,
    read: Callable[[Path, str, str], Sequence] = read_sequence,
    unreadable: dict[str, str] | None = None,
) -> tuple[Scene, ...]:
    """Scenes of a folder, in order of name; sequences that differ only in their public detector are one scene.

    Args:
        root: a data set's folder (holds `train/`, `test/`), a split's folder (holds sequence folders), or a folder that
            holds the data set's folder under its name.
        dataset: only sequences of this data set; names that belong to no known data set are taken to be its. None: all,
            each sequence's data set told by its name, `custom` where it tells none.
        read: makes a sequence of a folder; `read_length` where labels are evaluated and nothing else is needed.
        unreadable: takes sequences that cannot be read, and why; None: the first of them is raised.

    InputError: unknown data set; no sequences; a sequence whose seqinfo.ini is missing or wrong; sequences of one scene
    that differ in length or image size.
    """
    if dataset is not None and dataset not in DATASETS and dataset != CUSTOM:
        raise InputError(f"dataset={dataset!r} is not known; choose one of {', '.join(DATASETS)}, {CUSTOM}")
    folder = _split_folder(root, dataset, split)
    members: dict[str, list[Sequence]] = {}
    for path in _sequence_folders(folder):
        told = dataset_of(path.name)
        if dataset is not None and told not in (dataset, CUSTOM):
            continue
        try:
            sequence = read(path, dataset or told, split)
        except InputError as error:
            if unreadable is None:
                raise
            unreadable[path.name] = str(error)
        else:
            members.setdefault(sequence.scene, []).append(with_state(sequence, hidden_truth(sequence)))
    if not members and unreadable:
        raise InputError("; ".join(unreadable.values()))
    if not members:
        wanted = f"{dataset} sequences" if dataset else "sequences"
        raise InputError(f"{folder}: no {wanted}; expected {LAYOUT}, found {_listing(folder)}")
    return tuple(_scene(name, tuple(members[name])) for name in sorted(members))


def _scene(name: str, sequences: tuple[Sequence, ...]) -> Scene:
    """Group a scene's sequences; most frames present wins the pixels, labels break a tie, then the name."""
    pixels = max(sequences, key=lambda s: (len(s.frames), s.gt_path is not None))
    for other in sequences:
        for key in ("length", "width", "height"):
            own, shared = getattr(other, key), getattr(pixels, key)
            if own != shared:
                raise InputError(
                    f"{other.path / 'seqinfo.ini'}: {key} {own}, but {pixels.name} of the same scene has {shared}; "
                    "sequences of one scene show the same frames: correct or rename one"
                )
    return Scene(name, pixels, sequences)


def hidden_truth(sequence: Sequence) -> Path | None:
    """Labels of a test sequence, kept apart so that only evaluation opens them; None where they are not here.

    Those of the embedded worlds lie in `truth/<scene>/gt.txt` beside the split folders; a test folder with labels of
    its own (as a private data set may have) counts too.
    """
    if sequence.split != "test":
        return None
    apart = sequence.path.parent.parent / "truth" / sequence.scene / "gt.txt"
    return next((path for path in (apart, sequence.path / "gt" / "gt.txt") if path.is_file()), None)


def _split_folder(root: Path, dataset: str | None, split: str) -> Path:
    """Where a split's sequences lie."""
    if split not in SPLITS:
        raise InputError(f"split={split!r} is not known; choose one of {', '.join(SPLITS)}")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the one that holds {LAYOUT}")
    if (root / split).is_dir():
        return root / split
    if next(_sequence_folders(root), None) is not None:
        if root.name in SPLITS and root.name != split:
            raise InputError(f"{root}: holds the {root.name} split, {split} was asked for; name its folder instead")
        return root
    inner = [p for p in _folders(root) if (p / split).is_dir()]
    named = [p for p in inner if p.name.lower() == dataset]
    if len(named or inner) == 1:
        return (named or inner)[0] / split
    if inner:
        names = ", ".join(p.name for p in inner)
        raise InputError(f"{root}: holds several data sets ({names}); name one of them as the root")
    raise InputError(f"{root}: no {split} sequences; expected {LAYOUT}, found {_listing(root)}")


def _sequence_folders(folder: Path) -> Iterator[Path]:
    """Folders that are sequences or parts of one, by name."""
    parts = ("seqinfo.ini", "det/det.txt", "gt/gt.txt", "img1")
    return (p for p in _folders(folder) if any((p / part).exists() for part in parts))


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); make it a readable folder") from error


def _listing(folder: Path) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "an empty folder"


def result_folder(folder: Path, names: Collection[str]) -> Path:
    """The folder that holds files of these sequences: itself, or `data`, `NAME` or `NAME/data` in it; itself if none.

    InputError: not a folder, or results of several trackers, of which one has to be named.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of result files")
    inner = _folders(folder)
    found = [
        place
        for place in (folder, *inner, *(p / "data" for p in inner))
        if any((place / f"{name}.txt").is_file() for name in names)
    ]
    if len(found) > 1 and found[0] != folder:
        listed = ", ".join(str(p.relative_to(folder)) for p in found[:8])
        raise InputError(f"{folder}: holds several folders of result files ({listed}); name one of them")
    return found[0] if found else folder


def check(root: Path, thorough: bool = False) -> list[Finding]:
    """Findings of every sequence of a folder, then of what its data sets lack; raises nothing for bad data.

    `thorough` decodes every frame present instead of the first, middle and last. InputError: no sequences in any split.
    """
    present: dict[str, list[Path]] = {}
    for split in SPLITS:
        try:
            folder = _split_folder(root, None, split)
        except InputError:
            continue
        if paths := list(_sequence_folders(folder)):
            present[split] = paths
    if not present:
        raise InputError(f"{root}: no sequences; expected {LAYOUT}, found {_listing(root)}")
    return [finding for split, paths in present.items() for finding in _findings(split, paths, thorough)]


def _findings(split: str, folders: list[Path], thorough: bool) -> Iterator[Finding]:
    read: dict[str, Sequence | InputError] = {}
    for folder in folders:
        try:
            read[folder.name] = read_sequence(folder, dataset_of(folder.name), split)
        except InputError as error:
            read[folder.name] = error
    sequences = [found for found in read.values() if isinstance(found, Sequence)]
    for name, found in read.items():
        if isinstance(found, InputError):
            yield Finding(split, name, "wrong", str(found))
            continue
        pixels = max((s for s in sequences if s.scene == found.scene), key=lambda s: len(s.frames))
        for state, message in (*_files(found), _frames(found, pixels, thorough)):
            yield Finding(split, name, state, message)
    for dataset in sorted({dataset_of(name) for name in read} & set(DATASETS)):
        if lacking := _lacking(split, DATASETS[dataset], set(read)):
            yield Finding(split, dataset, "missing", lacking)


def _files(sequence: Sequence) -> Iterator[tuple[str, str]]:
    """State and message of seqinfo.ini, labels and detections."""
    split, scene = sequence.split, sequence.scene
    size = f"{sequence.length} frames of {sequence.width}x{sequence.height} at {sequence.fps:g}/s"
    yield "right", f"seqinfo.ini: {size}"
    known = DATASETS[sequence.dataset].sequences.get(split, {}) if sequence.dataset in DATASETS else {}
    if known.get(scene) not in (None, sequence.length):
        yield "wrong", f"seqinfo.ini: {sequence.length} frames, the published sequence has {known[scene]}"
    for name, path, read in (
        ("gt/gt.txt", sequence.gt_path, read_ground_truth),
        ("det/det.txt", sequence.det_path, read_detections),
    ):
        if path is None:
            hidden = name.startswith("gt") and split == "test"
            yield ("right", f"{name}: kept apart") if hidden else ("missing", f"{name}: absent")
            continue
        try:
            rows = read(path, sequence, strict=True)
        except InputError as error:
            yield "wrong", str(error)
            continue
        scores = score_range(rows) if isinstance(rows, Detections) else None
        note = f"; {scores}: {remedy(scores)}" if scores and not scores.unit else ""  # right all the same, as DPM's are
        yield "right", f"{name}: {len(rows)} rows{note}"


def _frames(sequence: Sequence, pixels: Sequence, thorough: bool) -> tuple[str, str]:
    """Which frames are there, and whether those looked at can be decoded and have the declared size."""
    frames = sequence.frames
    if len(pixels.frames) > len(frames):
        return "right", f"frames: those of {pixels.name} are used"
    if sequence.trouble:
        return "wrong", sequence.trouble
    if not frames:
        return "missing", f"0 of {sequence.length} frames present"
    looked = frames if thorough else tuple(sorted({frames[0], frames[len(frames) // 2], frames[-1]}))
    try:
        with FrameReader(sequence, looked) as reader:
            for _ in reader:
                pass
    except InputError as error:
        return "wrong", str(error)
    if sequence.images is not None and sequence.images.is_file():
        held = health(sequence.images)
        if said := loss(len(held.frames) + len(held.lost), held.lost, held.marred):
            return "wrong", f"{sequence.images}: {said}; copy the video again"
    text = f"{len(frames)} of {sequence.length} frames present ({numbers_in_short(frames)}), {len(looked)} decoded"
    return ("right" if len(frames) == sequence.length else "missing"), text


def _lacking(split: str, entry: Dataset, names: set[str]) -> str:
    """Sequences that the published split has and the folder lacks; empty: none."""
    if not entry.detectors:
        names = names | {name.rpartition("-")[0] for name in names if name.rpartition("-")[2] in DETECTORS}
    expected = entry.folders(split)
    if lacking := [name for name in expected if name not in names]:
        return f"{len(lacking)} of {len(expected)} sequences: {', '.join(lacking)}"
    wanted = entry.counts.get(split, 0)
    count = len({name for name in names if entry.owns(name)}) // max(1, len(entry.detectors))
    return f"{wanted - count} of {wanted} scenes" if not expected and count < wanted else ""
