"""Two worker processes make the same store, byte for byte, as one process, also where one of them is killed."""

import os
import pickle
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from msfp.engine import cluster
from msfp.engine.parallel import CellsFailed, FolderLost
from msfp.engine.store import SUFFIX
from msfp.experiment import data, scores
from msfp.experiment.features import extract_all
from msfp.experiment.run import Run, open_run
from msfp.experiment.scores import Measured, measure_one
from msfp.paper.methods import BYTETRACK, LITE, MSFP_TRACK
from msfp.types import Sequence

from .conftest import FEW, LENGTH, write_sequence

pytestmark = pytest.mark.xdist_group("workers")

WORKERS = 2
SETTINGS = {"input.size": (96, 64), "training.epochs": 1, "seeds": (0,), **FEW}
SMALL_CELL = 10_000  # bytes that may go through the scheduler for a cell; its tracks and features weigh more
Item = tuple[scores.Method, data.Part, Sequence]


@dataclass(frozen=True)
class Alone:
    """A run in one process."""

    root: Path
    files: dict[str, bytes]
    measured: list[Measured]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    home = tmp_path_factory.mktemp("alone")
    for name in ("MOT17-02-SDP", "MOT17-04-SDP"):
        write_sequence(home / "root" / "train" / name, LENGTH, gt=True)
    found = home / "root" / "train" / name / "det" / "det.txt"
    found.write_text("".join(found.read_text().splitlines(keepends=True)[:-1]))  # the second street is another
    measured = compute(small(home / "root", home))
    yield Alone(home / "root", contents(home), measured)
    cluster.close()


def small(root: Path, home: Path, workers: int = 0) -> Run:
    """A run over two streets."""
    return open_run("mot17", root=root, weights="random-init", home=home, workers=workers, overrides=SETTINGS)


def items(run: Run) -> list[Item]:
    """Motion only, frozen features, and a learned head."""
    (fold,) = data.folds(run, "mot17")
    chosen = [method for row in (BYTETRACK, LITE, MSFP_TRACK) for method in row.each_seed(fold.learn, (0,))]
    scores.prepare(run, chosen, fold.evaluate)
    return [(m, p, s) for m in chosen for p in fold.evaluate for s in data.sequences(p)]


def compute(run: Run) -> list[Measured]:
    """Features, heads, tracks and scores."""
    extract_all(run, data.scenes(run, "mot17"))
    return run.map(partial(measure_one, run=run), items(run), "scores")


def contents(home: Path) -> dict[str, bytes]:
    """Every file of a run's store but what belongs to the place: locks, the memory of input files, the mark."""
    root = home / "runs" / "mot17" / "store"
    found = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: data for name, data in found.items() if not name.startswith(("locks/", "files/", "identity"))}


def test_stages_give_the_same_bytes_under_the_same_hashes(alone: Alone, tmp_path: Path) -> None:
    measured = compute(small(alone.root, tmp_path, WORKERS))
    assert {name.partition("/")[0] for name in alone.files} >= {"features", "head", "tracks", "score"}
    found = contents(tmp_path)
    assert found.keys() == alone.files.keys()
    assert [name for name, data in found.items() if data != alone.files[name]] == []
    assert [m.score.hota for m in measured if m.score] == [m.score.hota for m in alone.measured if m.score]
    assert max(len(pickle.dumps(m)) for m in measured) < SMALL_CELL < max(map(len, alone.files.values()))


def test_a_worker_killed_in_the_middle_costs_nothing(alone: Alone, tmp_path: Path) -> None:
    run = small(alone.root, tmp_path, WORKERS)
    extract_all(run, data.scenes(run, "mot17"))
    todo = items(run)
    before = {path: path.stat().st_ino for path in run.store.root.rglob(f"*{SUFFIX}")}
    run.map(partial(_killed_after, victim=todo[2], once=tmp_path / "died", run=run), todo, "scores")
    assert (tmp_path / "died").exists()
    assert contents(tmp_path) == alone.files
    assert {path: path.stat().st_ino for path in before} == before  # written once, read afterwards


def _killed_after(item: Item, victim: Item, once: Path, run: Run) -> Measured:
    found = measure_one(item, run)
    if item == victim and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return found


def test_a_failing_cell_is_named_and_the_others_are_stored(alone: Alone, tmp_path: Path) -> None:
    run = small(alone.root, tmp_path, WORKERS)
    todo = items(run)
    label, part, sequence = todo[1][0].label, todo[1][1].name, todo[1][2].name
    with pytest.raises(CellsFailed, match="scores: 1 of") as caught:
        run.map(partial(_failing, victim=todo[1], run=run), todo, "scores")
    assert f"\n  {label}, {part}, {sequence}: ZeroDivisionError: division by zero (at " in str(caught.value)
    missing = {name for name in alone.files.keys() - contents(tmp_path) if name.endswith(SUFFIX)}
    stages = sorted(name.partition("/")[0] for name in missing)
    assert stages in (["score", "tracks"], ["tracks"])  # equal tracks of another method have its score already


def _failing(item: Item, victim: Item, run: Run) -> Measured:
    if item == victim:
        raise ZeroDivisionError("division by zero")
    return measure_one(item, run)


def test_workers_elsewhere_that_do_not_see_the_store_say_so(alone: Alone, tmp_path: Path) -> None:
    run = small(alone.root, tmp_path, WORKERS)
    todo = items(run)
    elsewhere = tmp_path / "unmounted"
    with pytest.raises(FolderLost, match=rf"{run.store.root}: this folder is gone or not mounted"):
        run.map(partial(_unmounted, store=run.store.root, elsewhere=elsewhere, run=run), todo, "scores")


def _unmounted(item: Item, store: Path, elsewhere: Path, run: Run) -> Measured:
    if store.exists():
        store.rename(elsewhere)
    return measure_one(item, run)
