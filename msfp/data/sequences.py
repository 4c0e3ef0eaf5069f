"""Sequences and known data sets: what a folder declares, and by which rules it is read."""

import configparser
import json
import logging
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from msfp.config import Frozen
from msfp.data.rows import parse_rows, plain_text, read_bytes
from msfp.data.video import NUMBER, SUFFIXES, by_number, health, loss, pictures_in
from msfp.errors import InputError
from msfp.types import Detections, Sequence

SECTION = "Sequence"
LONGEST = 10_000_000
LARGEST = 100_000
REQUIRED = ("frameRate", "seqLength", "imWidth", "imHeight")
KNOWN = {key.lower(): key for key in ("name", "imDir", "imExt", *REQUIRED)}
LABELS = "labels, whose last frame is taken as the sequence's length"
log = logging.getLogger(__name__)


def read_sequence(path: Path, dataset: str, split: str) -> Sequence:
    """Read seqinfo.ini and look which frames, labels and detections are there.

    `imDir` names a folder of images or a video file; neither has to exist, nor has every frame. Images that lie there
    and cannot be taken for frames are noted (`Sequence.trouble`), as labels can be used without them. Of a test
    sequence the labels are not looked for: only evaluation opens them (`catalog.hidden_truth`).

    Raises:
        InputError: seqinfo.ini missing, unreadable, or with a key missing or wrong; a video that cannot be opened.
    """
    ini = path / "seqinfo.ini"
    keys = _read_keys(ini, REQUIRED)
    name = keys.get("name", path.name)
    if name != path.name:
        log.warning("%s: name=%s, but the folder is %s; the folder's name is used", ini, name, path.name)
    length = _whole(ini, keys, "seqLength", LONGEST)
    ext = keys.get("imExt") or ".jpg"
    ext = ext if ext.startswith(".") else f".{ext}"
    if not re.fullmatch(r"\.[A-Za-z0-9]+", ext):
        raise InputError(f"{ini}: imExt={ext!r}; give the extension of the images, as .jpg")
    images, trouble = path / keys["imDir"], ""
    frames: tuple[int, ...] = ()
    if images.is_dir():
        frames, trouble = _images(images, ext, length)
        if trouble:
            log.warning("%s", trouble)
    elif images.is_file():
        held, ext = health(images), ""
        frames = tuple(t for t in held.frames if t <= length)
        if said := loss(len(held.frames) + len(held.lost), held.lost, held.marred):
            log.warning("%s: %s; copy the video again", images, said)
    det = path / "det" / "det.txt"
    return Sequence(
        name=path.name,
        dataset=dataset,
        split=split,
        path=path,
        fps=_rate(ini, keys),
        length=length,
        width=_whole(ini, keys, "imWidth", LARGEST),
        height=_whole(ini, keys, "imHeight", LARGEST),
        frames=frames,
        images=images if frames else None,
        image_ext=ext,
        gt_path=_labels(path, split),
        det_path=det if det.is_file() else None,
        trouble=trouble,
    )


def read_length(path: Path, dataset: str, split: str) -> Sequence:
    """A sequence for evaluation alone, which needs its length and labels: image size, rate and pixels are left empty.

    The length is that of seqinfo.ini; where the file is missing, the last labelled frame, which a log message says.
    InputError: a length missing or wrong; neither seqinfo.ini nor labels.
    """
    ini, gt = path / "seqinfo.ini", path / "gt" / "gt.txt"
    if ini.is_file() or not gt.is_file():
        length = _whole(ini, _read_keys(ini, ("seqLength",)), "seqLength", LONGEST)
    else:
        rows = parse_rows(read_bytes(gt, LABELS), str(gt), 6, LABELS)
        length = int(rows.values[:, 0].max(initial=0))
        if length < 1:
            raise InputError(f"{ini}: no such file, and {gt} labels no frame; seqinfo.ini has to say seqLength")
        log.warning("%s: no such file; the sequence's length is taken as %d, its last labelled frame", ini, length)
    return Sequence(path.name, dataset, split, path, 0.0, length, 0, 0, gt_path=_labels(path, split))


