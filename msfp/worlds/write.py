"""Writing the embedded data sets as MOTChallenge folders, each as a whole or not at all."""

import builtins
import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import socket
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from msfp.errors import InputError
from msfp.types import DETECTORS, GroundTruth
from msfp.worlds.public_detections import detect
from msfp.worlds.render import clearness, render
from msfp.worlds.world import GENERATOR_VERSION, World, scene_worlds

PIXELS = "FRCNN"  # the member of a scene that holds the images, which all share
INI = "[Sequence]\nname={}\nimDir=img1\nframeRate={:g}\nseqLength={}\nimWidth={}\nimHeight={}\nimExt=.jpg\n"
STAMP = ".complete"
DIGEST_BYTES = 20
Digests = Callable[[Path], Mapping[str, str]]
Stamp = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One sequence to be rendered: plain data, so that a caller may send it to a worker."""

    world: World  # what to render
    split: str  # `train` or `test`
    folder: Path  # of the data set, above the split


def jobs(dataset: str, folder: Path, **settings: Any) -> list[Job]:
    """The sequences of a data set, to be rendered by `render_sequence` in any order or process.

    Settings are those of `scene_worlds`.
    """
    return [Job(world, scene.split, folder) for scene, world in scene_worlds(dataset, **settings)]


def render_sequence(job: Job) -> None:
    """Render a scene into its three sequence folders.

    Labels of a test scene go to `truth/<scene>/gt.txt` of the data set only.
    """
    world, split = job.world, job.folder / job.split
    images = split / f"{world.name}-{PIXELS}" / "img1"
    images.mkdir(parents=True, exist_ok=True)
    labels, clear = [], []
    for number, (image, rows) in enumerate(render(world), start=1):
        quality = (cv2.IMWRITE_JPEG_QUALITY, world.light.quality)
        good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
        if not good:
            raise RuntimeError("OpenCV could not encode a JPEG")
        (images / f"{number:06d}.jpg").write_bytes(data.tobytes())
        labels.append(rows)
        clear.append(clearness(image, rows[:, 2:6]))
    rows = np.column_stack([np.concatenate(labels), np.concatenate(clear)])
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    by_identity = rows[np.lexsort((rows[:, 0], rows[:, 1]))].tolist()  # as MOT17 has them
    text = "".join(",".join(f"{int(v)}" for v in row[:8]) + f",{row[8]:g}\n" for row in by_identity)
    if job.split == "test":
        write(job.folder / "truth" / world.name / "gt.txt", text)
    gt = GroundTruth(
        frame=rows[:, 0].astype(np.int32),
        id=rows[:, 1].astype(np.int32),
        tlwh=rows[:, 2:6].copy(),
        flag=rows[:, 6].astype(np.float32),
        category=rows[:, 7].astype(np.int32),
        visibility=rows[:, 8].astype(np.float32),
    )
    width, height = world.size
    for detector in DETECTORS:
        folder = split / f"{world.name}-{detector}"
        write(folder / "seqinfo.ini", INI.format(folder.name, world.fps, world.length, width, height))
        if job.split == "train":
            write(folder / "gt" / "gt.txt", text)
        rng = np.random.default_rng([world.seed, zlib.crc32(detector.encode())])
        found = detect(gt, width, height, world.light.blur, detector, rng, rows[:, 9])
        columns = zip(found.frame.tolist(), found.tlwh.tolist(), found.score.tolist(), strict=True)
        lines = [
            f"{frame},-1," + ",".join(f"{v:.6g}" for v in box) + f",{score:.6g}\n"
            for frame, box, score in columns
            if frame <= world.length
        ]
        write(folder / "det" / "det.txt", "".join(lines))


def write(path: Path, text: str) -> None:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii", newline="\n")


def generate(
    dataset: str,
    root: Path,
    *,
    seed: int = 0,
    frames: int = 100,
    train_times: int = 1,
    size: tuple[int, int] = (640, 360),
    map: Callable[[Callable[[Job], None], list[Job]], Iterable[None]] = builtins.map,
    digests: Digests | None = None,
) -> Path:
    """Render an embedded data set unless it is there already, by the same generator and with the same settings.

    A data set with an altered file is rendered anew. Everything is written under another name and renamed when whole:
    a killed run leaves nothing that could be taken for a data set, and of two runs at once either may finish first.

    Args:
        root: folder above the data set's; the other settings are those of `scene_worlds`.
        map: spreads `render_sequence` over jobs: the built-in, or one that uses workers.
        digests: of all files below a folder, remembered; None: read each time.

    Returns:
        `root / dataset`, with `train`, `test` and `truth` in it.

    Raises:
        InputError: an unknown data set, settings nothing can be rendered with, or a folder that cannot be written.
    """
    target = Path(root) / dataset
    settings: dict[str, Any] = {"seed": seed, "frames": frames, "train_times": train_times, "size": size}
    stamp: Stamp = {"version": GENERATOR_VERSION, "dataset": dataset, **settings, "size": list(size)}
    if is_complete(target, stamp, digests or folder_digests):
        return target
    partial = target.with_name(f".{dataset}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.partial")
    work = jobs(dataset, partial, **settings)
    try:
        remove_abandoned(Path(root), dataset)
        partial.mkdir(parents=True)
        try:
            for _ in map(render_sequence, work):
                pass
            kept = {**stamp, "files": dict(sorted(folder_digests(partial).items()))}
            write(partial / STAMP, json.dumps(kept, sort_keys=True) + "\n")
            put_in_place(partial, target, stamp, digests or folder_digests)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"{target}: cannot write the embedded data set ({reason}); free some space or choose another folder"
        ) from error
    return target


def is_complete(target: Path, stamp: Stamp, digests: Digests) -> bool:
    """True where a folder holds a data set made whole by this generator with these settings, byte by byte as it was."""
    try:
        found = json.loads((target / STAMP).read_text(encoding="ascii"))
        files = found.pop("files")
        if found != stamp:
            return False
        there = digests(target)
        altered = next((name for name, digest in files.items() if there.get(name) != digest), "")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, InputError):
        return False
    if altered:
        log.warning("%s: is not as it was rendered; %s is rendered anew", target / altered, target.name)
    return not altered


def folder_digests(folder: Path) -> dict[str, str]:
    """Relative name of every file below a folder -> hex digest of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.blake2b(path.read_bytes(), digest_size=DIGEST_BYTES).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def put_in_place(partial: Path, target: Path, stamp: Stamp, digests: Digests) -> None:
    """Give a finished folder its name; where another run was faster with the same, keep that one's."""
    for _ in range(5):
        if is_complete(target, stamp, digests):
            return
        if target.exists():
            old = target.with_name(f"{partial.name}.old")
            with contextlib.suppress(FileNotFoundError):
                target.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        try:
            partial.rename(target)
            return
        except OSError:
            if not target.exists():  # nobody was faster: the trouble is another
                raise
    raise OSError(f"{target.name} is being rewritten by other runs with other settings")


def remove_abandoned(root: Path, dataset: str) -> None:
    """Remove what runs on this machine left behind when they were killed."""
    host = socket.gethostname()
    for path in root.glob(f".{dataset}.{host}.*.partial*"):
        pid = path.name[len(f".{dataset}.{host}.") :].split(".")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OSError):  # no process number, or a process of somebody else
            continue
