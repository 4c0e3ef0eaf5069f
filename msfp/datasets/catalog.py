"""Which sequences a folder holds, grouped by the scene they show; and where hidden labels lie."""

from collections.abc import Callable, Iterator
from pathlib import Path

from msfp.datasets.findings import Finding, findings_of
from msfp.datasets.motchallenge import read_ground_truth
from msfp.datasets.registry import CUSTOM, DATASETS, Dataset, dataset_of
from msfp.datasets.seqinfo import read_sequence
from msfp.datasets.states import with_state
from msfp.errors import InputError
from msfp.types import GroundTruth, Scene, Sequence

__all__ = ["CUSTOM", "DATASETS", "Dataset", "Finding", "check", "ground_truth_of", "hidden_truth", "load", "presence"]

SPLITS = ("train", "val", "test")
LAYOUT = "ROOT/train/MOT17-02-FRCNN/{seqinfo.ini, det/det.txt, gt/gt.txt, img1/000001.jpg ...}"
SHOWN = 8


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
        split: `train`, `val` or `test`.
        read: what makes a sequence of a folder; `read_length` where labels are evaluated and nothing else is needed.
        unreadable: takes sequences that cannot be read, and why; None: the first of them is raised.

    Raises:
        InputError: unknown data set; no sequences (says what was expected and found); a sequence whose seqinfo.ini is
            missing or wrong; sequences of one scene that differ in length or image size.
    """
    if dataset is not None and dataset not in DATASETS and dataset != CUSTOM:
        raise InputError(f"dataset={dataset!r} is not known; choose one of {', '.join(DATASETS)}, {CUSTOM}")
    root = Path(root)
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
            continue
        members.setdefault(sequence.scene, []).append(with_state(sequence, hidden_truth(sequence)))
    if not members and unreadable:
        raise InputError("; ".join(unreadable.values()))
    if not members:
        wanted = f"{dataset} sequences" if dataset else "sequences"
        raise InputError(f"{folder}: no {wanted}; expected {LAYOUT}, found {_listing(folder)}")
    return tuple(_scene(name, tuple(members[name])) for name in sorted(members))


def check(root: Path, thorough: bool = False) -> list[Finding]:
    """What of a folder is present and right, sequence by sequence, and what is missing; raises nothing for bad data.

    Args:
        thorough: decode every frame present instead of the first, middle and last.

    Raises:
        InputError: the folder holds no sequences in any split.
    """
    root = Path(root)
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
    return [f for split, paths in present.items() for f in findings_of(split, paths, thorough)]


def hidden_truth(sequence: Sequence) -> Path | None:
    """Labels of a test sequence, kept apart so that only evaluation opens them; None where nobody here has them.

    Those of the embedded worlds lie in `truth/<scene>/gt.txt` beside the split folders; a test folder with labels of
    its own (as a private data set may have) counts too.
    """
    apart = sequence.path.parent.parent / "truth" / sequence.scene / "gt.txt"
    own = sequence.path / "gt" / "gt.txt"
    if sequence.split != "test":
        return None
    return next((path for path in (apart, own) if path.is_file()), None)


def ground_truth_of(scene: Scene) -> GroundTruth | None:
    """Labels of a scene, which its sequences share, read once; None where it has none.

    Raises:
        InputError: see `read_ground_truth`.
    """
    holder = next((s for s in (scene.pixels, *scene.sequences) if s.gt_path is not None), None)
    return None if holder is None or holder.gt_path is None else read_ground_truth(holder.gt_path, holder)


def presence(sequence: Sequence) -> str:
    """How much of a sequence's pixels is there: `8 of 1050 frames present`."""
    return f"{len(sequence.frames)} of {sequence.length} frames present"


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
    named = [p for p in inner if dataset is not None and p.name.lower() == dataset]
    if len(named or inner) == 1:
        return (named or inner)[0] / split
    if len(inner) > 1:
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
