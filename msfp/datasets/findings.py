"""What of a data set is present and right, told sequence by sequence."""

from dataclasses import dataclass
from pathlib import Path

from msfp.datasets.frames import FrameReader
from msfp.datasets.motchallenge import read_detections, read_ground_truth
from msfp.datasets.registry import DATASETS, dataset_of
from msfp.datasets.score_ranges import remedy, score_range
from msfp.datasets.seqinfo import read_sequence
from msfp.errors import InputError
from msfp.types import DETECTORS, Detections, GroundTruth, Sequence
from msfp.video.decoding import health, loss, numbers_in_short


@dataclass(frozen=True)
class Finding:
    """One thing that is right, missing or wrong.

    Attributes:
        split: `train`, `val` or `test`.
        sequence: the sequence, or the data set where it concerns the whole.
        state: `right`, `missing` (could be had elsewhere) or `wrong` (is not what it has to be).
        message: what was found.
    """

    split: str
    sequence: str
    state: str
    message: str

    @property
    def right(self) -> bool:
        """Whether nothing is amiss."""
        return self.state == "right"

    def __str__(self) -> str:
        return f"{self.state:7s} {self.split}/{self.sequence}: {self.message}"


def findings_of(split: str, folders: list[Path], thorough: bool) -> list[Finding]:
    """Findings of the sequences of a split, then what its data sets lack."""
    read: dict[str, Sequence | InputError] = {}
    pixels: dict[str, Sequence] = {}
    for folder in folders:
        try:
            sequence = read_sequence(folder, dataset_of(folder.name), split)
        except InputError as error:
            read[folder.name] = error
            continue
        read[folder.name] = sequence
        best = pixels.setdefault(sequence.scene, sequence)
        if len(sequence.frames) > len(best.frames):
            pixels[sequence.scene] = sequence
    out: list[Finding] = []
    for name, found in read.items():
        if isinstance(found, InputError):
            out.append(Finding(split, name, "wrong", str(found)))
        else:
            out += [*_files(found), _frames(found, pixels[found.scene], thorough)]
    for dataset in sorted({dataset_of(name) for name in read} & set(DATASETS)):
        out += _missing(split, dataset, set(read))
    return out


def _files(sequence: Sequence) -> list[Finding]:
    """Findings of seqinfo.ini, labels and detections."""
    split = sequence.split

    def finding(state: str, message: str) -> Finding:
        return Finding(split, sequence.name, state, message)

    size = f"{sequence.length} frames of {sequence.width}x{sequence.height} at {sequence.fps:g}/s"
    out = [finding("right", f"seqinfo.ini: {size}")]
    known = DATASETS[sequence.dataset].sequences.get(split, {}) if sequence.dataset in DATASETS else {}
    if known.get(sequence.scene) not in (None, sequence.length):
        message = f"seqinfo.ini: {sequence.length} frames, the published sequence has {known[sequence.scene]}"
        out.append(finding("wrong", message))
    for name, path, read in (
        ("gt/gt.txt", sequence.gt_path, read_ground_truth),
        ("det/det.txt", sequence.det_path, read_detections),
    ):
        if path is None:
            hidden = name.startswith("gt") and split == "test"
            out.append(finding("right" if hidden else "missing", f"{name}: {'kept apart' if hidden else 'absent'}"))
            continue
        try:
            rows = read(path, sequence, strict=True)
        except InputError as error:
            out.append(finding("wrong", str(error)))
        else:
            out.append(finding("right", f"{name}: {len(rows)} rows{_scores(rows)}"))
    return out


def _scores(rows: Detections | GroundTruth) -> str:
    """What is to be known of scores that are no shares; the file is right all the same, as DPM's are."""
    if not isinstance(rows, Detections) or (found := score_range(rows)).unit:
        return ""
    return f"; {found}: {remedy(found)}"


def _frames(sequence: Sequence, pixels: Sequence, thorough: bool) -> Finding:
    """Which frames are there, and whether those looked at can be decoded and have the declared size."""
    frames = sequence.frames

    def finding(state: str, message: str) -> Finding:
        return Finding(sequence.split, sequence.name, state, message)

    if len(pixels.frames) > len(frames):
        return finding("right", f"frames: those of {pixels.name} are used")
    if sequence.trouble:
        return finding("wrong", sequence.trouble)
    if not frames:
        return finding("missing", f"0 of {sequence.length} frames present")
    looked = frames if thorough else tuple(sorted({frames[0], frames[len(frames) // 2], frames[-1]}))
    try:
        with FrameReader(sequence, looked) as reader:
            for _ in reader:
                pass
    except InputError as error:
        return finding("wrong", str(error))
    if sequence.images is not None and sequence.images.is_file():
        held = health(sequence.images)
        if said := loss(len(held.frames) + len(held.lost), held.lost, held.marred):
            return finding("wrong", f"{sequence.images}: {said}; copy the video again")
    text = f"{len(frames)} of {sequence.length} frames present ({numbers_in_short(frames)}), {len(looked)} decoded"
    return finding("right" if len(frames) == sequence.length else "missing", text)


def _missing(split: str, dataset: str, names: set[str]) -> list[Finding]:
    """Sequences that the published split has and the folder lacks."""
    entry = DATASETS[dataset]
    if not entry.detectors:
        names = names | {name.rpartition("-")[0] for name in names if name.rpartition("-")[2] in DETECTORS}
    expected = entry.folders(split)
    lacking = [name for name in expected if name not in names]
    if lacking:
        return [
            Finding(split, dataset, "missing", f"{len(lacking)} of {len(expected)} sequences: {', '.join(lacking)}")
        ]
    wanted = entry.counts.get(split, 0)
    count = len({name for name in names if entry.owns(name)}) // max(1, len(entry.detectors))
    if not expected and count < wanted:
        return [Finding(split, dataset, "missing", f"{wanted - count} of {wanted} scenes")]
    return []
