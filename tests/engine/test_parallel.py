"""A fan-out gives the same results wherever it runs, names what failed, and survives the death of a worker."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
import pytest
import threadpoolctl
import torch
from hypothesis import given
from hypothesis import strategies as st

from msfp.engine import cluster as clusters
from msfp.engine import parallel
from msfp.engine.parallel import CellsFailed, FolderLost, Work, mark_folder
from msfp.engine.store import Store
from msfp.errors import InputError, NotComputable


@pytest.fixture(scope="module", autouse=True)
def _workers_stop() -> Iterator[None]:
    yield
    clusters.close()


@contextmanager
def gpu_worker(address: str) -> Iterator[None]:
    """One more worker of a cluster, which says it has a GPU."""
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--resources", "GPU=1"]
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, *options]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        clusters.open_pool(0, address)[0].wait_for_workers(3, timeout=60)
        yield
    finally:
        worker.terminate()
        worker.wait()


def where(_: object) -> tuple[str, int]:
    """The device and the process that a cell runs on."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.getpid()


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
    message = str(caught.value)
    assert message.startswith(f"division: {items.count(0)} of {len(items)} cells failed")
    assert message.count("cell 0: ZeroDivisionError: division by zero (at ") == items.count(0)


def test_errors_a_person_can_mend_read_as_they_are() -> None:
    def refuse(_: int) -> int:
        raise NotComputable("8 of 1050 frames present")

    with pytest.raises(CellsFailed, match=r"1: 8 of 1050 frames present$"):
        parallel.map(refuse, [1])


def test_what_all_cells_lack_is_said_once() -> None:
    def refuse(_item: int) -> None:
        raise InputError("weights.pt: not a readable PyTorch checkpoint")

    with pytest.raises(CellsFailed) as raised:
        parallel.map(refuse, range(7), label="features")
    told = "features: 7 of 7 cells failed, all alike: weights.pt: not a readable PyTorch checkpoint"
    assert str(raised.value) == told


def test_a_script_without_the_guard_is_told_what_it_lacks(tmp_path: Path) -> None:
    """Workers import the script that starts them; it must not start workers by that."""
    script = tmp_path / "script.py"
    script.write_text("from msfp.engine import parallel\nprint(parallel.map(abs, [-1, -2], workers=2))\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert 'put what it does below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    def cell(seed: int) -> tuple[int, np.ndarray, int]:
        found = Store(tmp_path).get_or_compute("s", {"n": seed % 3}, lambda: seed % 3, code="msfp.types")
        return found, np.random.default_rng(seed).normal(size=3), os.getpid()

    alone = parallel.map(cell, range(40))
    steps: list[int] = []
    spread = parallel.map(cell, range(40), workers=2, store=tmp_path, progress=steps.append)
    assert sum(steps) == 40
    assert len(steps) < 40
    for (a, b, here), (c, d, there) in zip(alone, spread, strict=True):
        assert a == c
        np.testing.assert_array_equal(b, d)
        assert here == os.getpid() != there
    assert len({there for _, _, there in spread}) == 2


def test_cells_are_sent_together_until_they_take_a_tenth_of_a_second() -> None:
    steps: list[int] = []
    parallel.map(lambda _: time.sleep(0.005), range(300), workers=2, progress=steps.append)
    assert sum(steps) == 300
    assert len(steps) < 100  # some alone until their time is known, then about 20 at once


def test_a_killed_worker_costs_no_result_and_what_it_stored_stays(tmp_path: Path) -> None:
    def cell(item: int) -> int:
        def compute() -> int:
            with (tmp_path / "computed").open("a") as log:
                log.write(f"{item}\n")
            return item * 2

        found = Store(tmp_path / "store").get_or_compute("s", {"n": item}, compute, code="msfp.types")
        if item == 13 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    assert parallel.map(cell, range(24), workers=2, store=tmp_path / "store") == [2 * item for item in range(24)]
    assert (tmp_path / "died").exists()
    assert sorted(map(int, (tmp_path / "computed").read_text().split())) == list(range(24))


def test_workers_use_one_thread_and_do_not_start_others() -> None:
    def inspect(_: int) -> tuple[set[str | None], set[int], list[int]]:
        pools = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} | {cv2.getNumThreads()}
        pools |= {numba.get_num_threads(), torch.get_num_threads()}
        inner = parallel.map(lambda _x: os.getpid(), range(2), workers=2)
        return {os.environ.get(name) for name in clusters.ONE_THREAD}, pools, inner

    for variables, threads, inner in parallel.map(inspect, range(3), workers=2):
        assert variables == {"1"}
        assert threads == {1}
        assert len(set(inner)) == 1


