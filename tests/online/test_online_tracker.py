"""Live, frame by frame, against the stages; interrupted films; `msfp.Tracker`."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import msfp
from msfp.data.frames import FrameReader
from msfp.data.motchallenge import read_tracks
from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.folders import method_from
from msfp.experiment.heads import appearance
from msfp.experiment.live import input_for
from msfp.experiment.run import Run
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method, frame_thresholds, tracks
from msfp.online import recording, tracker
from msfp.online.learned import save_learned, unlearned
from msfp.online.recording import Recording, record
from msfp.online.tracker import OnlineTracker, taught
from msfp.online.video import frames, open_source
from tests.experiment.conftest import LENGTH, run_of_one_street

STREET = Threshold("fixed", 0.2, 0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run for all tests: what its stages learn once is the same for each."""
    return run_of_one_street(tmp_path_factory.mktemp("watch"))


def scene_of(run: Run) -> data.Part:
    return data.whole(data.scenes(run, "mot17")[0])


def methods(run: Run) -> dict[str, Method]:
    learn = (scene_of(run),)
    return {
        "motion": Method("a", "bytetrack", None, STREET),
        "trained": Method("b", "msfp-attention", appearance("attention-instance", learn, 0), STREET),
        "single layer": Method("c", "lite", appearance("native", (), 0), STREET),
        "camera": Method("d", "botsort", appearance("native-concat", (), 0), STREET, camera="sparse-flow"),
        "atl": Method("e", "msfp-track", appearance("native", (), 0), Threshold("atl", mode="offset", learn=learn)),
        "policy": Method("f", "bytetrack", None, Threshold("policy", policy="percentile")),
        "strips": Method("g", "msfp-track", appearance("parts", learn, 0), Threshold("atl", mode="dual", learn=learn)),
    }


@pytest.mark.parametrize("kind", ["motion", "trained", "single layer", "camera", "atl", "policy", "strips"])
def test_live_is_what_the_stages_compute(run: Run, kind: str) -> None:
    method, part = methods(run)[kind], scene_of(run)
    sequence = part.scene.sequences[0]
    expected = tracks(run, part, sequence, method)
    watcher = OnlineTracker(run, method, sequence.fps, "OWN")
    looks = [watcher.look(t, pixels) for t, pixels in FrameReader(part.scene.pixels)]
    taus = frame_thresholds(run, part, sequence, method)
    assert np.allclose([s.taus for s in looks], taus, atol=1e-4)
    found = recording.joined([(s.number, watcher.follow(s)) for s in looks])
    assert len(found) == len(expected)
    assert np.array_equal(found.id, expected.id)
    assert np.allclose(found.tlwh, expected.tlwh, atol=0.05), "det.txt has three digits"


def test_what_strips_remember_goes_on_in_another_process_and_ends_with_a_reset(run: Run) -> None:
    method, part = methods(run)["strips"], scene_of(run)
    first, second, third = (OnlineTracker(run, method, 30.0, "OWN") for _ in range(3))
    frames = list(FrameReader(part.scene.pixels))
    looks = [first.look(t, pixels) for t, pixels in frames[:5]]
    for look in looks:
        second.resume(look)
    nobody = np.zeros((0, 4)), np.zeros(0, np.float32)
    alone = looks[0].tlwh[:1], looks[0].score[:1]
    for boxes in (nobody, alone, None):  # the running mean stands in where a frame shows one person
        one, two = (each.look(6, frames[5][1], boxes) for each in (first, second))
        np.testing.assert_allclose(one.vectors, two.vectors, atol=1e-6)
        np.testing.assert_allclose(one.taus, two.taus, atol=1e-6)
    first.reset()
    again, fresh = (each.look(1, frames[0][1], alone) for each in (first, third))
    np.testing.assert_array_equal(again.vectors, fresh.vectors)


def test_thresholds_that_need_the_whole_video_are_refused(run: Run) -> None:
    with pytest.raises(InputError, match="need the whole video"):
        OnlineTracker(run, Method("x", "bytetrack", None, Threshold("oracle")), 30, "OWN")


class Broken(Exception):
    """A machine that goes down."""


