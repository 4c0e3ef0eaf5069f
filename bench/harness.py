"""How benchmarks are run here: ours and the peers in turn, in one process, on one thread.

Every side runs once to warm up (kernels compile there) and once to see how long it takes; short calls are repeated
until a measurement lasts 50 ms. Then come rounds A B C A B C ..., so that a machine that slows down slows all sides. A
ratio is taken within each round and its median reported: ratios hold on a busy machine where times do not. Times are
the process's CPU seconds, which on one thread are the seconds of an idle machine; what the clock on the wall said is
kept beside them. A peer in an environment of its own tells its CPU seconds.
"""

import argparse
import datetime
import gc
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from outside import ORACLE
from tables import FORMAT, OURS, Entry, text_table, write_readme

from msfp.engine.cluster import ONE_THREAD
from msfp.engine.files import atomic_write
from msfp.engine.provenance import git_state, hardware, package_versions

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SHORTEST = 0.05  # seconds a measurement lasts at least
SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6}
SHOWN = ("torch", "torchvision", "ultralytics", "numpy", "numba", "scikit-learn", "trackeval", "lap")


@dataclass(frozen=True)
class Options:
    """How a benchmark is asked to run.

    Attributes:
        quick: tiny inputs, one round: to see that it works, not how fast.
        root: folder of real sequences in MOTChallenge layout; None takes synthetic ones.
        rounds: None: what each case says.
    """

    quick: bool = False
    root: Path | None = None
    rounds: int | None = None


class Clocked(NamedTuple):
    """A result and the seconds it took. A side that runs in a process of its own returns one, without CPU seconds."""

    value: Any
    wall: float
    cpu: float | None = None


@dataclass(frozen=True)
class Case:
    """One input and the sides that work on it.

    Attributes:
        name: of the input, short.
        inputs: what it is, with its seed.
        sides: name -> work. `msfp` is ours; others are what it is compared with.
        agree: takes the sides' results by name, raises AssertionError where they differ, returns what it found.
        unit: s, ms or us, and after a slash what a unit of work is: `ms/frame`.
        per: units of work in one call.
        rounds: how often each side is measured.
        absent: sides whose environment is not there: left out with a message. A README's row of an earlier run stays.
    """

    name: str
    inputs: str
    sides: Mapping[str, Callable[[], Any]]
    agree: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    unit: str = "ms"
    per: int = 1
    rounds: int = 7
    absent: tuple[str, ...] = ()


def one_thread() -> None:
    """Start this script again with every library held to one thread, unless it is: they read it when imported."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)


def measure(case: Case, options: Options) -> Entry:
    """Warm up, hold the results against each other, time all sides in turn.

    Raises:
        AssertionError: the sides do not compute the same; nothing is timed then.
    """
    for name in case.absent:
        print(f"{case.name}: {name} left out, it is not in {ORACLE}; `make oracle` brings it", file=sys.stderr)
    sides = {name: work for name, work in case.sides.items() if name not in case.absent}
    first = {name: work() for name, work in sides.items()}
    checks = dict(case.agree({name: r.value if isinstance(r, Clocked) else r for name, r in first.items()}))
    repeats = dict.fromkeys(sides, 1)
    if not options.quick:
        # Work that keeps its own time, of a frame say, is long enough as it is.
        repeats = {n: 1 if isinstance(first[n], Clocked) else enough(once(work)) for n, work in sides.items()}
    rounds = 1 if options.quick else options.rounds or case.rounds
    times: dict[str, list[Clocked]] = {name: [] for name in sides}
    timed = {n: r for n, r in first.items() if rounds == 1 and isinstance(r, Clocked)}
    del first
    for _ in range(rounds):
        for name, work in sides.items():
            gc.collect()
            times[name].append(timed.get(name) or once(work, repeats[name]))
    scale = SCALES[case.unit.partition("/")[0]] / case.per
    return {
        "case": case.name,
        "inputs": case.inputs,
        "unit": case.unit,
        "rounds": rounds,
        "repeats": repeats,
        "sides": {
            name: summary([scale * (t.wall if t.cpu is None else t.cpu) for t in ts]) for name, ts in times.items()
        },
        "wall": {name: summary([scale * t.wall for t in ts]) for name, ts in times.items()},
        "wall_only": sorted(name for name, ts in times.items() if ts[0].cpu is None),
        "ratios": {name: summary(ratios(ts, times[OURS])) for name, ts in times.items() if name != OURS},
        "absent": list(case.absent),
        "checks": checks,
    }


def ratios(theirs: list[Clocked], ours: list[Clocked]) -> list[float]:
    """How many times as long as ours a peer took, round by round: CPU seconds where both have them, else wall."""
    return [
        a.wall / b.wall if a.cpu is None or b.cpu is None else a.cpu / b.cpu for a, b in zip(theirs, ours, strict=True)
    ]


def summary(values: Iterable[float]) -> dict[str, float]:
    """Median, smallest and largest, to five digits."""
    found = list(values)
    picked = {"median": statistics.median(found), "min": min(found), "max": max(found)}
    return {name: float(f"{value:.5g}") for name, value in picked.items()}


def once(work: Callable[[], Any], repeats: int = 1) -> Clocked:
    """The last result of some calls and the mean seconds of one."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        value = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return value if isinstance(value, Clocked) else Clocked(value, wall / repeats, cpu / repeats)