def test_an_exception_in_a_worker_names_its_cell_and_stops_only_it(tmp_path: Path) -> None:
    def fails(item: str) -> str:
        if item == "MOT17-05":
            raise ValueError("bad box")
        return Store(tmp_path).get_or_compute("s", {"n": item}, lambda: item.lower(), code="msfp.types")

    names = ["MOT17-02", "MOT17-05", "MOT17-09"]
    with pytest.raises(CellsFailed, match=r"1 of 3 cells failed\n  'MOT17-05': ValueError: bad box \(at "):
        parallel.map(fails, names, workers=2, store=tmp_path)
    store = Store(tmp_path)
    assert [store.contains("s", store.key("s", {"n": name}, code="msfp.types")) for name in names] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_lost_store_is_one_clear_error(tmp_path: Path, workers: int) -> None:
    def vanishes(item: int) -> int:
        if item == 2:
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
        return Store(tmp_path / "store").get_or_compute("s", {"n": item}, lambda: item, code="msfp.types")

    with pytest.raises(FolderLost) as caught:
        parallel.map(vanishes, range(30), workers=workers, store=tmp_path / "store")
    lost = re.escape(f"{tmp_path}/store: this folder is gone or not mounted (No such file or directory) on ")
    assert re.fullmatch(
        lost + r"\S+; results have nowhere to go\. Bring it back.* was stored is kept", str(caught.value)
    )


def test_another_folder_under_the_stores_path_is_an_error(tmp_path: Path) -> None:
    store = tmp_path / "store"
    here = mark_folder(store)
    assert mark_folder(store) == here
    shutil.rmtree(store)
    mark_folder(store)
    with pytest.raises(FolderLost, match="is another one than where this run began"):
        Work(abs, store, here).run([(0, 1)])


@pytest.mark.parametrize("found", [b"\xff\xfe", b"", b"abc", b"\x00" * 32])
def test_a_mark_that_cannot_be_read_is_made_anew(tmp_path: Path, found: bytes) -> None:
    here = mark_folder(tmp_path)
    (tmp_path / "identity").write_bytes(found)
    with pytest.raises(FolderLost, match="is another one than where this run began"):
        Work(abs, tmp_path, here).run([(0, 1)])
    again = mark_folder(tmp_path)
    assert re.fullmatch("[0-9a-f]{32}", again or "")
    Work(abs, tmp_path, again).run([(0, 1)])


def test_a_store_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    """A limit of the system stands for a full or read-only disk, as root may write anywhere else."""

    def cell(item: int) -> int:
        return Store(tmp_path).get_or_compute("s", {"n": item}, lambda: item, code="msfp.types")

    assert parallel.map(cell, [1], store=tmp_path) == [1]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        assert parallel.map(cell, [1], store=tmp_path) == [1]  # nothing need be written
        with pytest.raises(FolderLost, match=r"cannot write 1 bytes \(File too large\).*kept \(on ") as caught:
            parallel.map(cell, [1, 2, 3], store=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)


def test_one_worker_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-5a")
    seen = parallel.map(where, range(8), workers=2, gpu=True)
    assert {device for device, _ in seen} == {"4", "GPU-5a"}
    assert len(set(seen)) == 2  # processes and devices go together
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert clusters.gpus() == ()


def test_cells_for_gpus_ask_a_clusters_workers_for_one() -> None:
    address = clusters.open_pool(2, None)[0].scheduler.address
    assert parallel.map(abs, [-1, 2], cluster=address) == [1, 2]
    with pytest.raises(InputError, match="no worker there offers a GPU; start one a device with .* --resources GPU=1"):
        parallel.map(abs, [1], cluster=address, gpu=True)
    with gpu_worker(address):
        assert len(set(parallel.map(where, range(9), cluster=address, gpu=True))) == 1


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

    def send(work: Work, cells: list[tuple[int, int]], _pool: Any, advance: Any) -> Any:
        sent.append([index for index, _ in cells])
        alive = [cell for cell in cells if cell[0] not in ((4, 5) if len(cells) > 1 else (5,))]
        advance(len(alive))
        return work.run(alive)[1], [cell for cell in cells if cell not in alive]

    monkeypatch.setattr(parallel, "_submit", send)
    monkeypatch.setattr("msfp.engine.cluster.open_pool", lambda *_: None)
    steps: list[int] = []
    with pytest.raises(CellsFailed, match=r"1 of 6 cells failed\n  5: its worker process died each time"):
        parallel.map(abs, range(6), workers=2, progress=steps.append)
    assert sent == [[0, 1, 2, 3, 4, 5], [4], [5], [5]]
    assert sum(steps) == 6
