"""What `make setup` compiles: every kernel of the package, so that no command has to."""

import os
import subprocess
import sys
from pathlib import Path

CHECK = """
import re, sys
import scripts.compile_kernels as script
from msfp.compiled import PACKAGE
from msfp.tracking import names

called = set()
sys.setprofile(lambda frame, event, value: called.add((frame.f_code.co_filename, frame.f_code.co_name)))
script.compile_trackers(names())
script.compile_measures()
sys.setprofile(None)
kernels = {
    (str(path), name)
    for path in PACKAGE.rglob("*.py")
    for name in re.findall(r"^@(?:summing_)?kernel\\ndef (\\w+)", path.read_text(), re.MULTILINE)
}
assert len(kernels) > 50
print(*sorted(name for _, name in kernels - called))
"""


def test_no_kernel_is_left_out() -> None:
    """Uncompiled, each is an ordinary function, of which a profiler sees whether it is called."""
    command = [sys.executable, "-W", "ignore", "-c", CHECK]
    environment, root = {**os.environ, "NUMBA_DISABLE_JIT": "1"}, Path(__file__).parents[2]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment)
    assert found.returncode == 0, found.stderr
    # Called by other kernels in cases that these inputs lack: they are compiled with them.
    assert set(found.stdout.split()) <= {"_clear", "_solve_group", "pairwise_sum"}
