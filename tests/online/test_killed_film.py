"""`msfp track` ended by SIGKILL at chosen moments and started again: every byte as without (processes of their own)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from .film_server import HALF, PART

pytestmark = pytest.mark.xdist_group("killed film")

FRAMES = 11
ROOT = Path(__file__).resolve().parents[2]
Film = Callable[..., int]
# A tracker of each filter; moments before a part's end, at it, behind it, within the writing of a part, at the end.
CASES: list[tuple[str, list[int | str]]] = [
    ("msfp-track", [PART, PART + 1, HALF]),
    ("botsort", [PART + 2]),
    ("deep-ocsort", [2 * PART + 1]),
    ("boosttrack", [FRAMES]),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Film]:
    """`film(words, stop)` -> exit status of `msfp track` on a street, begun by `film_server`."""
    folder = tmp_path_factory.mktemp("killed")
    draw(folder / "street")
    given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("film_server.py"))],
            cwd=folder, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
        ) as server,
    ):  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None

        def ask(words: list[str], stop: int | str | None = None) -> int:
            line = {"words": ["track", str(folder / "street"), "--home", str(folder), *words], "stop": stop}
            print(json.dumps(line), file=server.stdin, flush=True)
            answer = server.stdout.readline()
            assert answer, (folder / "said").read_text()
            return int(answer)

        yield ask
        server.stdin.close()


def draw(folder: Path) -> None:
    """People who pass each other before a wall along which the camera pans."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(60, 200, (24, 60, 3), dtype=np.uint8)
    wall = cv2.resize(noise, (600, 240), interpolation=cv2.INTER_CUBIC)
    for t in range(1, FRAMES + 1):
        image = wall[20 + t % 3 : 84 + t % 3, 3 * t : 3 * t + 96].copy()
        for k in range(3):
            left, top = 10 + 28 * k + (2 * t if k % 2 else -t), 8 + 3 * k
            cv2.rectangle(image, (left, top + 9), (left + 10, top + 40), (200, 60 * k, 40), -1)
            cv2.circle(image, (left + 5, top + 5), 4, (120, 150, 200), -1)
        cv2.imwrite(str(folder / f"{t:06d}.png"), image)


def results(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir() if p.is_file() and not p.name.startswith(".")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by fork, which this system does not have")
@pytest.mark.parametrize(("tracker", "stops"), CASES, ids=[name for name, _ in CASES])
def test_a_killed_film_goes_on_as_if_it_had_not_been_killed(
    film: Film, tmp_path: Path, tracker: str, stops: list[int | str]
) -> None:
    words = ["--fps", "30", "--tracker", tracker, "--appearance", "native", "--threshold", "0.06,0.02"]
    words += ["-p", "input.size=96,64"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert film([*words, "--out", str(whole)]) == 0
    kept = 0
    for stop in stops:
        assert film([*words, "--out", str(cut)], stop) == -signal.SIGKILL
        assert not (cut / "street.txt").exists()
        # what an earlier process kept stays, and a part counts once what was seen is there
        before, kept = kept, len(list((cut / ".parts").glob("*.npz")))
        assert kept == (before if stop == HALF else (int(stop) - 1) // PART)
    assert film([*words, "--out", str(cut)], FRAMES + 1) == 0, "in a process of its own again, which nothing stops"
    expected = results(whole)
    assert set(expected) == {"street.txt", "street.json", "street-tau.csv", "street.mp4"}
    assert results(cut) == expected
    numbers = [int(row.split(b",")[0]) for row in expected["street.txt"].splitlines()]
    assert max(numbers) == FRAMES, "people are followed to the end, over every stop"
