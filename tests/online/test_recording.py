"""Films that are stopped, damaged, or in each other's way: nothing is lost, mixed or replaced unsaid."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from msfp import tracking
from msfp.engine.files import locked
from msfp.errors import InputError, MsfpError
from msfp.experiment.heads import appearance
from msfp.experiment.passes import default_camera
from msfp.experiment.run import Run
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method
from msfp.online import recording
from msfp.online.recording import LOCK, Made, Recording, record
from msfp.online.tracker import Look, OnlineTracker
from msfp.online.video import Source, frames, open_source
from tests.experiment.conftest import run_of_one_street
from tests.online.conftest import numbers_of, spoil, write

pytestmark = pytest.mark.xdist_group("recording")

STREET = Threshold("fixed", 0.2, 0.05)
FRAMES, PART = 11, 4


class CellText(OnlineTracker):
    """Follows people who are told to it, small enough to leave the wall in sight; the detector has not learned any."""

    warps: list[np.ndarray]

    def look(self, number: int, pixels: np.ndarray, boxes: object = None, seconds: float = np.nan) -> Look:
        tlwh = np.array([[24.0 * k + 30 - 2 * number, 20 + 3 * k, 12, 30] for k in range(4)])
        found = super().look(number, pixels, (tlwh, np.array([0.9, 0.8, 0.7, 0.3], np.float32)), seconds)
        self.warps = [*getattr(self, "warps", []), found.warp]
        return found


class Killed(BaseException):
    """A process that ends at once."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of_one_street(tmp_path_factory.mktemp("recording"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that pans over a wall of many corners, and cuts to another wall in the middle."""
    folder = tmp_path_factory.mktemp("pan") / "street"
    folder.mkdir()
    for t in range(1, FRAMES + 1):
        wall = np.random.default_rng(t > 6).integers(0, 255, (24, 60, 3), dtype=np.uint8)
        wide = cv2.resize(wall, (360, 144), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{t:06d}.png"), wide[t : t + 96, 5 * t : 5 * t + 128])
    return folder


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PART", PART)


def method_of(name: str, rule: Threshold = STREET) -> Method:
    look = appearance("native", (), 0) if tracking.tracker_class(name).needs_embeddings else None
    return Method(name, name, look, rule, camera=default_camera(name))


def follow(run: Run, source: Source, out: Path, method: Method, stop: int | None = None, **options: object) -> dict:
    """Record a source; it is killed before the frame `stop`."""

    def until(given: Source, first: int = 1, marred: set[int] | None = None):
        for t, pixels in frames(given, first, marred):
            if t == stop:
                raise Killed
            yield t, pixels

    film = bool(options.pop("film", False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "frames", until)
        watcher = CellText(run, method, source.fps, "OWN")
        done = record(Recording(source, out, {"method": method.label}, Made(film)), watcher, **options)
    if method.camera != "none" and source.name == "street" and source.images:
        moves = [not np.allclose(warp, np.eye(2, 3)) for warp in watcher.warps]
        assert len(moves) < FRAMES or all(moves[1 : PART + 1]), "the camera's motion matters where a film is gone on"
    return done


def results(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir() if p.suffix in (".txt", ".csv", ".mp4")}


def cut_short(run: Run, source: Source, out: Path, method: Method, stops: list[int], **options: object) -> None:
    for stop in stops:
        with pytest.raises(Killed):
            follow(run, source, out, method, stop, **options)
    follow(run, source, out, method, **options)


@pytest.mark.parametrize("name", ["bytetrack", "msfp-track", "strongsort", "deep-ocsort", "boosttrack", "joint"])
def test_a_stopped_film_goes_on_as_if_it_had_not_been_stopped(
    run: Run, street: Path, tmp_path: Path, name: str
) -> None:
    source, method = open_source(str(street)), method_of(name)
    follow(run, source, tmp_path / "whole", method)
    expected = results(tmp_path / "whole")
    # before a part's end, at it (nothing of the next is kept), and after it
    cut_short(run, source, tmp_path / "cut", method, [PART, PART + 1, PART + 2, 2 * PART + 2])
    assert results(tmp_path / "cut") == expected
    assert expected["street.txt"].count(b"\n") > FRAMES


@pytest.mark.parametrize("rule", [Threshold(), Threshold("policy", policy="percentile")], ids=["default", "policy"])
def test_a_stopped_film_goes_on_with_other_thresholds(run: Run, street: Path, tmp_path: Path, rule: Threshold) -> None:
    source, method = open_source(str(street)), method_of("botsort", rule)
    follow(run, source, tmp_path / "whole", method, film=True)
    cut_short(run, source, tmp_path / "cut", method, [PART + 2, 2 * PART + 1], film=True)
    assert results(tmp_path / "cut") == results(tmp_path / "whole"), "the drawn film as well"


def test_damage_costs_its_frames_and_is_told(run: Run, tmp_path: Path) -> None:
    path = spoil(write(tmp_path / "street.mp4", 12, g="1", size=(96, 64)), (6, 7))
    source, method = open_source(str(path)), method_of("botsort")
    done = follow(run, source, tmp_path / "whole", method, film=True)
    assert (done["frames"], done["lost"], done["marred"]) == (10, [6, 7], [])
    assert json.loads((tmp_path / "whole/street.json").read_text())["lost"] == [6, 7]
    seconds = [open_source(done["film"]).time_of(t) for t in range(1, 11)]
    assert np.allclose(np.array(seconds) * 25 + 1, [1, 2, 3, 4, 5, 8, 9, 10, 11, 12], atol=1e-3), "the film keeps time"
    cut_short(run, source, tmp_path / "cut", method, [5, 8, 9], film=True)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert follow(run, source, tmp_path / "some", method, limit=5)["lost"] == [], "only as far as it was followed"


def test_times_go_into_film_and_table(run: Run, tmp_path: Path) -> None:
    times = np.cumsum([0, 0.033, 0.4, 0.1, 0.033, 0.4, 0.033, 0.1, 0.1, 0.4, 0.033, 0.033]).tolist()
    source = open_source(str(write(tmp_path / "street.mp4", 12, seconds=times, size=(96, 64))))
    done = follow(run, source, tmp_path / "out", method_of("bytetrack"), film=True)
    rows = [row.split(",") for row in Path(done["thresholds"]).read_text().splitlines()]
    assert rows[0] == ["frame", "seconds", "tau_high", "tau_low"]
    assert [float(row[1]) for row in rows[1:]] == pytest.approx(times, abs=2e-3)
    film = open_source(done["film"])
    assert film.variable
    assert [film.time_of(t) for t in range(1, 13)] == pytest.approx(times, abs=2e-3)
    assert done["variable_rate"]
    assert done["rate"] == pytest.approx(source.fps, abs=1e-3)
    own = follow(run, source, tmp_path / "own", method_of("bytetrack", Threshold()))
    assert len(Path(own["times"]).read_text().splitlines()) == 13
    cut_short(run, source, tmp_path / "cut", method_of("bytetrack"), [6, 10], film=True)
    assert results(tmp_path / "cut") == results(tmp_path / "out")


def test_numbers_of_names_are_those_of_results(run: Run, street: Path, tmp_path: Path) -> None:
    shutil.copytree(street, tmp_path / "street")
    for t in (2, 5):
        (tmp_path / "street" / f"{t:06d}.png").unlink()
    source, method = open_source(str(tmp_path / "street")), method_of("bytetrack")
    done = follow(run, source, tmp_path / "out", method)
    assert done["frames"] == FRAMES - 2
    assert done["lost"] == []
    numbers = {int(row.split(",")[0]) for row in Path(done["tracks"]).read_text().splitlines()}
    assert not numbers & {2, 5}
    assert max(numbers) == FRAMES
    cut_short(run, source, tmp_path / "cut", method, [6, 10])
    assert results(tmp_path / "cut") == results(tmp_path / "out")


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda parts: (parts / "recording.json").write_bytes(b""),
        lambda parts: (parts / "recording.json").write_bytes(b'{"method": '),
        lambda parts: (parts / "recording.json").write_bytes(b"[]\xff"),
        lambda parts: (parts / "recording.json").unlink(),
        lambda parts: halve(parts / "000000001.npz"),
        lambda parts: (parts / "000000005.npz").write_bytes(b""),
        lambda parts: (parts / "000000001.npz").unlink(),
        lambda parts: halve(parts / "000000001.mp4"),
        lambda parts: (parts / "000000005.mp4").unlink(),
        lambda parts: shutil.copy(parts / "000000001.npz", parts / "000000003.npz"),
        lambda parts: (parts / "stray.npz").write_bytes(b"stray"),
        lambda parts: (parts / "000000900.mp4").write_bytes(b"stray"),
        lambda parts: (parts / "notes").mkdir(),
    ],
)
def test_what_is_kept_of_a_film_is_verified_and_made_again(run: Run, street: Path, tmp_path: Path, spoiled) -> None:
    source, method = open_source(str(street)), method_of("bytetrack")
    whole = tmp_path.parent / "whole of bytetrack"
    if not whole.is_dir():
        follow(run, source, whole, method, film=True)
    with pytest.raises(Killed):
        follow(run, source, tmp_path / "cut", method, 2 * PART + 2, film=True)
    spoiled(tmp_path / "cut" / ".parts")
    follow(run, source, tmp_path / "cut", method, film=True)
    assert results(tmp_path / "cut") == results(whole)
    assert not (tmp_path / "cut" / ".parts").exists()


