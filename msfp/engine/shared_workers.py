"""Local workers that a process lends to those it starts, so that a run of many notebooks starts them once.

A worker takes seconds to start and to load what its cells need, and keeps what it has read; a pool for each notebook's
kernel does all of it again. The lender's address goes to the kernels by a variable of their environment.
"""

import threading
from typing import Any

from msfp.engine import cluster as clusters

CHECK_SECONDS = 2.0


class Lender:
    """Workers for other processes, started when the first of them is about to be."""

    def __init__(self, workers: int) -> None:
        """Lend so many workers; 0 lends none."""
        self.workers = workers
        self._pool: Any = None
        self._stop = threading.Event()
        self._guard = threading.Thread(target=self._keep, daemon=True)

    def environment(self) -> dict[str, str]:
        """Variables by which a process started now finds the workers."""
        if not self.workers:
            return {}
        if self._pool is None:
            self._pool = clusters.local_cluster(self.workers)
            self._guard.start()
        return {clusters.LENT: f"{self.workers} {self._pool.scheduler_address}"}

    def close(self) -> None:
        """Stop the workers."""
        self._stop.set()
        if self._pool is not None:
            self._guard.join()
            self._pool.close()
            self._pool = None

    def __enter__(self) -> "Lender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self) -> None:
        """Start workers that are gone for good: one that dies while it starts is not started again by Dask itself."""
        while not self._stop.wait(CHECK_SECONDS):
            self._pool.scale(self.workers)
