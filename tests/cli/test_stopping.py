"""Commands as processes of their own, stopped by the signals that a terminal and a scheduler send."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import reproduce

LENGTH = 400


def test_a_stopped_film_is_kept_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "street").mkdir()
    for t in range(1, LENGTH + 1):
        cv2.imwrite(str(tmp_path / "street" / f"{t:06d}.jpg"), np.full((64, 96, 3), 90, np.uint8))
    program = os.path.join(os.path.dirname(sys.executable), "msfp")
    words = ["track", "street", "--fps", "30", "--tracker", "bytetrack", "--threshold", "0.6,0.1", "--home", "."]
    running = subprocess.Popen(
        [program, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    parts = tmp_path / "tracked" / "street" / ".parts"
    while running.poll() is None and not any(parts.glob("*.mp4*")) and not any(parts.glob(".*.mp4*")):
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (130, ""), err
    told = err.splitlines()[-1]  # before it, a message where kernels are compiled for the first time
    assert told == "msfp: stopped; what was finished is kept, the same command goes on from there"
    assert "Traceback" not in err
    kept = sum(len(np.load(path)["number"]) for path in parts.glob("*.npz"))
    assert 1 <= kept < LENGTH
    assert not (tmp_path / "tracked" / "street" / "street.txt").exists()


def test_a_second_stop_ends_without_a_traceback() -> None:
    """While a stopped command waits for what it had started, such as threads of a pool."""
    program = (
        "import threading, time; from msfp.cli import app; app.ROOMS = ()\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "app.app = lambda **_: (_ for _ in ()).throw(KeyboardInterrupt)\n"
        "app.main()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = running.stderr.readline()
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
    assert told.startswith("msfp: stopped; ")
    assert (running.returncode, said) == (130, "")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads processes from /proc, which is Linux")
@pytest.mark.parametrize(("stop", "number", "workers"), [(os.kill, "SIGTERM", "0"), (os.killpg, "SIGINT", "2")])
def test_a_stopped_run_leaves_nobody_behind(fresh: Path, stop: Callable, number: str, workers: str) -> None:
    """A scheduler sends SIGTERM to the command, a terminal SIGINT to all that it started."""
    running = reproduce(fresh, "--workers", workers, preexec_fn=heed_ctrl_c)
    while running.poll() is None and not any(is_kernel(p) for p in below(running.pid)):
        time.sleep(0.05)
    others = below(running.pid)
    assert len(others) > int(workers)
    stop(running.pid, getattr(signal, number))
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert said.splitlines()[-1].startswith("msfp: stopped; ")
    assert "Traceback" not in said
    end = time.monotonic() + 30
    while any(Path(f"/proc/{p}").exists() for p in others) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [p for p in others if Path(f"/proc/{p}").exists()]


def heed_ctrl_c() -> None:
    """Tests that a shell runs in the background are deaf to it, and so would be what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def below(parent: int) -> list[int]:
    """Processes started by one, and by these (Linux)."""
    children: list[int] = []
    for thread in Path(f"/proc/{parent}/task").glob("*/children"):  # each thread has its own
        with suppress(OSError):
            children += map(int, thread.read_text().split())
    return children + [p for child in children for p in below(child)]


def is_kernel(process: int) -> bool:
    """Whether it is a Jupyter kernel."""
    try:
        return b"ipykernel" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