def _labels(path: Path, split: str) -> Path | None:
    """Labels that may be opened: a test sequence's are hidden."""
    gt = path / "gt" / "gt.txt"
    return gt if split != "test" and gt.is_file() else None


def _images(images: Path, ext: str, length: int) -> tuple[tuple[int, ...], str]:
    """Numbers of the images that are named by a frame's number and have the declared extension; or the trouble."""
    every = pictures_in(images, {*SUFFIXES, ext.lower()})
    try:
        by_number(every)  # a frame twice, also with another extension, is refused as it is in a folder of its own
        files = by_number([p for p in every if p.suffix.lower() == ext.lower()])
    except InputError as error:
        return (), str(error)
    if every and not files:
        lies = f"{len(every)} images, such as {every[0].name}" if len(every) > 1 else every[0].name
        right = [p for p in every if NUMBER.fullmatch(p.stem)]
        remedy = f"set imExt={right[0].suffix}" if right else f"rename them to {1:06d}{ext}, {2:06d}{ext}, ..."
        wanted = f"frames named by their number, such as {1:06d}{ext}"
        return (), f"{images}: {lies}; looked for {wanted} (imExt={ext}): {remedy}"
    if 0 in files:
        remedy = "rename the images so that the first is number 1"
        return (), f"{images}: images are numbered from 0 ({files[0].name}), labels and detections from 1: {remedy}"
    frames = tuple(t for t in files if t <= length)
    if beyond := len(files) - len(frames):
        log.warning("%s: %d images beyond frames 1 to %d are not used", images, beyond, length)
    return frames, ""


def _read_keys(ini: Path, required: tuple[str, ...]) -> dict[str, str]:
    """The keys of the section, spelt as the format spells them whatever their case was."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(plain_text(read_bytes(ini, ", ".join(required)), str(ini)).decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{ini}: not a text file (byte {error.start}); copy it again") from None
    except (configparser.Error, ValueError) as error:
        line, reason = getattr(error, "lineno", None), str(error).splitlines()[0]
        if isinstance(error, configparser.ParsingError):
            line, reason = line or (error.errors[0][0] if error.errors else None), "not key=value in a section"
        raise InputError(f"{ini}{f':{line}' if line else ''}: {reason}; copy it again from the data set") from None
    section = next((s for s in parser.sections() if s.lower() == SECTION.lower()), None)
    if section is None:
        raise InputError(f"{ini}: no section [{SECTION}]; it has to hold {', '.join(required)}: copy it again")
    keys = {KNOWN.get(key, key): value.strip() for key, value in parser[section].items()}
    missing = [key for key in required if not keys.get(key)]
    if missing:
        raise InputError(f"{ini}: {', '.join(missing)} missing or empty; the file may be cut: copy it again")
    keys["imDir"] = keys.get("imDir") or "img1"
    if len(keys["imDir"]) > 1000 or not keys["imDir"].isprintable():
        raise InputError(f"{ini}: imDir={keys['imDir'][:40]!r}; give the name of a folder or a video file")
    return keys


def _whole(ini: Path, keys: dict[str, str], key: str, largest: int) -> int:
    text = keys[key]
    found = re.fullmatch(r"([0-9]{1,9})(\.0*)?", text)
    if not found or not 1 <= int(found[1]) <= largest:
        raise InputError(f"{ini}: {key}={text[:40]!r}; give a whole number from 1 to {largest}")
    return int(found[1])


def _rate(ini: Path, keys: dict[str, str]) -> float:
    text, rate = keys["frameRate"], math.nan
    above, slash, below = text.partition("/")
    with suppress(ValueError, ZeroDivisionError):
        rate = float(above) / float(below if slash else 1)
    if not 0 < rate <= 1000:
        raise InputError(
            f"{ini}: frameRate={text[:40]!r}; give frames per second, a number from 0 to 1000 or a fraction, 30000/1001"
        )
    return rate


CUSTOM = "custom"


class Archive(Frozen):
    """One file of a data set at its official place."""

    url: str
    gigabytes: float  # about how large, where the server does not say
    labels: bool = False  # holds labels or detections and no pixels
    sha256: str = ""  # empty where its authors publish none

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


class Dataset(Frozen):
    """A data set of the field, or one of the embedded worlds: an entry of `known/`."""

    name: str  # in the catalog, `mot17`
    title: str  # as its authors write it
    role: str  # what it is used for here
    licence: str  # of its labels and pixels
    prefixes: tuple[str, ...]  # how the names of its sequences begin
    counts: dict[str, int]  # split -> number of scenes
    homepage: str = ""  # where it is had; empty for the embedded worlds
    # suffixes of its sequence folders, one a public detector; empty where folders bear none
    detectors: tuple[Literal["DPM", "FRCNN", "SDP"], ...] = ()
    # split -> scene -> number of frames, None where not recorded; no entry where names are not fixed
    sequences: dict[str, dict[str, int | None]] = Field({})
    archives: tuple[Archive, ...] = ()  # files to fetch; none for the embedded worlds

    def owns(self, sequence: str) -> bool:
        """A sequence's name begins as this data set's do."""
        return sequence.upper().startswith(tuple(prefix.upper() for prefix in self.prefixes))

    def lengths(self, split: str) -> dict[str, int | None]:
        """Names of the sequence folders of a split -> number of frames; empty where they are not fixed."""
        suffixes = [f"-{detector}" for detector in self.detectors] or [""]
        return {scene + s: length for scene, length in self.sequences.get(split, {}).items() for s in suffixes}

    def folders(self, split: str) -> tuple[str, ...]:
        """Names of the sequence folders of a split; empty where they are not fixed."""
        return tuple(self.lengths(split))


def _read_all() -> dict[str, Dataset]:
    paths = sorted(Path(__file__).with_name("known").glob("*.json"))
    return {p.stem: Dataset(name=p.stem, **json.loads(p.read_text("utf-8"))) for p in paths}


DATASETS = _read_all()


def dataset_of(sequence: str) -> str:
    """Name of the data set a sequence's name belongs to, else `custom`."""
    return next((d.name for d in DATASETS.values() if d.owns(sequence)), CUSTOM)