@pytest.fixture
def film(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`film(folder, stop=None, kind=...)` records the scene in parts of three frames; it breaks before frame `stop`."""
    monkeypatch.setattr(recording, "PART", 3)
    source = open_source(str(scene_of(run).scene.pixels.images))

    def make(out: str, stop: int | None = None, kind: str = "atl", **options: object) -> dict:
        def broken(given, first=1, marred=None):
            for t, pixels in frames(given, first, marred):
                if t == stop:
                    raise Broken
                asked.append(t)
                yield t, pixels

        asked: list[int] = []
        monkeypatch.setattr(recording, "frames", broken)
        watcher = OnlineTracker(run, methods(run)[kind], source.fps, "OWN")
        done = record(Recording(source, tmp_path / out, {"kind": kind}), watcher, **options)
        return done | {"asked": asked}

    return make


def test_an_interrupted_film_goes_on_and_ends_the_same(film, tmp_path: Path) -> None:
    whole = film("whole")
    with pytest.raises(Broken):
        film("cut", stop=8)
    assert not (tmp_path / "cut" / "root.txt").exists()
    again = film("cut")
    assert again["asked"] == [7, 8, 9], "two parts of three frames were kept"
    for kind in ("tracks", "thresholds"):
        assert Path(again[kind]).read_bytes() == Path(whole[kind]).read_bytes()
    assert (again["frames"], again["people"]) == (whole["frames"], whole["people"])
    assert open_source(again["film"]).length == LENGTH
    assert sorted(p.suffix for p in (tmp_path / "cut").iterdir()) == [".csv", ".json", ".mp4", ".txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_film_that_is_stopped_keeps_every_frame(film, tmp_path: Path, number: signal.Signals) -> None:
    whole = film("whole")
    before = signal.getsignal(number)
    seen: list[int] = []

    def stop_at_five(pixels: object) -> bool:
        seen.append(len(seen) + 1)
        if len(seen) == 5:
            os.kill(os.getpid(), number)
        return True

    with pytest.raises(KeyboardInterrupt):
        film("cut", show=stop_at_five)
    assert signal.getsignal(number) == before
    again = film("cut")
    assert again["asked"] == list(range(6, LENGTH + 1)), "the frame in hand was finished and kept"
    for kind in ("tracks", "thresholds"):
        assert Path(again[kind]).read_bytes() == Path(whole[kind]).read_bytes()
    assert open_source(again["film"]).length == LENGTH


def test_parts_of_other_settings_are_not_gone_on_from(film) -> None:
    with pytest.raises(Broken):
        film("cut", stop=5)
    with pytest.raises(InputError, match="unfinished results of another video or of other settings; .* --fresh"):
        film("cut", kind="motion")
    assert film("cut", kind="motion", fresh=True)["asked"] == list(range(1, LENGTH + 1))


def test_results_are_those_of_the_stage_and_a_limit_holds(film, run: Run) -> None:
    done = film("some", limit=4)
    assert done["frames"] == 4
    part, method = scene_of(run), methods(run)["atl"]
    expected = tracks(run, part, part.scene.sequences[0], method)
    kept = expected.frame <= 4
    assert np.array_equal(read_tracks(Path(done["tracks"])).id, expected.id[kept])


def test_a_window_that_is_closed_ends_the_film(film) -> None:
    shown: list[tuple[int, ...]] = []
    done = film("shown", show=lambda pixels: shown.append(pixels.shape) or len(shown) < 2)
    assert (done["frames"], len(shown)) == (2, 2)


@pytest.fixture
def people(run: Run, monkeypatch: pytest.MonkeyPatch) -> msfp.Tracker:
    monkeypatch.setattr(tracker, "run_for_videos", lambda *_, **__: run)
    return msfp.Tracker("bytetrack", threshold="0.2,0.05")


def test_tracker_gives_people_frame_by_frame(people: msfp.Tracker, run: Run) -> None:
    part = scene_of(run)
    expected = tracks(run, part, part.scene.sequences[0], methods(run)["motion"])
    images = [pixels for _, pixels in FrameReader(part.scene.pixels)]
    found = [people.update(pixels) for pixels in images]
    assert np.concatenate([p.ids for p in found]).tolist() == expected.id.tolist()
    boxes = np.concatenate([p.xyxy for p in found])
    assert np.allclose(boxes[:, :2] + 1, expected.tlwh[:, :2], atol=0.05), "pixels from 0, files from 1"
    assert found[0].taus == pytest.approx((0.2, 0.05))
    people.reset()
    assert people.update(images[0]).ids.tolist() == found[0].ids.tolist()


def test_tracker_speaks_supervision_both_ways(people: msfp.Tracker) -> None:
    import supervision as sv

    frame = np.zeros((64, 96, 3), np.uint8)
    given = sv.Detections(
        xyxy=np.array([[10.0, 5, 30, 50], [50, 5, 70, 50]], np.float32), confidence=np.array([0.9, 0.8])
    )
    people.update(frame, given)
    out = people.update(frame, given).to_supervision()
    assert out.tracker_id.tolist() == [1, 2]
    assert np.allclose(out.xyxy, given.xyxy, atol=1e-3)
    assert len(people.update(frame, sv.Detections.empty()).to_supervision()) == 0
    with pytest.raises(InputError, match="carry no confidence"):
        people.update(frame, sv.Detections(xyxy=given.xyxy))
    with pytest.raises(InputError, match=r"frame is float64 .* give \(H, W, 3\) uint8"):
        people.update(np.zeros((4, 4, 3)))


def test_tracker_takes_arrays_and_ultralytics_results_and_keeps_their_classes(people: msfp.Tracker) -> None:
    import torch
    from ultralytics.engine.results import Results

    frame = np.zeros((64, 96, 3), np.uint8)
    rows = np.array([[50.0, 5, 70, 50, 0.8, 7], [10, 5, 30, 50, 0.9, 2], [80, 5, 90, 50, 0.01, 3]])
    first = people.update(frame, rows)
    assert first.ids.tolist() == [1, 2]
    assert first.classes.tolist() == [rows[k, 5] for k in first.detections]
    assert first.to_supervision().class_id.tolist() == first.classes.tolist()
    again = people.update(frame, Results(frame, "x", {2: "a", 3: "b", 7: "c"}, boxes=torch.from_numpy(rows)))
    assert again.ids.tolist() == first.ids.tolist()
    assert again.classes.tolist() == first.classes.tolist()
    assert people.update(frame, rows[:, :5].tolist()).classes.tolist() == [0, 0]
    assert len(people.update(frame, [])) == 0
    with pytest.raises(InputError, match=r"detections of shape \(3, 4\); give rows of x1, y1, x2, y2, score"):
        people.update(frame, rows[:, :4])


def test_given_boxes_ask_no_more_of_the_network_than_the_embedding_needs(run: Run, monkeypatch) -> None:
    from msfp.features.backbone import Backbone
    from msfp.features.detector import Detector

    def unwanted(*_: object) -> None:
        raise AssertionError("nobody asks the network")

    monkeypatch.setattr(Detector, "detect", unwanted)
    pixels, boxes = np.full((64, 96, 3), 90, np.uint8), (np.array([[10.0, 5, 20, 45]]), np.array([0.9], np.float32))
    assert OnlineTracker(run, methods(run)["single layer"], 30.0, "OWN").look(1, pixels, boxes).vectors.shape[0] == 1
    monkeypatch.setattr(Backbone, "parts", unwanted)
    assert OnlineTracker(run, methods(run)["motion"], 30.0, "OWN").look(1, pixels, boxes).vectors.shape == (1, 0)


class Remembering(OnlineTracker):
    """It keeps the pixels that it was given last."""

    def look(self, number: int, pixels: np.ndarray, *more: object) -> tracker.Look:
        self.last = pixels
        return super().look(number, pixels, *more)


def test_blue_may_come_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "run_for_videos", lambda *_, **__: run)
    monkeypatch.setattr(tracker, "OnlineTracker", Remembering)
    pixels = next(iter(FrameReader(scene_of(run).scene.pixels)))[1]
    for order, given in (("rgb", pixels), ("bgr", pixels[..., ::-1])):
        watcher = msfp.Tracker("bytetrack", threshold="0.2,0.05", colours=order)
        watcher.update(given)
        np.testing.assert_array_equal(watcher._watcher.last, pixels)
    with pytest.raises(InputError, match="there are rgb and bgr"):
        msfp.Tracker("bytetrack", colours="grb")


def test_a_tracker_has_its_own_thresholds_unless_told_otherwise(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msfp.experiment.folders.learning_parts", lambda run, root=None: (scene_of(run),))
    kinds = {
        name: method_from(run, name, "", "", {}, 0).threshold.kind for name in ("bytetrack", "botsort", "msfp-track")
    }
    assert kinds == {"bytetrack": "default", "botsort": "default", "msfp-track": "atl"}
    assert method_from(run, "bytetrack", "", "atl", {}, 0).threshold.kind == "atl"


def test_other_names_of_the_package_are_still_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trakcer'"):
        _ = msfp.Trakcer


def test_home_is_here_or_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert tracker.home_folder() == tmp_path / "cache" / "msfp"
    (tmp_path / "runs").mkdir()
    assert tracker.home_folder() == Path()


def test_the_networks_input_takes_the_shape_of_the_first_frame(people: msfp.Tracker) -> None:
    longest = max(people._watcher._predictor.config.size)
    for width, height in ((640, 200), (200, 640)):
        people.reset()
        people.update(np.zeros((height, width, 3), np.uint8))
        assert people._watcher._predictor.config.size == input_for(longest, width, height)
        assert people._watcher._predictor.config.size[width < height] == longest


@pytest.mark.parametrize("kind", ["atl", "strips", "trained"])
def test_what_was_learned_goes_into_a_file_and_back(run: Run, tmp_path: Path, kind: str) -> None:
    method = methods(run)[kind]
    first = OnlineTracker(run, method, 30.0, "OWN")
    save_learned(tmp_path / "heads.safetensors", first.learned, run)
    bare = replace(method, look=None if method.look is None else appearance(method.look.strategy, (), 0))
    known = taught(tmp_path / "heads.safetensors", run, bare)
    second = OnlineTracker(run, bare, 30.0, "OWN", learned=known)
    for number, pixels in list(FrameReader(scene_of(run).scene.pixels))[:3]:
        one, other = first.look(number, pixels), second.look(number, pixels)
        np.testing.assert_array_equal(one.vectors, other.vectors)
        np.testing.assert_array_equal(one.taus, other.taus)


def test_files_of_other_heads_are_refused(run: Run, tmp_path: Path) -> None:
    path, motion, strips = tmp_path / "heads.safetensors", methods(run)["motion"], methods(run)["strips"]
    save_learned(path, OnlineTracker(run, motion, 30.0, "OWN").learned, run)
    with pytest.raises(InputError, match="holds no head, and parts is wanted; choose --appearance to match"):
        taught(path, run, strips)
    save_learned(path, OnlineTracker(run, strips, 30.0, "OWN").learned, run)
    assert taught(path, run, motion).head is None
    with pytest.raises(InputError, match="holds a head parts, and attention-instance is wanted"):
        taught(path, run, methods(run)["trained"])
    with pytest.raises(InputError, match="holds no ATL of this kind; save it with the same --threshold"):
        taught(path, run, replace(strips, threshold=methods(run)["atl"].threshold))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="heads.safetensors: not heads that msfp can use"):
        taught(path, run, strips)
    with pytest.raises(InputError, match="missing.safetensors: not heads that msfp can use"):
        taught(tmp_path / "missing.safetensors", run, strips)


def test_heads_learned_at_another_size_are_told(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, method = tmp_path / "heads.safetensors", methods(run)["strips"]
    save_learned(path, OnlineTracker(run, method, 30.0, "OWN").learned, run)
    taught(path, run, method)
    assert not caplog.records
    taught(path, run.variant(input=run.settings.input.model_copy(update={"size": (128, 96)})), method)
    assert "heads.safetensors: learned at 96x64, used at 128x96" in caplog.text


@pytest.mark.parametrize("confidence", [0.0, 0.0005, 1.1, float("nan")])
def test_a_confidence_at_which_everything_is_a_person_is_refused(run: Run, confidence: float) -> None:
    with pytest.raises(InputError, match="confidence .*: give 0.001 to 1"):
        OnlineTracker(run, methods(run)["motion"], 30.0, "OWN", confidence=confidence)


def test_what_is_learned_first_is_said_and_how_long_it_takes(run: Run, tmp_path: Path) -> None:
    words = {"tracker": "msfp-track", "look": "", "threshold": "", "options": {}, "seed": 0, "learn": None}
    drawn = tracker.run_for_videos("random-init", "cpu", {}, tmp_path)
    assert unlearned(drawn, words | {"tracker": "bytetrack"}) == ""
    said = unlearned(drawn, words)
    assert said.startswith("learning the embedding parts and ATL first, from 1400 frames of the drawn scenes: about ")
    assert said.endswith(f" minutes on one core; kept in {tmp_path / 'runs' / 'demo'} for later calls")
    root = run.settings.data.root
    assert root is not None
    settings = {"input.size": (96, 64), "training.epochs": 1, "seeds": (0,)}
    ours = tracker.run_for_videos("random-init", "cpu", settings, tmp_path, learn=root)
    words |= {"look": "concat", "threshold": "0.2,0.1", "learn": root}
    assert f"the embedding concat first, from {LENGTH} frames of {root}: about 1 minute on one core" in unlearned(
        ours, words
    )
    OnlineTracker(ours, method_from(ours, **words), 30.0)
    assert unlearned(ours, words) == ""
