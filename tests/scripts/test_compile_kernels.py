"""What `make setup` compiles: every kernel of the package, so that no command has to."""

import subprocess
import sys
from pathlib import Path

CHECK = """
import gc
from numba.core.dispatcher import Dispatcher
import scripts.compile_kernels as script
from msfp.tracking import names

script.compile_trackers(names())
script.compile_measures()
ours = [one for one in gc.get_objects() if isinstance(one, Dispatcher) and one.py_func.__module__.startswith("msfp.")]
assert len(ours) > 50
print(*sorted(one.py_func.__name__ for one in ours if not one.signatures))
"""


def test_no_kernel_is_left_out() -> None:
    command = [sys.executable, "-W", "ignore", "-c", CHECK]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
