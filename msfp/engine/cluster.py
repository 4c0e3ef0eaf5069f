"""Where a fan-out runs: local worker processes, a Dask scheduler, or jobs that Slurm starts."""

import atexit
import contextlib
import functools
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msfp.errors import InputError

log = logging.getLogger(__name__)
TIMEOUT = "15s"  # for a scheduler elsewhere
PATIENCE = "300s"  # for workers of this machine, which may be busy
LENT = "MSFP_WORKERS_AT"  # variable: how many workers another process lends to this one, and where
GPU = "GPU"  # the resource that `dask worker --resources GPU=1` declares
DESCRIPTORS, MANY_DESCRIPTORS = 128, 4096
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


@dataclass(frozen=True)
class Pool:
    """Workers that cells may run on.

    Attributes:
        client: Dask's.
        needs: what a cell asks of a worker, `{"GPU": 1}`; empty: nothing.
        devices: the GPUs of local workers, one each in the order of their names; empty: none is chosen for them.
    """

    client: Any
    needs: Mapping[str, int] = field(default_factory=dict)
    devices: tuple[str, ...] = ()

    def width(self) -> int:
        """How many cells run at once, at least 1."""
        return max(1, sum(self.client.nthreads().values()))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The future of a call in a worker, every library held to one thread."""
        return self.client.submit(
            pinned, self.devices, function, *arguments, pure=False, resources=dict(self.needs) or None
        )

    def revive(self) -> None:
        """Start workers that are gone for good: one that dies while it starts is not started again by Dask itself."""
        owned = self.client.cluster
        if owned is not None:
            owned.scale(len(owned.worker_spec))
        elif not self.client.nthreads():
            log.warning("the cluster has no workers; waiting for some (start them with `dask worker`)")


def open_pool(workers: int, cluster: str | None, gpu: bool = False) -> Pool:
    """Workers for this process, started once for each choice and stopped at exit.

    Args:
        workers: number of local processes, used when `cluster` is None.
        cluster: `tcp://host:port` or `slurm:FILE`.
        gpu: for cells that use a GPU. Local workers are then as many as there are devices, each bound to its own; in a
            cluster only workers started with `--resources GPU=1` are taken.

    Raises:
        InputError: unknown kind of cluster, nobody answers, no worker has a GPU, or dask-jobqueue is not installed.
    """
    devices = gpus() if gpu and cluster is None and workers > 0 else ()
    choice = (len(devices) or workers, cluster, bool(devices)) if cluster is None else (0, cluster, False)
    found = _open_clients().get(choice)
    if found is None or found.status != "running":
        found = _open_clients()[choice] = _connect(choice[0], cluster, lent=not devices)
    if cluster is None or not gpu:
        return Pool(found, devices=devices)
    if found.cluster is None and not any(found.run(_resources).values()):
        raise InputError(
            f"cluster {cluster}: no worker there offers a GPU; start one a device with `CUDA_VISIBLE_DEVICES=0 dask "
            "worker ADDRESS --nthreads 1 --resources GPU=1`, or give --device cpu"
        )
    return Pool(found, {GPU: 1})


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    import torch

    return tuple(str(number) for number in range(torch.cuda.device_count()))


def _resources(dask_worker: Any) -> float:
    """GPUs that a worker of a cluster says it has; Dask gives its name to the argument."""
    return float(dask_worker.state.total_resources.get(GPU, 0))


def close() -> None:
    """Stop what `client` started in this process."""
    while _open_clients():
        _, found = _open_clients().popitem()
        owned = found.cluster
        found.close()
        if owned is not None:
            owned.close()


@functools.cache
def _open_clients() -> dict[tuple[int, str | None, bool], Any]:
    """The clients of this process: workers outlive a call, as starting them takes seconds."""
    atexit.register(close)
    return {}


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


def _connect(workers: int, cluster: str | None, lent: bool) -> Any:
    from distributed import Client

    if cluster is None:
        # Workers bound to a device of their own are this process's.
        return (borrowed(workers) if lent else None) or Client(
            local_cluster(workers), timeout=PATIENCE, set_as_default=False
        )
    if cluster.startswith("slurm:"):
        return Client(_slurm(Path(cluster.removeprefix("slurm:"))), set_as_default=False)
    if not cluster.startswith(("tcp://", "tls://", "ucx://")):
        raise InputError(f"cluster {cluster!r}: give tcp://host:port of a Dask scheduler, or slurm:FILE")
    try:
        return Client(cluster, timeout=TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"cluster {cluster}: no scheduler answers there; start one with `dask scheduler` and workers with "
            "`dask worker`, or leave the option out to run in-process"
        ) from error


def local_cluster(workers: int) -> Any:
    """Worker processes on this machine, a Dask `LocalCluster`.

    Raises:
        InputError: fewer than one.
    """
    if workers < 1:
        raise InputError(f"workers={workers}: must be 0 (in-process) or the number of processes")
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
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # any free port, so that a second run does not stumble over the first
            memory_limit=0,  # the system decides: Dask would kill a worker at its share of memory
            silence_logs=logging.CRITICAL,
            preload=[__name__],
        )


def _need_loopback() -> None:
    """Hold the machine to what workers talk through.

    Raises:
        InputError: its own address does not answer.
    """
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()[:2], timeout=5.0).close()
    except OSError as error:
        raise InputError(
            f"workers talk through this machine's own address 127.0.0.1, which does not answer "
            f"({error.strerror or error}); bring the loopback interface up (`ip link set lo up`), or give --workers 0"
        ) from error


def _need_descriptors() -> None:
    """Let this process open as many files as the system allows it, and hold the system to what workers need.

    Raises:
        InputError: they are too few.
    """
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


def dask_setup(_worker: Any) -> None:
    """Called by Dask in a local worker that starts: Ctrl+C, which a terminal sends to all, is for its owner to heed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _slurm(file: Path) -> Any:
    """A cluster of Slurm jobs; the file holds SLURMCluster's settings as YAML or JSON, and `jobs`, how many."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise InputError(f"cluster slurm:{file}: needs dask-jobqueue; run `pip install dask-jobqueue`") from error
    import yaml

    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cluster slurm:{file}: cannot be read ({error})") from error
    if not isinstance(settings, dict):
        raise InputError(
            f"cluster slurm:{file}: must hold settings of SLURMCluster, such as `queue: gpu` and `jobs: 4`"
        )
    jobs = settings.pop("jobs", 1)
    cluster = SLURMCluster(**settings)
    cluster.scale(jobs=jobs)
    return cluster


def inside_worker() -> bool:
    """Whether this code runs in a Dask worker, where a fan-out stays in-process."""
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def pinned(devices: tuple[str, ...], function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a worker, on the worker's device, with one thread for each library."""
    if devices:
        from distributed import get_worker

        os.environ["CUDA_VISIBLE_DEVICES"] = devices[int(get_worker().name)]
    _one_thread_each()
    return function(*arguments)


@functools.cache
def _one_thread_each() -> None:
    """Hold this worker's libraries to one thread, once: what is loaded already by asking it, the rest by variables.

    Local workers are born with the variables; workers of a cluster that somebody else started are not. To look for
    libraries takes milliseconds, which a cell for each of a thousand sequences would feel.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(ONE_THREAD)
    threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)
