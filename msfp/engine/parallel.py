"""Fan-out: one call for every loop over sequences, settings and seeds; in-process, on local workers or a cluster."""

import json
import math
import os
import re
import secrets
import socket
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from msfp.engine import cluster as clusters
from msfp.engine.files import atomic_write, locked, write_error
from msfp.errors import MsfpError

VARIABLE = "MSFP_PROGRESS"
INTERVAL = 0.2


class Bar:
    """A progress bar of `total` steps (None: not known) that knows where it may show."""

    def __init__(self, total: int | None = None, label: str = "", every: float = 0.0) -> None:
        """Begin. `every`: seconds between lines on stderr where no bar can be shown; 0: none."""
        self.label, self.total, self.done = label, total, 0
        self._every, self._begun = every, time.monotonic()
        self._told = self._begun
        self._file = os.environ.get(VARIABLE)
        self._written = 0.0
        self._bar = _visible_bar(total, label) if self._file is None and total != 0 else None
        self.update(0)

    def update(self, count: int = 1) -> None:
        """Count steps as finished; the runner's file is written at most a few times a second and at the end."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        now = time.monotonic()
        if self._every and self._bar is None and self._file is None and now - self._told > self._every:
            self._told = now
            whole = f" of {self.total}" if self.total else ""
            print(f"{self.label}: {self.done}{whole}, {self.done / (now - self._begun):.3g} a second", file=sys.stderr)
        if self._file and (now - self._written > INTERVAL or self.done == self.total):
            self._written = now
            with suppress(OSError):
                Path(self._file).write_text(json.dumps([self.label, self.done, self.total or 0]), encoding="utf-8")

    def note(self, text: str) -> None:
        """Show a word beside the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def line(self, text: str) -> None:
        """Print a line to stderr, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def read(path: Path) -> tuple[str, int, int] | None:
    """Label, steps done and total (0 where not known) that a bar wrote last; None before the first time or in the
    middle of a write."""
    try:
        label, done, total = json.loads(path.read_text(encoding="utf-8"))
        return str(label), int(done), int(total)
    except (OSError, ValueError, TypeError):
        return None


def shown() -> bool:
    """Whether bars show on stderr: at a terminal, outside continuous integration."""
    return not os.environ.get("CI") and sys.stderr is not None and sys.stderr.isatty()


def _visible_bar(total: int | None, label: str) -> Any:
    """A tqdm bar for the place we run in; None where it would only clutter a log."""
    # A process that has only imported what kernels are made of is none.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel") and not os.environ.get("CI"):
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar(total=total, desc=label or None, leave=False)
    if not shown():
        return None
    from tqdm import tqdm

    colour = None if os.environ.get("NO_COLOR") else "cyan"
    return tqdm(total=total, desc=label or None, file=sys.stderr, leave=False, dynamic_ncols=True, colour=colour)


T = TypeVar("T")
R = TypeVar("R")
BATCH_SECONDS = 0.1
SILENCE = 30.0  # seconds after which a loop without a bar says in a line how far it is
RETRIES = 2
IN_FLIGHT = 2
MARK = "identity"


class CellsFailed(MsfpError):
    """Some cells of a fan-out failed; the others were computed."""


class FolderLost(MsfpError):
    """A folder of results cannot be used where a cell runs; no other cell can do better there."""


class Outcome(NamedTuple):
    """What became of one item: its value, or the exception and where it was raised."""

    cell: int
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
    if not cells:
        return []
    work = Work(function, store, mark_folder(store) if store else None)
    with Bar(len(cells), label, every=SILENCE) if progress is None and label else nullcontext() as bar:
        advance = progress or (bar.update if bar is not None else lambda _: None)
        if (workers or cluster) and not clusters.inside_worker():
            outcomes = _distribute(work, cells, clusters.open_pool(workers, cluster, gpu), advance)
        else:
            outcomes = []
            for index, cell in enumerate(cells):
                outcomes += work.run([(index, cell)])[1]
                advance(1)
    outcomes.sort(key=lambda outcome: outcome.cell)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        return [outcome.value for outcome in outcomes]
    title = f"{label or 'fan-out'}: {len(failed)} of {len(cells)} cells failed"
    told = [
        (index, str(error) if isinstance(error, MsfpError) else f"{type(error).__name__}: {error}{place}")
        for index, _, error, place in failed
    ]
    alike = len({text for _, text in told}) == 1 and isinstance(failed[0].error, MsfpError)
    if alike and len(failed) > 1:  # such as weights that cannot be read
        raise CellsFailed(f"{title}, all alike: {told[0][1]}") from failed[0].error
    raise CellsFailed("\n  ".join([title, *(f"{name(cells[k])}: {text}" for k, text in told)])) from failed[0].error


def mark_folder(path: Path) -> str | None:
    """The mark that tells a folder from another one of its path; None where it cannot be written: a full store."""
    place = path / MARK
    try:
        with locked(path / "locks" / f"{MARK}.lock"):
            if not (place.is_file() and re.fullmatch(rb"[0-9a-f]{32}", place.read_bytes())):
                atomic_write(place, secrets.token_hex(16).encode())
        return place.read_text(encoding="ascii")
    except (MsfpError, OSError):
        return None


@dataclass(frozen=True)
class Work:
    """What is done with each cell, the folder that its result has to reach, and the folder's mark."""

    function: Callable[[Any], Any]
    store: Path | None = None
    mark: str | None = None

    def run(self, batch: Sequence[tuple[int, Any]]) -> tuple[float, list[Outcome]]:
        """Run cells one after the other; returns seconds and the outcomes. What a worker executes."""
        began, outcomes = time.perf_counter(), []
        self._check()
        for index, item in batch:
            try:
                outcomes.append(Outcome(index, self.function(item)))
            except Exception as error:
                self._check(write=True)
                at = traceback.extract_tb(error.__traceback__)[-1]
                outcomes.append(Outcome(index, error=error, place=f" (at {at.filename}:{at.lineno})"))
            self._check()  # a store that vanished in the middle was made anew by the cell, for nobody to find
        return time.perf_counter() - began, outcomes

    def _check(self, write: bool = False) -> None:
        """Look whether this process sees the folder that was marked, some microseconds; and may write there."""
        if self.store is None:
            return
        what = "is another one than where this run began"
        try:
            if self.mark is None or (self.store / MARK).read_text(encoding="ascii", errors="replace") == self.mark:
                what = ""
        except OSError as error:
            what = f"is gone or not mounted ({error.strerror})"
        if what:
            raise FolderLost(
                f"{self.store}: this folder {what} on {socket.gethostname()}; results have nowhere to go. Bring it "
                "back, or mount it under this path on every worker, and repeat the command: what was stored is kept"
            )
        if write:  # what a read-only or full disk refuses fails every cell
            try:
                with tempfile.TemporaryFile(dir=self.store, buffering=0) as file:
                    file.write(b"?")
            except OSError as error:
                raise FolderLost(f"{write_error(self.store, error, 1)} (on {socket.gethostname()})") from None


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
    from distributed import KilledWorker, as_completed

    client, submit = pool
    most = IN_FLIGHT * max(1, sum(client.nthreads().values()))
    waiting, size = deque(cells), 1
    sent: dict[Any, list[tuple[int, Any]]] = {}
    outcomes: list[Outcome] = []
    lost: list[tuple[int, Any]] = []
    futures = as_completed([], loop=client.loop)

    def send() -> None:
        while waiting and len(sent) < most:
            # At most a share of the rest: the last cells may be the slow ones, and are then for all workers.
            batch = [waiting.popleft() for _ in range(min(size, math.ceil(len(waiting) / most)))]
            future = submit(work.run, batch)
            sent[future] = batch
            futures.add(future)

    send()
    for future in futures:
        batch = sent.pop(future)
        try:
            took, found = future.result()
        except KilledWorker:
            lost += batch
            found = []
        except FolderLost:
            client.cancel(list(sent))
            raise
        except Exception as error:  # what could not be sent or brought back
            found = [Outcome(index, error=error) for index, _ in batch]
        else:
            size = math.ceil(BATCH_SECONDS * len(batch) / max(took, 1e-6))
        outcomes += found
        advance(len(found))
        send()
    return outcomes, lost
