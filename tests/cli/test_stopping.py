"""`msfp track` as a process of its own, stopped by the signals that a terminal and a scheduler send."""

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