def by_the_wall(work: Callable[[], Any]) -> Clocked:
    """A result and wall seconds alone, for work whose time is not this process's: other processes, the disk."""
    began = time.perf_counter()
    value = work()
    return Clocked(value, time.perf_counter() - began)


def enough(first: Clocked) -> int:
    """Calls that together last long enough to be measured."""
    if first.cpu is None:
        return 1
    return max(1, min(1000, math.ceil(SHORTEST / max(first.cpu, 1e-9))))


def host() -> Entry:
    """The machine and the versions that a result belongs to."""
    found = hardware()
    versions = package_versions()
    return {
        "class": host_class(found["cores"], platform.machine()),
        "cpu": found["cpu"],
        "cores": found["cores"],
        "memory_bytes": found["memory_bytes"],
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: versions[name] for name in SHOWN if name in versions},
    }


def host_class(cores: int, machine: str) -> str:
    """`2core-x86`: machines whose results may be put beside each other."""
    family = {"x86_64": "x86", "amd64": "x86", "aarch64": "arm", "arm64": "arm"}
    return f"{cores}core-{family.get(machine.lower(), machine.lower())}"


def save(folder: Path, name: str, cases: list[Entry], today: datetime.datetime) -> Path:
    """Put a benchmark's cases into the day's file of this host class; its other benchmarks stay."""
    machine = host()
    path = folder / f"{today.date().isoformat()}-{machine['class']}.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["benches"] if path.is_file() else {}
    kept[name] = {
        "written": today.isoformat(timespec="seconds"),
        "code": git_state()["commit"],
        "threads": 1,
        "load": [round(value, 1) for value in os.getloadavg()],
        "host": machine,
        "cases": cases,
    }
    found = {"format": FORMAT, "host_class": machine["class"], "benches": dict(sorted(kept.items()))}
    atomic_write(path, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def arguments(name: str, given: list[str] | None = None) -> argparse.Namespace:
    """Command line of every benchmark."""
    parser = argparse.ArgumentParser(prog=f"bench_{name}")
    real = os.environ.get("MSFP_REAL")
    parser.add_argument("root", nargs="?", type=Path, default=Path(real) if real else None)
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.add_argument("--quick", action="store_true", help="tiny inputs, one round; nothing is written")
    parser.add_argument("--rounds", type=int, help="in place of each case's own number")
    parser.add_argument("--results", type=Path, help="folder for results; default: beside the benchmarks")
    return parser.parse_args(given)


def main(name: str, cases: Callable[[Options], Iterable[Case]]) -> None:
    """Run one benchmark from the command line; writes results and README unless it is a quick look."""
    asked = arguments(name)
    one_thread()
    options = Options(asked.quick, asked.root, asked.rounds)
    label = name if asked.root is None else f"{name} ({asked.root.resolve().name})"
    done = [measure(case, options) for case in cases(options)]
    print(json.dumps({"bench": label, "host": host(), "cases": done}) if asked.json else text_table(label, done))
    folder = asked.results or (None if asked.quick else RESULTS)
    if folder is not None:
        save(folder, label, done, datetime.datetime.now(datetime.UTC))
        if folder == RESULTS:
            write_readme(RESULTS, HERE / "README.md")
