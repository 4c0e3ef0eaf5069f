"""A sequence folder: what its seqinfo.ini declares, and which of its files are there."""

import configparser
import logging
import math
import re
from pathlib import Path

from msfp.datasets.frames import count_video_frames
from msfp.datasets.images import image_files
from msfp.errors import InputError
from msfp.types import Sequence

SECTION = "Sequence"
LONGEST = 10_000_000
LARGEST = 100_000
REQUIRED = ("imDir", "frameRate", "seqLength", "imWidth", "imHeight")
log = logging.getLogger(__name__)


def read_sequence(path: Path, dataset: str, split: str) -> Sequence:
    """Read seqinfo.ini and look which frames, labels and detections are there.

    `imDir` names a folder of images or a video file; neither has to exist, nor has every frame. Of a test sequence
    the labels are not looked for: only evaluation opens them (`catalog.hidden_truth`).

    Raises:
        InputError: seqinfo.ini missing, unreadable, or with a key missing or wrong; two images of one frame; a video
            that cannot be opened.
    """
    path = Path(path)
    ini = path / "seqinfo.ini"
    keys = _read_keys(ini)
    name = keys.get("name", path.name)
    if name != path.name:
        log.warning("%s: name=%s, but the folder is %s; the folder's name is used", ini, name, path.name)
    length = _whole(ini, keys, "seqLength", LONGEST)
    images, ext, frames = _pixels(ini, keys, length)
    gt, det = path / "gt" / "gt.txt", path / "det" / "det.txt"
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
        images=images,
        image_ext=ext,
        gt_path=gt if split != "test" and gt.is_file() else None,
        det_path=det if det.is_file() else None,
    )


def _pixels(ini: Path, keys: dict[str, str], length: int) -> tuple[Path | None, str, tuple[int, ...]]:
    """Folder or video, extension of an image, frames present."""
    images = ini.parent / keys["imDir"]
    ext = keys.get("imExt", ".jpg")
    if not re.fullmatch(r"\.[A-Za-z0-9]+", ext):
        raise InputError(f"{ini}: imExt={ext!r}; give the extension of the images with its dot, as .jpg")
    if images.is_dir():
        frames = tuple(image_files(images, ext))
        beyond = [t for t in frames if not 1 <= t <= length]
        if beyond:
            log.warning("%s: %d images beyond frames 1 to %d are not used", images, len(beyond), length)
        frames = tuple(t for t in frames if 1 <= t <= length)
        return (images, ext, frames) if frames else (None, ext, ())
    if images.is_file():
        frames = tuple(range(1, min(length, count_video_frames(images)) + 1))
        return (images, "", frames) if frames else (None, "", ())
    return None, ext, ()


def _read_keys(ini: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(ini.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{ini}: no such file; a sequence folder holds seqinfo.ini, det/det.txt and img1/") from None
    except OSError as error:
        raise InputError(f"{ini}: cannot be read ({error.strerror}); make it a readable text file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{ini}: not a text file (byte {error.start}); copy it again") from None
    except (configparser.Error, ValueError) as error:
        line, reason = getattr(error, "lineno", None), str(error).splitlines()[0]
        if isinstance(error, configparser.ParsingError):
            line, reason = line or (error.errors[0][0] if error.errors else None), "not key=value in a section"
        raise InputError(f"{ini}{f':{line}' if line else ''}: {reason}; copy it again from the data set") from None
    if not parser.has_section(SECTION):
        raise InputError(f"{ini}: no section [{SECTION}]; it has to hold {', '.join(REQUIRED)}: copy it again")
    keys = {key: value.strip() for key, value in parser[SECTION].items()}
    missing = [key for key in REQUIRED if not keys.get(key)]
    if missing:
        raise InputError(f"{ini}: {', '.join(missing)} missing or empty; the file may be cut: copy it again")
    if len(keys["imDir"]) > 1000 or not keys["imDir"].isprintable():
        raise InputError(f"{ini}: imDir={keys['imDir'][:40]!r}; give the name of a folder or a video file")
    return keys


def _whole(ini: Path, keys: dict[str, str], key: str, largest: int) -> int:
    text = keys[key]
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= largest:
        raise InputError(f"{ini}: {key}={text!r}; give a whole number from 1 to {largest}")
    return int(text)


def _rate(ini: Path, keys: dict[str, str]) -> float:
    try:
        rate = float(keys["frameRate"])
    except ValueError:
        rate = math.nan
    if not 0 < rate <= 1000:
        raise InputError(f"{ini}: frameRate={keys['frameRate']!r}; give frames per second, a number from 0 to 1000")
    return rate
