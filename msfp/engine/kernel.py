"""A Jupyter kernel of the Python that runs now, whatever kernels are installed on the machine."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

COMMAND = ("-m", "ipykernel_launcher", "-f", "{connection_file}", "--HistoryManager.enabled=False")
# The first silences a remark of the debugger; the second makes two runs go through sets in the same order.
ENVIRONMENT = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONHASHSEED": "0"}


# A busy machine may take minutes for what takes a second otherwise; a kernel that died is noticed at once all the same.
PATIENCE = 900
LONGEST_SOCKET = 100  # characters of a Unix socket's path that every system takes


class OwnPython(KernelSpecManager):
    """Knows one kernel: this interpreter."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel of `sys.executable`, under any name."""
        return KernelSpec(argv=[sys.executable, *COMMAND], display_name="Python 3", language="python")


class KernelHandle:
    """Holds the kernel that runs, so that another thread may end it at any moment, before it has started too."""

    def __init__(self) -> None:
        self._process: int | None = None
        self._cut = False
        self._lock = threading.Lock()

    def hold(self, process: int | None) -> None:
        """A kernel has started."""
        with self._lock:
            self._process = process
            if self._cut:
                self._kill()

    def cut(self) -> None:
        """End the kernel, now or as soon as it starts."""
        with self._lock:
            self._cut = True
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)


def manager_class(folder: Path, environment: Mapping[str, str], handle: KernelHandle) -> type[AsyncKernelManager]:
    """A kernel manager whose files lie in one folder.

    Kernel and client talk through sockets in that folder: they need no network, and no port that another program may
    take between its choice and its use.

    Args:
        folder: takes the connection file, IPython's own files, and `kernel.log`, what the process wrote to stderr.
        environment: variables added to the kernel's.
        handle: holds the kernel.
    """

    class Manager(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _own_python(self) -> KernelSpecManager:
            return OwnPython()

        @default("connection_file")
        def _own_connection_file(self) -> str:
            return str(folder / "kernel.json")

        @default("transport")
        def _sockets(self) -> str:
            return "ipc" if len(str(folder)) + len("/socket-1") <= LONGEST_SOCKET else "tcp"

        @default("ip")
        def _place(self) -> str:
            return str(folder / "socket") if self.transport == "ipc" else "127.0.0.1"

        async def start_kernel(self, **arguments: Any) -> None:  # type: ignore[override]  # wrapped by jupyter_client
            own = {**os.environ, **ENVIRONMENT, "IPYTHONDIR": str(folder / "ipython"), **environment}
            with (folder / "kernel.log").open("w", encoding="utf-8") as log:
                await super().start_kernel(**{**arguments, "env": own, "stderr": log})
            handle.hold(getattr(self.provisioner, "pid", None))

    return Manager


def last_words(folder: Path) -> str:
    """The last lines a kernel that died wrote to stderr."""
    try:
        lines = (folder / "kernel.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "; ".join(line.strip() for line in lines[-3:])
