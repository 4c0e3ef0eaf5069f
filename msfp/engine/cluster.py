"""Where a fan-out runs: local worker processes, a Dask scheduler, or jobs that Slurm starts."""

import atexit
import contextlib
import functools
import logging
import multiprocessing.process
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msfp.errors import InputError

log = logging.getLogger(__name__)
TIMEOUT = "15s"  # for a scheduler elsewhere
PATIENCE = "300s"  # for workers of this machine, which may be busy
REVIVE_MS = 2000
DESCRIPTORS, MANY_DESCRIPTORS = 128, 4096  # files that workers need open, and that are asked of the system
LENT = "MSFP_WORKERS_AT"  # variable: how many workers another process lends to this one, and where
GPU = "GPU"  # the resource that `dask worker --resources GPU=1` declares
LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA")
ONE_THREAD = dict.fromkeys(
    [*(f"{name}_NUM_THREADS" for name in LIBRARIES), "VECLIB_MAXIMUM_THREADS", "OPENCV_FOR_THREADS_NUM"], "1"
)
Pool = tuple[Any, Callable[..., Any]]
_clients: dict[object, Any] = {}  # workers outlive a call, as starting them takes seconds


def open_pool(workers: int, cluster: str | None, gpu: bool = False) -> Pool:
    """Dask's client, and the function that sends a call to a worker with every library held to one thread.

    Workers are started once for each choice and stopped at exit. `cluster` is `tcp://host:port`, or `slurm:FILE`: YAML
    of SLURMCluster's settings and `jobs`, how many; None: local processes. For cells that use a GPU local workers are
    as many as there are devices, each bound to its own; in a cluster those started with `--resources GPU=1` are taken.
    InputError: unknown kind of cluster, nobody answers, no worker has a GPU, or dask-jobqueue is not installed.
    """
    devices = gpus() if gpu and cluster is None and workers > 0 else ()
    choice = (cluster or len(devices) or workers, bool(devices))
    client = _clients.get(choice)
    if client is None or client.status != "running":
        if cluster is not None:
            client = _connect(cluster)
        elif devices or (client := borrowed(workers)) is None:  # workers bound to a device are this process's own
            started = local_cluster(len(devices) or workers)  # first, as it may say that this is no place for it
            from distributed import Client

            client = Client(started, timeout=PATIENCE, set_as_default=False)
        _clients[choice] = client
    if client.cluster is None and not client.nthreads():
        log.warning("the cluster has no workers; waiting for some (start them with `dask worker`)")
    needs = {GPU: 1} if gpu and cluster is not None else None
    if needs and client.cluster is None:
        there = client.scheduler_info(n_workers=-1)["workers"].values()
        if not any(worker["resources"].get(GPU) for worker in there):
            raise InputError(
                f"cluster {cluster}: no worker there offers a GPU; start one a device with `CUDA_VISIBLE_DEVICES=0 "
                "dask worker ADDRESS --nthreads 1 --resources GPU=1`, or give --device cpu"
            )
    return client, functools.partial(client.submit, pinned, devices, pure=False, resources=needs)


@atexit.register
def close() -> None:
    """Stop local workers and leave clusters; a later `open_pool` starts anew."""
    while _clients:
        _, client = _clients.popitem()
        owned = client.cluster
        client.close()
        if owned is not None:
            owned.close()


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    import torch

    return tuple(str(number) for number in range(torch.cuda.device_count()))


@contextmanager
def lent_workers(count: int) -> Iterator[Callable[[], dict[str, str]]]:
    """Lend `count` workers to the processes that this one starts, so that each need not start its own.

    Yields a function that gives the variables by which a process finds them, and starts them at its first call.
    """
    with ExitStack() as started:

        @functools.cache
        def environment() -> dict[str, str]:
            if not count:
                return {}
            return {LENT: f"{count} {started.enter_context(local_cluster(count)).scheduler_address}"}

        yield environment


def borrowed(workers: int) -> Any | None:
    """A client of the workers lent to this process; None where there are none, or another number is wanted."""
    count, _, address = os.environ.get(LENT, "").partition(" ")
    if count != str(workers):
        return None
    from distributed import Client

    try:
        return Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError, ValueError):
        log.warning("the workers at %s are gone; this process starts its own", address)
        return None


