"""The camera's motion as a stage: once a scene, cut for its parts, handed to trackers that want it."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from msfp import tracking
from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.folders import method_from
from msfp.experiment.passes import default_camera, part_warps, scene_warps
from msfp.experiment.run import Run
from msfp.experiment.scores import prepare
from msfp.experiment.tracks import Method, tracks
from msfp.features import camera_motion
from msfp.types import Scene
from tests.experiment.conftest import HEIGHT, LENGTH, WIDTH

NAME = "MOT17-02-SDP"
STEP = (2.0, 1.0)
Make = Callable[..., Run]


def panned(run: Run) -> Scene:
    """The run's scene, its frames replaced by a picture that moves by `STEP` a frame."""
    noise = np.random.default_rng(0).normal(size=(30, 40, 3))
    picture = (128 + 50 * cv2.resize(noise, (240, 180), interpolation=cv2.INTER_CUBIC)).clip(0, 255).astype(np.uint8)
    (scene,) = data.scenes(run, run.settings.data.main)
    folder = scene.pixels.images
    assert folder is not None
    for path in sorted(Path(folder).glob("*.jpg")):
        t = int(path.stem)
        left, top = 60 - int(STEP[0]) * t, 40 - int(STEP[1]) * t
        cv2.imwrite(str(path), picture[top : top + HEIGHT, left : left + WIDTH], (cv2.IMWRITE_JPEG_QUALITY, 98))
    det = scene.sequences[0].det_path
    assert det is not None
    det.write_text("".join(f"{t},-1,{20 + 2 * t},10,8,16,0.9\n" for t in range(1, LENGTH + 1)))
    return data.scenes(run, run.settings.data.main)[0]


@pytest.mark.parametrize("method", ["sparse-flow", "ecc"])
def test_every_frame_says_how_the_camera_moved(make_run: Make, method: str) -> None:
    run = make_run({NAME: LENGTH})
    found = part_warps(run, data.whole(panned(run)), method)
    assert found.shape == (LENGTH, 2, 3)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[0], np.eye(2, 3))
    corners = np.array([[1, 1, 1], [WIDTH, HEIGHT, 1]], float)
    moved = corners @ found[1:].transpose(0, 2, 1)
    np.testing.assert_allclose(moved, np.broadcast_to(corners[:, :2] + STEP, moved.shape), atol=0.5)


def test_a_scene_is_estimated_once(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run({NAME: LENGTH, "MOT17-02-DPM": 0})
    scene = panned(run)
    run.do(scene_warps.jobs(run, [(scene, "sparse-flow")]), "camera motion")
    assert run.store.misses["camera"] == 1
    first = part_warps(run, data.whole(scene), "sparse-flow")
    scene_warps.cache_clear()
    monkeypatch.setattr(camera_motion, "camera_motions", None)  # the frames are not looked at again
    np.testing.assert_array_equal(part_warps(run, data.whole(scene), "sparse-flow"), first)
    assert run.store.misses["camera"] == 1


def test_a_part_has_its_own_frames_and_starts_still(make_run: Make) -> None:
    run = make_run({NAME: LENGTH})
    scene = panned(run)
    whole, part = part_warps(run, data.whole(scene), "sparse-flow"), part_warps(run, Part(scene, 4, 7), "sparse-flow")
    np.testing.assert_array_equal(part[0], np.eye(2, 3))
    np.testing.assert_array_equal(part[1:], whole[4:7])
    assert not np.array_equal(whole[3], np.eye(2, 3)), "the scene's own warps stay as they are"


def test_missing_frames_are_named(make_run: Make) -> None:
    run = make_run({NAME: 6})
    scene = panned(run)
    with pytest.raises(NotComputable, match="MOT17-02: 6 of 9 frames present"):
        part_warps(run, data.whole(scene), "ecc")
    assert part_warps(run, Part(scene, 1, 6), "ecc").shape == (6, 2, 3)
    with pytest.raises(NotComputable, match="6 of 9 frames present"):
        tracks(run, data.whole(scene), scene.sequences[0], Method("x", "ocsort", camera="ecc"))


def test_no_compensation_looks_at_nothing(make_run: Make) -> None:
    run = make_run({NAME: 0})
    (scene,) = data.scenes(run, run.settings.data.main)
    np.testing.assert_array_equal(part_warps(run, data.whole(scene), "none"), np.tile(np.eye(2, 3), (LENGTH, 1, 1)))


def test_the_tracker_gets_the_warps_and_the_key_knows(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run({NAME: LENGTH})
    scene = panned(run)
    part, sequence = data.whole(scene), scene.sequences[0]
    given = []

    def spy(*args: object, warps: object = None, **options: object) -> object:
        given.append(warps)
        return tracking.track(*args, warps=warps, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("msfp.experiment.tracks.track", spy)
    still, moving = Method("a", "sort"), Method("b", "sort", camera="sparse-flow")
    prepare(run, [still, moving], [part])
    for method in (still, moving, still, moving):
        tracks(run, part, sequence, method)
    assert given[0] is None
    np.testing.assert_array_equal(given[1], part_warps(run, data.whole(scene), "sparse-flow"))
    assert len(given) == 2, "the second time both come from the store"


def test_released_trackers_bring_their_compensation(make_run: Make) -> None:
    assert {
        name: default_camera(name) for name in ("botsort", "strongsort", "deep-ocsort", "bytetrack", "deepsort")
    } == {
        "botsort": "sparse-flow",
        "strongsort": "ecc",
        "deep-ocsort": "sparse-flow",
        "bytetrack": "none",
        "deepsort": "none",
    }
    assert {default_camera(name) for name in tracking.names()} <= set(camera_motion.NAMES)
    run = make_run({NAME: 0})
    method = method_from(run, "botsort", "", "default", {}, 0)
    assert method.camera == "sparse-flow"
    assert method.look is not None
    assert method.look.strategy == "reid"
