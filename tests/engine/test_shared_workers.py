"""Workers lent to other processes: the same for each of them, back when they die, gone with their lender."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from msfp.engine import cluster as clusters
from msfp.engine.cluster import borrowed, lent_workers

Environment = Callable[[], dict[str, str]]


@pytest.fixture
def environment() -> Iterator[Environment]:
    with lent_workers(2) as found:
        yield found


def pid(_: int) -> int:
    """Of the worker; slow enough that both get some."""
    time.sleep(0.05)
    return os.getpid()


def seen_by(variables: dict[str, str]) -> dict[str, list]:
    """What a process started with these variables finds."""
    script = (
        "import json, os, sys\n"
        "sys.path.insert(0, os.getcwd())\n"
        "from msfp.engine import parallel\n"
        "from tests.engine.test_shared_workers import pid\n"
        "if __name__ == '__main__':\n"
        "    workers = sorted(set(parallel.map(pid, range(20), workers=2)))\n"
        "    set_ = parallel.map(os.environ.get, ['OMP_NUM_THREADS', 'MSFP_PROGRESS'], workers=2)\n"
        "    print(json.dumps({'workers': workers, 'set': set_}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, **variables}
    )
    return json.loads(done.stdout)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_processes_find_the_same_workers_and_none_is_left() -> None:
    with lent_workers(2) as environment:
        first, second = seen_by(environment()), seen_by(environment())
    assert len(first["workers"]) == 2
    assert first == second
    assert first["set"] == ["1", ""]
    end = time.monotonic() + 30
    while any(map(alive, first["workers"])) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, first["workers"]))


def test_a_worker_that_dies_is_replaced(environment: Environment) -> None:
    first = seen_by(environment())["workers"]
    os.kill(first[0], signal.SIGKILL)
    end = time.monotonic() + 60
    while len(second := seen_by(environment())["workers"]) < 2 and time.monotonic() < end:
        time.sleep(0.2)
    assert set(first) & set(second) == {first[1]}
    assert len(second) == 2


def test_nobody_is_started_before_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "local_cluster", lambda _: pytest.fail("workers for nobody"))
    with lent_workers(2):
        pass
    with lent_workers(0) as none:
        assert none() == {}


def test_workers_that_are_gone_or_not_as_many_are_not_borrowed(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    assert borrowed(2) is None
    monkeypatch.setenv(clusters.LENT, "3 tcp://127.0.0.1:9")
    assert borrowed(2) is None
    monkeypatch.setattr(clusters, "TIMEOUT", "0.3s")
    monkeypatch.setenv(clusters.LENT, "2 tcp://127.0.0.1:9")
    assert borrowed(2) is None
    assert "start" in caplog.text
