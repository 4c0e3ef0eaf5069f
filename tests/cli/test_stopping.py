"""Commands as processes of their own, stopped by the signals that a terminal and a scheduler send."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

LENGTH = 400


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_film_is_kept_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "street").mkdir()
    for t in range(1, LENGTH + 1):
        cv2.imwrite(str(tmp_path / "street" / f"{t:06d}.jpg"), np.full((64, 96, 3), 90, np.uint8))
    program = os.path.join(os.path.dirname(sys.executable), "msfp")
    words = ["track", "street", "--fps", "30", "--tracker", "bytetrack", "--threshold", "0.6,0.1", "--home", "."]
    running = subprocess.Popen(
        [program, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    parts = tmp_path / "tracked" / ".parts"
    while running.poll() is None and not any(parts.glob("*.mp4*")) and not any(parts.glob(".*.mp4*")):
        time.sleep(0.02)
    running.send_signal(number)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (130, ""), err
    told = err.splitlines()[-1]  # before it, a message where kernels are compiled for the first time
    assert told == "msfp: stopped; what was computed is kept, the same command goes on from there"
    assert "Traceback" not in err
    kept = sum(len(np.load(path)["number"]) for path in parts.glob("*.npz"))
    assert 1 <= kept < LENGTH
    assert not (tmp_path / "tracked" / "street.txt").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads processes from /proc, which is Linux")
def test_a_terminated_run_leaves_no_kernel_behind(tmp_path: Path) -> None:
    program = os.path.join(os.path.dirname(sys.executable), "msfp")
    words = ["reproduce", "--profile", "smoke", "--workers", "0", "--home", str(tmp_path)]
    with (tmp_path / "said").open("w+") as said:
        running = subprocess.Popen([program, *words], stdout=said, stderr=said, start_new_session=True)
        while running.poll() is None and not kernels(running.pid):
            time.sleep(0.05)
        (kernel,) = kernels(running.pid)
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(timeout=60) == 130, (tmp_path / "said").read_text()
    assert (tmp_path / "said").read_text().splitlines()[-1].startswith("msfp: stopped; ")
    end = time.monotonic() + 30
    while Path(f"/proc/{kernel}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()


def kernels(parent: int) -> list[int]:
    """Processes below one that are Jupyter kernels (Linux)."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(c) for c in children if b"ipykernel" in Path(f"/proc/{c}/cmdline").read_bytes()]
