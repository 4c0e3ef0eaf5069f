"""The embedded data sets: which worlds they are made of, sequence by sequence."""

import zlib
from dataclasses import dataclass

from msfp.datasets.synth.camera import CameraPath
from msfp.datasets.synth.world import KINDS, World, draw_world
from msfp.errors import InputError

# Raised whenever the same seed gives other bytes than before.
GENERATOR_VERSION = 3
DATASETS = tuple(KINDS)


@dataclass(frozen=True)
class Scene:
    """A filmed scene of a data set."""

    name: str  # of the scene
    split: str  # `train` or `test`
    fixed: dict[str, object]  # what of its world is not left to the seed
    halved: bool = False  # its second half is evaluated by models that learned from its first
    times: int = 1  # how many times as long it is as a common sequence


def tripod(height: float, pitch: float, focal: float) -> CameraPath:
    """A camera that stands still."""
    return CameraPath("static", height, pitch, focal)


def carried(height: float, pitch: float, focal: float, speed: float, swing: float, shake: float) -> CameraPath:
    """A camera carried or driven through the scene."""
    return CameraPath("handheld", height, pitch, focal, speed=speed, swing=swing, period=4.5, shake=shake)


def street(
    split: str, number: str, camera: CameraPath, people: int, fps: float, near: float, far: float, **weather: float
) -> Scene:
    """A sequence of synth17, whose mount, density and frame rate echo MOT17's of that number."""
    fixed = {"camera": camera, "people": people, "fps": fps, "near": near, "far": far, "haze": 0.0, "exposure": 1.0}
    return Scene(f"SYNTH17-{number}", split, fixed | weather, halved=split == "train")


SYNTH17 = (
    street("train", "02", tripod(1.7, 3, 0.95), 30, 30.0, 4.5, 20.0),
    street("train", "04", tripod(5.6, 20, 0.95), 48, 30.0, 8.0, 26.0),
    street("train", "05", carried(1.6, 2, 0.9, 0.7, 3.0, 0.2), 22, 14.0, 3.2, 15.0, exposure=0.35),
    street("train", "09", tripod(1.3, -1, 0.9), 15, 30.0, 3.6, 13.0),
    street("train", "10", carried(1.7, 3, 0.9, 0.7, 4.0, 0.25), 24, 30.0, 4.0, 18.0, haze=0.7),
    street("train", "11", carried(1.6, 1, 0.95, 0.9, 2.0, 0.12), 22, 30.0, 3.6, 16.0),
    street("train", "13", carried(3.4, 10, 0.85, 1.4, 5.0, 0.2), 36, 25.0, 6.0, 22.0, haze=0.5),
    street("test", "01", tripod(1.5, 1, 1.0), 16, 30.0, 4.2, 15.0),
    street("test", "03", tripod(6.2, 21, 0.9), 52, 30.0, 9.0, 27.0),
    street("test", "06", carried(1.6, 2, 0.9, 0.7, 3.0, 0.2), 22, 14.0, 3.4, 16.0, haze=0.75),
    street("test", "07", carried(1.7, 3, 0.95, 0.5, 3.5, 0.15), 26, 30.0, 4.4, 18.0, haze=0.5),
    street("test", "08", tripod(1.8, 4, 0.9), 34, 30.0, 4.5, 21.0, exposure=0.3),
    street("test", "12", carried(1.5, 1, 1.0, 0.6, 2.5, 0.2), 18, 30.0, 3.8, 16.0),
    street("test", "14", CameraPath("pan", 3.2, 9, 0.85, swing=10, period=6.0, shake=0.15), 30, 25.0, 5.5, 21.0),
)


def plain(dataset: str, train: dict[str, int], test: dict[str, int], halved: bool = False) -> tuple[Scene, ...]:
    """Sequences of these numbers of people, whose mounts are left to the seed."""
    return tuple(
        Scene(f"{dataset.upper()}-{number}", split, {"people": people}, halved and split == "train")
        for split, scenes in (("train", train), ("test", test))
        for number, people in scenes.items()
    )


def returns(number: str, camera: CameraPath, people: int, near: float, far: float) -> Scene:
    """A long sequence of people who walk out of the picture, stay away for seconds and come back as they were."""
    fixed = {"camera": camera, "people": people, "fps": 30.0, "near": near, "far": far}
    fixed |= {"groups": 0.0, "standing": 0.0, "returning": 0.9, "away": (1.0, 4.6)}
    return Scene(f"SYNTHLONG-{number}", "test", fixed, times=6)


SCENES: dict[str, tuple[Scene, ...]] = {
    "synth17": SYNTH17,
    "synth20": plain(
        "synth20",
        {"01": 54, "02": 62, "03": 74, "05": 68},
        {"04": 72, "06": 64, "07": 56, "08": 60, "09": 66, "10": 58},
        halved=True,
    ),
    "synthdance": plain("synthdance", {"01": 9, "02": 12}, {"03": 10, "04": 12, "05": 9, "06": 11, "07": 8, "08": 10}),
    "synthpp22": plain("synthpp22", {"01": 16, "02": 22}, {"03": 18, "04": 24, "05": 15, "06": 20, "07": 17, "08": 22}),
    "synthlong": (
        returns("01", tripod(1.7, 3, 1.2), 20, 3.6, 9.5),
        returns("02", tripod(3.0, 12, 1.1), 22, 4.2, 10.5),
    ),
}


def scene_worlds(
    dataset: str, *, seed: int = 0, frames: int = 100, train_times: int = 1, size: tuple[int, int] = (640, 360)
) -> tuple[tuple[Scene, World], ...]:
    """Each scene of an embedded data set with its world, training sequences first.

    Args:
        seed: another gives other people, paths and buildings under the same names.
        frames: length of a common sequence.
        train_times: how many times as long training sequences are whose second half is evaluated.
        size: width and height, pixels.

    Raises:
        InputError: an unknown data set, or a length or size nothing can be rendered with.
    """
    if dataset not in SCENES:
        raise InputError(f"unknown embedded data set {dataset!r}: use one of {', '.join(DATASETS)}")
    out = []
    for scene in SCENES[dataset]:
        own = zlib.crc32(f"{dataset} {scene.name} {seed}".encode()) & 0x7FFFFFFF  # training worlds lie above
        length = frames * (train_times if scene.halved else scene.times)
        out.append((scene, draw_world(KINDS[dataset], scene.name, own, size=size, length=length, **scene.fixed)))
    return tuple(out)