def expected(dataset: str, split: str) -> dict[str, int | None]:
    """Sequence folders that MOTChallenge's server asks for -> number of frames; InputError: it has no such data set."""
    entry = DATASETS.get(dataset)
    if entry is None or not entry.folders(split) or "motchallenge.net" not in entry.homepage:
        names = ", ".join(d.name for d in DATASETS.values() if "motchallenge.net" in d.homepage)
        raise InputError(f"dataset={dataset!r}, split={split!r}: MOTChallenge serves train and test of {names}")
    return entry.lengths(split)


SLACK = 0.01  # a probability rounded past its end is still one
PERCENT = 10.0  # scores beyond this, none of them negative, are counted in hundredths


class ScoreRange(NamedTuple):
    """Smallest and largest score of a file."""

    low: float
    high: float

    @property
    def unit(self) -> bool:
        """The scores can be shares from 0 to 1."""
        return self.low >= -SLACK and self.high <= 1 + SLACK

    @property
    def percent(self) -> bool:
        """The scores seem to be percentages."""
        return self.low >= -SLACK and PERCENT < self.high <= 100 * (1 + SLACK)

    def __str__(self) -> str:
        return f"scores from {self.low:.3g} to {self.high:.3g}, not from 0 to 1"


def score_range(detections: Detections) -> ScoreRange:
    """The range of scores; that of shares where there are no boxes."""
    if not len(detections):
        return ScoreRange(0.0, 1.0)
    return ScoreRange(float(detections.score.min()), float(detections.score.max()))


def remedy(found: ScoreRange) -> str:
    """What to do with scores that are no shares."""
    if found.percent:
        return "divide the seventh column by 100"
    return "give `msfp run` --threshold HIGH,LOW in their range, or -p scores=calibrated"