def test_one_bit_of_a_part_is_noticed(run: Run, street: Path, tmp_path: Path) -> None:
    source, method = open_source(str(street)), method_of("bytetrack")
    with pytest.raises(Killed):
        follow(run, source, tmp_path / "cut", method, PART + 2)
    path = tmp_path / "cut/.parts/000000001.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(Killed):
        follow(run, source, tmp_path / "cut", method, 2)
    assert not path.exists()


def test_no_more_than_one_part_is_in_memory(run: Run, street: Path, tmp_path: Path, monkeypatch) -> None:
    from msfp.online import recording

    source, method = open_source(str(street)), method_of("lite")
    with pytest.raises(Killed):
        follow(run, source, tmp_path / "cut", method, 2 * PART + 2)
    read: list[int] = []
    unpack = recording.unpack_looks
    monkeypatch.setattr(recording, "unpack_looks", lambda data: read.append(1) or unpack(data))
    kept = Recording(source, tmp_path / "cut", {"method": method.label}, Made(film=False))
    kept.begin(False)
    seen = []
    for look in kept.looks():
        seen.append(look.number)
        assert len(read) == (look.number - 1) // PART + 1
    assert seen == list(range(1, 2 * PART + 1))


def test_two_calls_do_not_write_to_one_folder(run: Run, street: Path, tmp_path: Path) -> None:
    source, method = open_source(str(street)), method_of("bytetrack")
    with pytest.raises(Killed):
        follow(run, source, tmp_path / "out", method, PART + 2)
    with locked(tmp_path / "out" / LOCK), pytest.raises(InputError, match="another `msfp track` is writing here"):
        follow(run, source, tmp_path / "out", method, fresh=True)
    assert (tmp_path / "out/.parts/000000001.npz").is_file(), "nothing of the other's is touched"
    follow(run, source, tmp_path / "out", method)


