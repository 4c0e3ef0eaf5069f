"""A run is opened from words, refuses what does not exist, and travels to a worker."""

import os
import pickle
from functools import partial
from pathlib import Path

import pytest

from msfp.engine import cluster, parallel
from msfp.errors import InputError
from msfp.experiment.run import Job, literal, open_run, parse_overrides


def test_words_become_settings() -> None:
    assert parse_overrides("atl.beta=0.7 data.scenes=2 seeds=0,1 split=loso data.crowded=none") == {
        "atl.beta": 0.7,
        "data.scenes": 2,
        "seeds": [0, 1],
        "split": "loso",
        "data.crowded": None,
    }
    assert parse_overrides("seeds=0,") == {"seeds": [0]}
    assert parse_overrides("'data.root=/a b'") == {"data.root": "/a b"}
    with pytest.raises(InputError, match=r"setting 'atl.beta': write it as name=value"):
        parse_overrides("atl.beta 0.7")


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("0.5", 0.5), ("true", True), ("None", None), ("ema", "ema")])
def test_literals(text: str, value: object) -> None:
    assert literal(text) == value
    assert type(literal(text)) is type(value)


def test_places(tmp_path: Path) -> None:
    run = open_run("smoke", home=tmp_path, overrides={"atl.beta": 0.7})
    assert (run.out, run.figures) == (tmp_path / "runs" / "smoke", tmp_path / "figures" / "smoke")
    assert run.overrides == "atl.beta=0.7"
    assert run.settings.atl.beta == 0.7
    assert list(tmp_path.iterdir()) == []


def test_a_worker_gets_the_same_settings_once(tmp_path: Path) -> None:
    run = open_run("smoke", home=tmp_path, workers=3, overrides="atl.beta=0.7")
    sent = pickle.dumps(run)
    worker = pickle.loads(sent)
    assert worker.settings == run.settings
    assert worker.home == run.home
    assert worker.workers == 0
    assert pickle.loads(sent) is worker


def test_weights_are_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"one")
    (tmp_path / "b.safetensors").write_bytes(b"one")
    (tmp_path / "c.safetensors").write_bytes(b"two")
    a, b, c = (open_run("smoke", home=tmp_path, weights=tmp_path / f"{n}.safetensors").weights_digest() for n in "abc")
    assert a == b != c
    with pytest.raises(InputError, match="file not found"):
        open_run("smoke", home=tmp_path, weights=tmp_path / "d.safetensors").weights_digest()


def test_remarks_are_kept_once(tmp_path: Path) -> None:
    run = open_run("smoke", home=tmp_path)
    run.note("one")
    run.note("two")
    run.note("one")
    assert run.notes == ["one", "two"]


def test_results_come_in_order_of_the_items(tmp_path: Path) -> None:
    assert open_run("smoke", home=tmp_path).map(str, [3, 1, 2], "numbers") == ["3", "1", "2"]


def test_a_cluster_is_asked_in_place_of_workers_here(tmp_path: Path) -> None:
    """The scheduler's own workers compute, and notebooks elsewhere find the same settings of Slurm."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as there:
        run = open_run("smoke", home=tmp_path, cluster=there.scheduler_address)
        (process,) = set(run.map(lambda _: os.getpid(), range(3), "where"))
        assert process != os.getpid()
        cluster.close()
    assert open_run("smoke", home=tmp_path).cluster is None
    assert open_run("smoke", cluster="slurm:queue.yaml").cluster == f"slurm:{Path('queue.yaml').resolve()}"


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", [(False, ["a", "b", "c"])]), ("cuda", [(True, ["b"]), (False, ["a", "c"])])]
)
def test_jobs_of_all_kinds_fan_out_together_but_those_of_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, expected: list
) -> None:
    run = open_run("smoke", home=tmp_path, device=device)
    sent = []
    monkeypatch.setattr(run, "map", lambda _, jobs, *__, network: sent.append((network, [j.name for j in jobs])))
    run.do([Job(int, "a"), Job(int, "b", network=True), Job(int, "c")], "things")
    run.do([], "nothing")
    assert sent == expected


def test_a_job_that_fails_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    done: list[int] = []
    jobs = [Job(partial(int, "x"), "camera of MOT17-02"), Job(partial(done.append, 1), "other")]
    with pytest.raises(parallel.CellsFailed, match=r"things: 1 of 2 cells failed\n  camera of MOT17-02: ValueError"):
        open_run("smoke", home=tmp_path).do(jobs, "things")
    assert done == [1]
