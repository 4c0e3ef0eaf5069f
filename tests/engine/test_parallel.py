"""A fan-out gives the same results wherever it runs, names what failed, and survives the death of a worker."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.engine import parallel
from msfp.engine.parallel import CellsFailed
from msfp.engine.store import Store
from msfp.errors import InputError, NotComputable


@pytest.fixture(scope="module", autouse=True)
def _workers_stop() -> Iterator[None]:
    yield
    parallel.close()


def test_in_process_keeps_order_and_counts() -> None:
    steps: list[int] = []
    assert parallel.map(lambda x: x * x, range(5), progress=steps.append) == [0, 1, 4, 9, 16]
    assert steps == [1] * 5
    assert parallel.map(str, []) == []


@given(st.lists(st.integers(-5, 5)))
def test_every_item_is_tried_and_each_failure_named(items: list[int]) -> None:
    if 0 not in items:
        assert parallel.map(lambda x: 10 / x, items) == [10 / x for x in items]
        return
    with pytest.raises(CellsFailed) as caught:
        parallel.map(lambda x: 10 / x, items, label="division", name=lambda x: f"cell {x}")
    assert set(caught.value.failures) == {index for index, x in enumerate(items) if x == 0}
    assert caught.value.results == [10 / x if x else None for x in items]
    message = str(caught.value)
    assert message.startswith(f"division: {items.count(0)} of {len(items)} cells failed")
    assert message.count("cell 0: ZeroDivisionError: division by zero (at ") == items.count(0)


def test_errors_a_person_can_mend_read_as_they_are() -> None:
    def refuse(_: int) -> int:
        raise NotComputable("8 of 1050 frames present")

    with pytest.raises(CellsFailed, match=r"1: 8 of 1050 frames present$"):
        parallel.map(refuse, [1])


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    def cell(seed: int) -> tuple[int, np.ndarray, bool]:
        found = Store(tmp_path).get_or_compute("s", {"n": seed % 3}, lambda: seed % 3, code="msfp.types")
        return found, np.random.default_rng(seed).normal(size=3), os.getpid() != here

    here = os.getpid()
    alone = parallel.map(cell, range(40))
    steps: list[int] = []
    spread = parallel.map(cell, range(40), workers=2, progress=steps.append)
    assert sum(steps) == 40
    assert len(steps) < 40
    for (a, b, _), (c, d, elsewhere) in zip(alone, spread, strict=True):
        assert a == c
        np.testing.assert_array_equal(b, d)
        assert elsewhere


def test_a_killed_worker_costs_no_result(tmp_path: Path) -> None:
    def dies_once(item: int) -> int:
        if item == 3 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item * 2

    assert parallel.map(dies_once, range(12), workers=2) == [2 * item for item in range(12)]
    assert (tmp_path / "died").exists()


def test_workers_use_one_thread_and_do_not_start_others() -> None:
    def inspect(_: int) -> tuple[str, list[int]]:
        return os.environ["OMP_NUM_THREADS"], parallel.map(lambda _x: os.getpid(), range(2), workers=2)

    for threads, inner in parallel.map(inspect, range(2), workers=2):
        assert threads == "1"
        assert len(set(inner)) == 1


def test_an_exception_in_a_worker_names_its_cell() -> None:
    def fails(item: str) -> str:
        if item == "MOT17-05":
            raise ValueError("bad box")
        return item

    with pytest.raises(CellsFailed, match=r"1 of 3 cells failed\n  'MOT17-05': ValueError: bad box \(at ") as caught:
        parallel.map(fails, ["MOT17-02", "MOT17-05", "MOT17-09"], workers=2)
    assert caught.value.results == ["MOT17-02", None, "MOT17-09"]


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msfp.engine.cluster.TIMEOUT", "0.3s")
    with pytest.raises(InputError, match=r"cluster tcp://127\.0\.0\.1:9: no scheduler answers there; start one"):
        parallel.map(str, [1], cluster="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="give tcp://host:port of a Dask scheduler, or slurm:FILE"):
        parallel.map(str, [1], cluster="lsf")
    with pytest.raises(InputError, match=r"needs dask-jobqueue; run `pip install dask-jobqueue`"):
        parallel.map(str, [1], cluster=f"slurm:{tmp_path / 'slurm.yaml'}")
    with pytest.raises(InputError, match="workers=-1: must be 0"):
        parallel.map(str, [1], workers=-1)


def test_a_cell_that_always_kills_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dying is played here, as real workers take seconds to come back each time."""
    sent: list[list[int]] = []

    def send(function: Any, cells: list[tuple[int, int]], _client: Any, advance: Any) -> Any:
        sent.append([index for index, _ in cells])
        alive = [cell for cell in cells if cell[0] not in ((4, 5) if len(cells) > 1 else (5,))]
        advance(len(alive))
        return parallel.run_batch(function, alive)[1], [cell for cell in cells if cell not in alive]

    monkeypatch.setattr(parallel, "_submit", send)
    monkeypatch.setattr("msfp.engine.cluster.client", lambda *_: None)
    steps: list[int] = []
    with pytest.raises(CellsFailed, match=r"1 of 6 cells failed\n  5: its worker process died each time") as caught:
        parallel.map(abs, range(6), workers=2, progress=steps.append)
    assert caught.value.results == [0, 1, 2, 3, 4, None]
    assert sent == [[0, 1, 2, 3, 4, 5], [4], [5], [5]]
    assert sum(steps) == 6
