"""A Jupyter kernel of the Python that runs now, whatever kernels are installed on the machine, ended when we are.

In the main thread nbclient handles Ctrl+C and SIGTERM itself, and what is said of one depends on where it is just then:
at times tracebacks of its own stay behind the kernel that it has ended. So it works in a thread of its own.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

# The first silences a remark of the debugger; the second makes two runs go through sets in the same order.
ENVIRONMENT = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONHASHSEED": "0"}
# A busy machine may take minutes for what takes a second otherwise; a kernel that died is noticed at once all the same.
PATIENCE = 900
LONGEST_SOCKET = 100  # characters of a Unix socket's path that every system takes
GRACE = 10.0  # seconds in which a thread notices that what it waits for is gone
TICK = 0.3


def execute(
    source: str,
    target: str,
    parameters: Mapping[str, Any],
    folder: Path,
    environment: Mapping[str, str],
    tick: Callable[[], object],
) -> None:
    """Execute a notebook with papermill; the kernel's files, `kernel.log` among them, lie in `folder`.

    Kernel and client talk through sockets there: they need no network, and no port that another program may take
    between its choice and its use.

    Raises:
        PapermillExecutionError: a cell failed.
        DeadKernelError: the kernel died.
        RuntimeError: it did not start.
    """
    variables = {**os.environ, **ENVIRONMENT, "IPYTHONDIR": str(folder / "ipython"), **environment}
    short = len(str(folder)) + len("/socket-1") <= LONGEST_SOCKET
    cut = threading.Event()
    started: list[int] = []

    def end() -> None:
        """End the kernel, now or as soon as it starts."""
        cut.set()  # before the process is looked at: a kernel that starts looks in the other order
        for process in started:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    class Manager(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(
                kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # none installed: this interpreter's is left
                connection_file=str(folder / "kernel.json"),
                transport="ipc" if short else "tcp",
                ip=str(folder / "socket") if short else "127.0.0.1",
                **options,
            )

        async def start_kernel(self, **arguments: Any) -> None:  # type: ignore[override]  # wrapped by jupyter_client
            with (folder / "kernel.log").open("w", encoding="utf-8") as log:
                await super().start_kernel(**{**arguments, "env": variables, "stderr": log})
            started.extend(filter(None, [getattr(self.provisioner, "pid", None)]))
            if cut.is_set():
                end()

    work = partial(
        papermill.execute_notebook,
        *(source, target, parameters),
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=PATIENCE,
        iopub_timeout=PATIENCE,  # what a cell shows may arrive long after it has ended
        cwd=os.path.dirname(source),
        kernel_manager_class=Manager,
        shutdown_kernel="immediate",  # all is written; asked to leave, a kernel often takes seconds
    )
    in_thread(work, end, tick)


def in_thread(work: Callable[[], object], stop: Callable[[], None], tick: Callable[[], object]) -> None:
    """Do the work in a thread of its own, so that a signal comes to this one, which calls `tick` meanwhile.

    Raises:
        BaseException: what `work` raised; or what interrupted this thread, after `stop` and the end of `work`, which is
            waited for as long as `GRACE`.
    """
    future: Future[object] = Future()

    def do() -> None:
        try:
            result = work()
        except BaseException as error:
            result = error
        with suppress(RuntimeError):  # there is none
            asyncio.get_event_loop().close()  # which jupyter_core makes for a thread, and leaves open
        future.set_exception(result) if isinstance(result, BaseException) else future.set_result(result)

    try:
        threading.Thread(target=do, daemon=True).start()
        while wait([future], TICK).not_done:
            tick()
    except BaseException:
        logging.disable()  # remarks that the kernel is gone
        stop()
        wait([future], GRACE)
        logging.disable(logging.NOTSET)
        raise
    future.result()