def local_cluster(workers: int) -> Any:
    """Worker processes on this machine, a Dask `LocalCluster`; InputError where the machine cannot have them."""
    if workers < 1:
        raise InputError(f"workers={workers}: must be 0 (in-process) or the number of processes")
    if getattr(multiprocessing.process.current_process(), "_inheriting", False):
        sys.exit(1)  # a worker that imports the script which starts it, and comes here by that: see below
    import dask
    from distributed import LocalCluster

    settings = {
        # An empty MSFP_PROGRESS silences the bars of the workers: the caller shows one for all.
        "distributed.nanny.pre-spawn-environ": ONE_THREAD | {"MSFP_PROGRESS": ""},
        # What a dead worker held comes back to us at once: we know how to find the cell that is to blame.
        "distributed.scheduler.allowed-failures": 0,
        # Nobody looks at Dask's own profile: a look at every stack each 10 ms, all the time.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.comm.timeouts.connect": PATIENCE,
    }
    _need_loopback()
    _need_descriptors()
    with dask.config.set(settings):
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",  # any free port, so that a second run does not stumble over the first
                memory_limit=0,  # the system decides: Dask would kill a worker at its share of memory
                silence_logs=logging.CRITICAL,
                preload=[__name__],
            )
        except RuntimeError as error:
            raise InputError(
                f"worker processes did not start ({error}). They import the script that starts them: put what it does "
                'below `if __name__ == "__main__":`, or give workers=0'
            ) from None
    return _revived(cluster)


def _need_loopback() -> None:
    """Hold the machine to what workers talk through."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()[:2], timeout=5.0).close()
    except OSError as error:
        raise InputError(
            f"workers talk through this machine's own address 127.0.0.1, which does not answer "
            f"({error.strerror or error}); bring the loopback interface up (`ip link set lo up`), or give --workers 0"
        ) from error


def _need_descriptors() -> None:
    """Let this process open as many files as the system allows, and hold the system to what workers need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(soft, DESCRIPTORS)
    if soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, max(soft, MANY_DESCRIPTORS)), hard))
    if most < DESCRIPTORS:
        raise InputError(
            f"this process may open {most} files, and workers need {DESCRIPTORS}; allow more with `ulimit -n "
            f"{MANY_DESCRIPTORS}`, or give --workers 0"
        )


def _revived(cluster: Any) -> Any:
    """The cluster, its workers started again whatever they died of: Dask leaves out those that die while they start."""
    from tornado.ioloop import PeriodicCallback

    again = PeriodicCallback(lambda: cluster.scale(len(cluster.worker_spec)), REVIVE_MS)
    cluster.periodic_callbacks["revive"] = again  # which are stopped with it
    cluster.loop.add_callback(again.start)
    return cluster


def dask_setup(_worker: Any) -> None:
    """Called by Dask in a local worker that starts: Ctrl+C, which a terminal sends to all, is for its owner to heed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _connect(cluster: str) -> Any:
    """A client of a scheduler elsewhere, or of Slurm's jobs; see `open_pool`."""
    from distributed import Client

    if cluster.startswith(("tcp://", "tls://", "ucx://")):
        try:
            return Client(cluster, timeout=TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                f"cluster {cluster}: no scheduler answers there; start one with `dask scheduler` and workers with "
                "`dask worker`, or leave the option out to run in-process"
            ) from error
    if not cluster.startswith("slurm:"):
        raise InputError(f"cluster {cluster!r}: give tcp://host:port of a Dask scheduler, or slurm:FILE")
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise InputError(f"cluster {cluster}: needs dask-jobqueue; run `pip install dask-jobqueue`") from error
    import yaml

    try:
        settings = yaml.safe_load(Path(cluster.removeprefix("slurm:")).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cluster {cluster}: cannot be read ({error})") from error
    if not isinstance(settings, dict):
        raise InputError(f"cluster {cluster}: must hold settings of SLURMCluster, such as `queue: gpu` and `jobs: 4`")
    jobs = settings.pop("jobs", 1)
    started = SLURMCluster(**settings)
    started.scale(jobs=jobs)
    return Client(_revived(started), set_as_default=False)


_here = threading.local()


def inside_worker() -> bool:
    """Whether a cell runs in this thread, as in a Dask worker's: a fan-out then stays in it."""
    return bool(getattr(_here, "cell", False))


def pinned(devices: tuple[str, ...], function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a worker, on the worker's device, with one thread for each library."""
    if devices:
        from distributed import get_worker

        os.environ["CUDA_VISIBLE_DEVICES"] = devices[int(get_worker().name)]
    _one_thread_each()
    _here.cell = True
    try:
        return function(*arguments)
    finally:
        _here.cell = False


@functools.cache
def _one_thread_each() -> None:
    """Hold this worker's libraries to one thread, once: what is loaded already by asking it, the rest by variables."""
    from threadpoolctl import threadpool_limits

    os.environ.update(ONE_THREAD)
    threadpool_limits(1)
    for module, setter in (("torch", "set_num_threads"), ("cv2", "setNumThreads"), ("numba", "set_num_threads")):
        if module in sys.modules:
            getattr(sys.modules[module], setter)(1)
