"""Milliseconds of named stages, frame by frame: the host's clock, or events where the work runs on a GPU."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

MILLI = 1e3
Item = TypeVar("Item")


@dataclass(frozen=True)
class Spread:
    """First quartile, median and third quartile of `count` times."""

    low: float
    median: float
    high: float
    count: int

    @property
    def half(self) -> float:
        """Half the distance of the quartiles."""
        return (self.high - self.low) / 2


def spread(values: NDArray[np.float64]) -> Spread:
    """Quartiles of (T,) times."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return Spread(low, median, high, len(values))


class Stopwatch:
    """Times stages of frames; on a GPU a stage marked `device` by two events on its stream, without synchronisation."""

    def __init__(self, device: str = "cpu") -> None:
        """`device` is torch's name of where stages marked `device` run."""
        self.on_gpu = device.startswith("cuda")
        self._frames: list[dict[str, float]] = []
        self._pending: list[tuple[str, Any, Any]] = []

    def begin(self) -> None:
        """Begin a frame."""
        self._frames.append({})

    @contextmanager
    def stage(self, name: str, *, device: bool = False) -> Iterator[None]:
        """Time the block as a stage of the current frame; a stage timed twice counts both times."""
        if device and self.on_gpu:
            import torch

            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            yield
            last.record()
            self._pending.append((name, first, last))
            return
        began = time.perf_counter()
        yield
        self.add(name, MILLI * (time.perf_counter() - began))

    def finish(self) -> None:
        """End the frame: wait for its last event and read all of them."""
        if self._pending:
            self._pending[-1][2].synchronize()
        for name, first, last in self._pending:
            self.add(name, first.elapsed_time(last))
        self._pending.clear()

    def times(self, skip: int = 0) -> dict[str, NDArray[np.float64]]:
        """Stage -> (T,) milliseconds of the frames after the first `skip`; 0 in frames that lacked the stage."""
        kept = self._frames[skip:]
        names = dict.fromkeys(name for frame in kept for name in frame)
        return {name: np.array([frame.get(name, 0.0) for frame in kept]) for name in names}

    def add(self, name: str, milliseconds: float) -> None:
        """Count milliseconds, timed elsewhere, to a stage of the current frame."""
        frame = self._frames[-1]
        frame[name] = frame.get(name, 0.0) + milliseconds


def in_turn(items: Iterable[Item], turn: int) -> list[Item]:
    """The items, another one first with every frame: who comes first finds the caches cold, and pays for all."""
    some = list(items)
    first = turn % max(len(some), 1)
    return some[first:] + some[:first]
