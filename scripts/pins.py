"""Hold a rebuilt package against what it computed before: fingerprints of all that a finished run made.

    python scripts/pins.py take --home . --profile smoke --real FOLDER pins.json
    python scripts/pins.py hold --home . --profile smoke --real FOLDER pins.json

`take` writes, `hold` compares and ends with status 1 where a fingerprint differs. Pinned are the cells of every table
(but for times), what each was measured from, the verdicts, the figures, the embedded frames with their labels and
boxes, the stored features, heads and thresholds by content (not by key, which changes with the code), and the tracks
of every tracker on labelled real sequences. Numbers are compared to the last bit; a table that differs is printed cell
by cell, so that rounding can be told from a change.
"""

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msfp.engine.store import SEAL, SUFFIX

TIMES = ("table07", "table11", "table15", "table24", "times", "conditions", "identity_times")  # seconds and memory
TIMED = "ms/frame"  # columns of other tables that are
STAGES = ("features", "variants", "own-boxes", "head", "atl", "grid", "selection", "score", "reid", "recovery")
CHANNELS = 32  # of the made-up embeddings that trackers get on real boxes

Pins = dict[str, Any]


def main() -> None:
    """Take pins or hold to them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["take", "hold"])
    parser.add_argument("pins", type=Path, help="file of the pins")
    parser.add_argument("--home", type=Path, default=Path(), help="folder of runs/, figures/ and data/")
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--real", type=Path, help="folder of labelled real sequences, in the MOTChallenge layout")
    given = parser.parse_args()
    found = pins(given.home, given.profile, given.real)
    if given.action == "take":
        given.pins.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"{sum(map(len, found.values()))} pins written to {given.pins}")
        return
    differences = list(compared(json.loads(given.pins.read_text()), found))
    print("\n".join(differences) or "every pin holds")
    sys.exit(bool(differences))


def pins(home: Path, profile: str, real: Path | None) -> Pins:
    """All fingerprints of a run, by kind and name."""
    out = home / "runs" / profile
    if not out.is_dir():
        raise SystemExit(f"{out}: no such run; make it with: msfp reproduce --profile {profile}")
    return {
        "tables": dict(tables(out)),
        "verdicts": dict(verdicts(out)),
        "figures": {p.stem: digest(p.read_bytes()) for p in sorted((home / "figures" / profile).glob("*.svg"))},
        "worlds": dict(worlds(home / "data")),
        "store": dict(stored(out / "store")),
        "tracks": dict(tracks(real)) if real is not None else {},
    }


def digest(data: bytes) -> str:
    """Short hexadecimal fingerprint."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def tables(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each table's cells as row and column -> [value, spread, where it comes from]."""
    for path in sorted((out / "tables").glob("*.json")):
        if path.stem in TIMES:
            continue
        cells = [c for c in json.loads(path.read_text(encoding="utf-8")) if not c["column"].startswith(TIMED)]
        yield path.stem, {f"{c['row']} | {c['column']}": [c.get("value"), c.get("std"), c["source"]] for c in cells}


def verdicts(out: Path) -> Iterator[tuple[str, str]]:
    """Each claim's verdict and effect."""
    path = out / "claims.csv"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["id"], digest(json.dumps(row, sort_keys=True).encode())


def worlds(data: Path) -> Iterator[tuple[str, str]]:
    """Each rendered sequence: its frames, labels and boxes."""
    for ini in sorted(data.rglob("seqinfo.ini")):
        files = sorted(p for p in ini.parent.rglob("*") if p.is_file())
        whole = "".join(f"{p.relative_to(ini.parent)} {digest(p.read_bytes())}\n" for p in files)
        yield ini.parent.relative_to(data).as_posix(), digest(whole.encode())


def stored(store: Path) -> Iterator[tuple[str, str]]:
    """Each stage's results by content, whatever they are called."""
    for stage in STAGES:
        found = sorted(digest(p.read_bytes()[SEAL:]) for p in (store / stage).glob(f"*{SUFFIX}"))
        yield stage, f"{len(found)} {digest(''.join(found).encode())}"


def tracks(real: Path) -> Iterator[tuple[str, str]]:
    """Each tracker's tracks on each real sequence, with made-up embeddings where it takes any."""
    from msfp.data import catalog
    from msfp.data.motchallenge import read_detections
    from msfp.tracking import make, names, track, tracker_class

    for scene in catalog.load(real, None, "train"):
        for sequence in scene.sequences:
            if sequence.det_path is None:
                continue
            boxes = read_detections(sequence.det_path, sequence)
            vectors = np.random.default_rng(0).normal(size=(len(boxes), CHANNELS)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            for name in names():
                looks = vectors if tracker_class(name).needs_embeddings else None
                found = track(make(name, fps=sequence.fps), boxes, sequence.length, looks)
                columns = (found.frame, found.id, found.tlwh, found.score)
                yield f"{sequence.name} {name}", digest(b"".join(np.ascontiguousarray(c).tobytes() for c in columns))


def compared(before: Pins, now: Pins) -> Iterator[str]:
    """Lines that say what differs."""
    for kind in sorted({*before, *now}):
        old, new = before.get(kind, {}), now.get(kind, {})
        for name in sorted({*old, *new}):
            if old.get(name) == new.get(name):
                continue
            if isinstance(old.get(name), Mapping) and isinstance(new.get(name), Mapping):
                yield from (f"{kind} {name}: {line}" for line in cells_that_differ(old[name], new[name]))
            else:
                yield f"{kind} {name}: {old.get(name, 'absent')} before, {new.get(name, 'absent')} now"


def cells_that_differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Cells that differ, with both values."""
    for cell in sorted({*old, *new}):
        if old.get(cell) != new.get(cell):
            yield f"{cell}: {old.get(cell, 'absent')} -> {new.get(cell, 'absent')}"


if __name__ == "__main__":
    main()
