"""A signal comes to the thread that waits, which stops the work."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from msfp.engine import notebooks
from msfp.engine.notebooks import in_thread


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Tests that a shell runs in the background are deaf to Ctrl+C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 / 0, lambda: None, lambda: None)
    done: list[str] = []
    in_thread(
        lambda: done.append(threading.current_thread().name), lambda: pytest.fail("nobody interrupted"), lambda: None
    )
    assert done != [threading.main_thread().name]


def test_an_interruption_stops_the_work_and_waits_for_its_end() -> None:
    end, ended = threading.Event(), threading.Event()

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert end.wait(10)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        in_thread(work, end.set, lambda: None)
    assert ended.is_set()


def test_work_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "GRACE", 0.1)
    end = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        in_thread(lambda: os.kill(os.getpid(), signal.SIGINT) or end.wait(10), lambda: None, lambda: None)
    end.set()
