"""Sequences, files and machines at their limits: done as quickly as ever, or refused in one line."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from .conftest import LENGTH, Command


def test_a_million_declared_frames_and_millions_of_empty_lines_change_nothing(msfp: Command, root: Path) -> None:
    words = ("run", root, "--tracker", "sort", "--out", "results")
    assert msfp(*words).code == 0
    scored = msfp("evaluate", root, "results").out
    right = Path("results/WALK-01.txt").read_bytes()
    ini = root / "train" / "WALK-01" / "seqinfo.ini"
    ini.write_text(ini.read_text().replace(f"seqLength={LENGTH}", "seqLength=1000000"))
    assert msfp(*words).code == 0
    assert Path("results/WALK-01.txt").read_bytes() == right
    for path in (Path("results/WALK-01.txt"), root / "train" / "WALK-01" / "gt" / "gt.txt"):
        path.write_bytes(path.read_bytes() + b"\n" * 5_000_000)
    again = msfp("evaluate", root, "results")
    assert (again.code, again.out) == (0, scored)


def test_too_few_open_files_for_workers_are_refused_in_one_line(tmp_path: Path) -> None:
    """`ulimit -n 20`: a process of its own; without workers as few are enough."""
    program = os.path.join(os.path.dirname(sys.executable), "msfp")
    done = subprocess.run(
        [program, "reproduce", "--profile", "smoke", "--workers", "2", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)),
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("msfp: this process may open 20 files, and workers need ")
    assert done.stderr.count("\n") == 1
