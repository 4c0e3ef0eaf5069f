"""Fan-out: one call for every loop over sequences, settings and seeds; in-process, on local workers or a cluster."""

import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from msfp.engine import cluster as clusters
from msfp.engine.progress import Bar
from msfp.engine.store_check import FolderLost, SharedFolder, shared
from msfp.errors import MsfpError

T = TypeVar("T")
R = TypeVar("R")
BATCH_SECONDS = 0.1
RETRIES = 2
IN_FLIGHT = 2
PATIENCE = 2.0


class CellsFailed(MsfpError):
    """Some cells of a fan-out failed; the others were computed.

    Attributes:
        failures: position of the item -> what it raised.
        results: results in the items' order, None where it failed.
    """

    def __init__(self, message: str, failures: dict[int, Exception], results: list[Any]) -> None:
        super().__init__(message)
        self.failures = failures
        self.results = results

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.failures, self.results)


@dataclass(frozen=True)
class Outcome:
    """What became of one item: its value, or the exception and where it was raised."""

    index: int
    value: Any = None
    error: Exception | None = None
    place: str = ""


def map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int = 0,
    cluster: str | None = None,
    gpu: bool = False,
    store: Path | None = None,
    progress: Callable[[int], object] | None = None,
    label: str = "",
    name: Callable[[T], str] = repr,
) -> list[R]:
    """`[function(item) for item in items]`, spread over workers.

    Every item is tried, whatever happens to the others. Items a killed worker held are tried again. In workers each
    library uses one thread. Inside a worker, a nested call runs in-process.

    Args:
        function: takes an item; what both return must be picklable when there are workers.
        items: the cells, in the order of the results.
        workers: 0 runs in-process; N uses N local processes, started on first use and kept for the next call.
        cluster: `tcp://host:port` of a Dask scheduler or `slurm:FILE`, instead of local workers.
        gpu: the cells use a GPU: they run on one worker a device.
        store: folder that the cells write their results to; every worker has to see it.
        progress: called with the number of items just finished; None shows a bar when there is a label.
        label: what is being done, for the bar and the error.
        name: how an error names an item.

    Raises:
        CellsFailed: at the end, names each failed cell and its error.
        FolderLost: `store` is gone or cannot be written where a cell ran; at once, for all cells.
        InputError: the cluster cannot be reached, or has no GPU workers.
    """
    cells = list(items)
    work = Work(function, shared(store) if store is not None and cells else None)
    with Bar(len(cells), label) if progress is None and label else nullcontext() as bar:
        advance = progress or (bar.update if bar is not None else _ignore)
        if (workers or cluster) and len(cells) > 0 and not clusters.inside_worker():
            outcomes = _distribute(work, cells, clusters.open_pool(workers, cluster, gpu), advance)
        else:
            outcomes = []
            for index, cell in enumerate(cells):
                outcomes += work.run([(index, cell)])[1]
                advance(1)
    results: list[Any] = [None] * len(cells)
    for outcome in outcomes:
        results[outcome.index] = outcome.value
    failed = sorted((outcome for outcome in outcomes if outcome.error is not None), key=lambda outcome: outcome.index)
    if failed:
        raise _failure(failed, [name(cells[outcome.index]) for outcome in failed], results, label) from failed[0].error
    return cast(list[R], results)


def close() -> None:
    """Stop local workers and leave clusters; a later `map` starts anew."""
    clusters.close()


@dataclass(frozen=True)
class Work:
    """What is done with each cell, and the folder its result has to reach."""

    function: Callable[[Any], Any]
    folder: SharedFolder | None = None

    def run(self, batch: Sequence[tuple[int, Any]]) -> tuple[float, list[Outcome]]:
        """Run cells one after the other; returns seconds and the outcomes. What a worker executes.

        Raises:
            FolderLost: the results of these cells did not reach the folder.
        """
        began = time.perf_counter()
        outcomes = []
        if self.folder is not None:
            self.folder.check()
        for index, item in batch:
            try:
                outcomes.append(Outcome(index, self.function(item)))
            except Exception as error:
                if self.folder is not None:
                    self.folder.probe()
                frames = traceback.extract_tb(error.__traceback__)
                outcomes.append(Outcome(index, error=error, place=f"{frames[-1].filename}:{frames[-1].lineno}"))
            if self.folder is not None:
                self.folder.check()  # a store that vanished in the middle was made anew by the cell, for nobody to find
        return time.perf_counter() - began, outcomes


def _distribute(work: Work, cells: list[Any], pool: clusters.Pool, advance: Callable[[int], object]) -> list[Outcome]:
    """All cells in batches; then each whose worker died alone, as a cell that kills takes its neighbours with it."""
    outcomes, lost = _submit(work, list(enumerate(cells)), pool, advance)
    for cell in lost:
        for _attempt in range(RETRIES):
            alone, gone = _submit(work, [cell], pool, advance)
            outcomes += alone
            if not gone:
                break
        else:
            outcomes.append(Outcome(cell[0], error=MsfpError("its worker process died each time (out of memory?)")))
            advance(1)
    return outcomes


def _submit(
    work: Work, cells: list[tuple[int, Any]], pool: clusters.Pool, advance: Callable[[int], object]
) -> tuple[list[Outcome], list[tuple[int, Any]]]:
    """Outcomes, and the cells whose worker died.

    Cells go out one by one until the first come back, then in batches that outweigh their sending.
    """
    from distributed import KilledWorker, wait

    width = pool.width()
    waiting, size = deque(cells), 1
    futures: dict[Any, list[tuple[int, Any]]] = {}
    outcomes: list[Outcome] = []
    lost: list[tuple[int, Any]] = []

    def send() -> None:
        # At most a share of the rest: the last cells may be the slow ones, and are then for all workers.
        count = min(size, math.ceil(len(waiting) / (IN_FLIGHT * width)))
        batch = [waiting.popleft() for _ in range(count)]
        futures[pool.submit(work.run, batch)] = batch

    while waiting or futures:
        while waiting and len(futures) < IN_FLIGHT * width:
            send()
        try:
            with pool.client.as_current():
                finished = wait(list(futures), timeout=PATIENCE, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            pool.revive()
            continue
        for future in finished:
            batch = futures.pop(future)
            try:
                took, found = future.result()
            except KilledWorker:
                lost += batch
                continue
            except FolderLost:
                pool.client.cancel(list(futures))
                raise
            except Exception as error:  # what could not be sent or brought back
                found = [Outcome(index, error=error) for index, _ in batch]
            else:
                size = math.ceil(BATCH_SECONDS * len(batch) / max(took, 1e-6))
            outcomes += found
            advance(len(batch))
    return outcomes, lost


def _failure(failed: list[Outcome], names: list[str], results: list[Any], label: str) -> CellsFailed:
    lines = []
    for outcome, name in zip(failed, names, strict=True):
        error = outcome.error
        text = str(error) if isinstance(error, MsfpError) else f"{type(error).__name__}: {error}"
        where = f" (at {outcome.place})" if outcome.place and not isinstance(error, MsfpError) else ""
        lines.append(f"{name}: {text}{where}")
    head = f"{label or 'fan-out'}: {len(failed)} of {len(results)} cells failed"
    failures = {outcome.index: outcome.error for outcome in failed if outcome.error is not None}
    return CellsFailed("\n  ".join([head, *lines]), failures, results)


def _ignore(_count: int) -> None:
    """No progress wanted."""
