"""A signal comes to the thread that waits; a kernel on a leash is ended before and after it starts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from msfp.engine import kernel
from msfp.engine.kernel import KernelHandle, in_thread


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Tests that a shell runs in the background are deaf to Ctrl+C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 / 0, lambda: None)
    done: list[str] = []
    in_thread(lambda: done.append(threading.current_thread().name), lambda: pytest.fail("nobody interrupted"))
    assert done != [threading.main_thread().name]


def test_an_interruption_stops_the_work_and_waits_for_its_end() -> None:
    end, ended = threading.Event(), threading.Event()

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert end.wait(10)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        in_thread(work, end.set)
    assert ended.is_set()


def test_work_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "GRACE", 0.1)
    end = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        in_thread(lambda: os.kill(os.getpid(), signal.SIGINT) or end.wait(10), lambda: None)
    end.set()


def sleeper() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_kernel_is_ended_now_or_as_soon_as_it_starts() -> None:
    leash = KernelHandle()
    with sleeper() as first, sleeper() as second:
        leash.hold(first.pid)
        assert first.poll() is None
        leash.cut()
        assert first.wait(10) == -signal.SIGKILL
        time.sleep(0.1)
        assert second.poll() is None
        leash.hold(second.pid)
        assert second.wait(10) == -signal.SIGKILL
    leash.cut()  # who is gone is gone
    KernelHandle().cut()