def test_another_source_of_the_same_name_replaces_nothing(run: Run, street: Path, tmp_path: Path) -> None:
    method = method_of("bytetrack")
    shutil.copytree(street, tmp_path / "b" / "street")
    follow(run, open_source(str(street)), tmp_path / "out", method)
    before = results(tmp_path / "out")
    with pytest.raises(InputError, match=r"street.txt: belongs to another source \(.*/street\); name another folder"):
        follow(run, open_source(str(tmp_path / "b/street")), tmp_path / "out", method, fresh=True)
    assert results(tmp_path / "out") == before
    follow(run, open_source(str(street)), tmp_path / "out", method_of("ocsort"))
    (tmp_path / "out/street.json").unlink()
    with pytest.raises(InputError, match=r"street.txt: does not say which source it belongs to"):
        follow(run, open_source(str(street)), tmp_path / "out", method)


def test_a_film_does_not_replace_its_source(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "street.mp4", 3, size=(96, 64))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"street.mp4: .* name another folder with --out"):
        follow(run, open_source(str(path)), tmp_path, method_of("bytetrack"), film=True)
    assert path.read_bytes() == before


def test_names_with_points_are_kept_apart(run: Run, tmp_path: Path) -> None:
    for name in ("12.30.05.mp4", "12.30.06.mp4", "12:30:05.mp4"):
        path = write(tmp_path / "a.mp4", 3, size=(96, 64)).rename(tmp_path / name)
        done = follow(run, open_source(str(path)), tmp_path / "out", method_of("bytetrack"), film=True)
        assert Path(done["tracks"]).name == f"{path.stem}.txt"
        assert numbers_of(frames(open_source(done["film"])))


@pytest.mark.parametrize("out", ["a" * 256, "file/below"])
def test_a_folder_that_cannot_be_is_told(run: Run, street: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(MsfpError, match=r"cannot write .*; (choose a shorter name|a file lies where a folder)"):
        follow(run, open_source(str(street)), tmp_path / out, method_of("bytetrack"))


def test_a_name_too_long_for_its_results_is_told(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 2, size=(96, 64)).rename(tmp_path / f"{'a' * 240}.mp4")
    with pytest.raises(InputError, match="a name over 200 bytes; rename it"):
        follow(run, open_source(str(path)), tmp_path / "out", method_of("bytetrack"))


@pytest.mark.parametrize("name", ["botsort", "deep-ocsort"])
def test_a_frame_of_another_size_under_a_moving_camera_is_told(run: Run, name: str) -> None:
    watcher = OnlineTracker(run, method_of(name), 30, "OWN")
    watcher.follow(watcher.look(1, np.zeros((64, 96, 3), np.uint8)))
    with pytest.raises(InputError, match="a frame of 128x96 after frames of another size"):
        watcher.look(2, np.zeros((96, 128, 3), np.uint8))
    watcher.reset()
    watcher.look(1, np.zeros((96, 128, 3), np.uint8))
