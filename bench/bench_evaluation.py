"""Evaluation: TrackEval and motrics beside `msfp.metrics.hota`, each from files and in memory; HOTA, CLEAR, Identity.

The tracks are our ByteTrack's. TrackEval and ours give the same score: integers equal, floats within 1e-9. TrackEval's
own report files and plots are switched off, and its parallel processes too. motrics (Rust) runs where `make oracle` put
it and tells its CPU seconds, of its own reading of files and of its MOTChallenge preparation with the scoring. It says
to be TrackEval to the bit and is not on every sequence: how far apart is told.
"""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import crowd
import numpy as np
import outside
from harness import OURS, Case, Clocked, Options, main

from msfp.data.motchallenge import read_ground_truth, read_tracks, write_tracks
from msfp.metrics import hota
from msfp.metrics import scores as trackeval
from msfp.metrics.scores import SequenceScore, identical
from msfp.tracking import make, track
from msfp.types import GroundTruth

FILES, MEMORY, OURS_FILES = "TrackEval, from files", "TrackEval, in memory", "msfp, from files"
MOTRICS_FILES, MOTRICS = "motrics, from files", "motrics, in memory"
MOTRICS_NAMES = {
    "hota": {
        "hota_tp": "hota_tp_alphas",
        "hota_fn": "hota_fn_alphas",
        "hota_fp": "hota_fp_alphas",
        "ass_a": "assa_alphas",
        "ass_re": "ass_re_alphas",
        "ass_pr": "ass_pr_alphas",
        "loc_a": "loca_alphas",
    },
    "clear": {
        "tp": "num_matches",
        "fn": "num_misses",
        "fp": "num_false_positives",
        "idsw": "num_switches",
        "frames": "num_frames",
        **{name: name for name in ("mt", "pt", "ml", "frag")},
    },
    "identity": {name: name for name in ("idtp", "idfn", "idfp")},
}
Scores = list[SequenceScore]


def cases(options: Options) -> Iterator[Case]:
    """Seven synthetic sequences, or the real ones."""
    if options.root:
        scenes = crowd.real_scenes(options.root)
    else:
        length, count = (15, 2) if options.quick else (250, 7)
        scenes = [crowd.scene(8 if options.quick else 30, length, seed) for seed in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        yield case(scenes, Path(folder))


def case(scenes: list[crowd.Scene], folder: Path) -> Case:
    """All sides on the same sequences; what is in memory was read from the files."""
    for scene in scenes:
        write_truth(folder / "truth" / scene.name / "gt" / "gt.txt", scene.truth)
        write_tracks(tracks_path(folder, scene), track(make("bytetrack"), scene.found, scene.length))
    held = [(*read(folder, scene), scene.length) for scene in scenes]
    sides: dict[str, Callable[[], Any]] = {
        FILES: lambda: from_files(scenes, folder),
        MEMORY: lambda: [trackeval.evaluate(*one) for one in held],
        MOTRICS_FILES: lambda: by_motrics(scenes, folder, ("reading", "scoring")),
        MOTRICS: lambda: by_motrics(scenes, folder, ("scoring",)),
        OURS_FILES: lambda: [hota.evaluate(*read(folder, scene), scene.length) for scene in scenes],
        OURS: lambda: [hota.evaluate(*one) for one in held],
    }
    absent = () if outside.there("motrics") else (MOTRICS_FILES, MOTRICS)
    boxes = sum(len(tracks) for _, tracks, _ in held)
    frames = sum(scene.length for scene in scenes)
    inputs = f"{len(scenes)} sequences, {frames} frames, {boxes} tracked boxes"
    return Case(f"{len(scenes)} sequences", inputs, sides, agree, unit="s", rounds=3, absent=absent)


def write_truth(path: Path, truth: GroundTruth) -> None:
    """gt.txt as MOT17 has it."""
    path.parent.mkdir(parents=True)
    rows = zip(truth.frame, truth.id, truth.tlwh, truth.flag, truth.category, truth.visibility, strict=True)
    lines = [f"{f},{i},{','.join(f'{v:.10g}' for v in b)},{g:.0f},{c},{v:.5f}\n" for f, i, b, g, c, v in rows]
    path.write_text("".join(lines))


def tracks_path(folder: Path, scene: crowd.Scene) -> Path:
    """Where TrackEval looks for a tracker's result."""
    return folder / "trackers" / "ours" / "data" / f"{scene.name}.txt"


def read(folder: Path, scene: crowd.Scene) -> tuple[Any, Any]:
    """Labels and tracks of a scene."""
    return read_ground_truth(folder / "truth" / scene.name / "gt" / "gt.txt"), read_tracks(tracks_path(folder, scene))


def from_files(scenes: list[crowd.Scene], folder: Path) -> Scores:
    """TrackEval as its script runs it, less reports and plots."""
    with contextlib.redirect_stdout(io.StringIO()):
        from trackeval.datasets import MotChallenge2DBox
        from trackeval.metrics import CLEAR, HOTA, Identity

        quiet = {"PRINT_CONFIG": False}
        where = {"GT_FOLDER": str(folder / "truth"), "TRACKERS_FOLDER": str(folder / "trackers")}
        names = {scene.name: scene.length for scene in scenes}
        dataset = MotChallenge2DBox({**where, **quiet, "SEQ_INFO": names, "SKIP_SPLIT_FOL": True})
        metrics = HOTA(), CLEAR(dict(quiet)), Identity(dict(quiet))
        scores = []
        for name in names:
            data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", name), "pedestrian")
            scores.append(as_score(*(metric.eval_sequence(data) for metric in metrics)))
    return scores


def as_score(hota: Mapping[str, Any], clear: Mapping[str, Any], identity: Mapping[str, Any]) -> SequenceScore:
    """TrackEval's results as the value both sides share."""
    found = {**hota, **clear, **identity}
    columns: dict[str, Any] = {k: np.asarray(found[v], float) for k, v in trackeval.ARRAYS.items()}
    columns |= {k: int(found[v]) for k, v in trackeval.TRACKEVAL_NAMES.items()}
    return SequenceScore(**columns, motp_sum=float(clear["MOTP_sum"]))


def by_motrics(scenes: list[crowd.Scene], folder: Path, parts: tuple[str, ...]) -> Clocked:
    """motrics' scores, and the seconds of these parts of its work."""
    out = folder / "motrics.json"
    outside.call("motrics", folder, out, *(scene.name for scene in scenes))
    told = json.loads(out.read_text())
    seconds = sum(told[part] for part in parts)
    return Clocked([of_motrics(one) for one in told["scores"]], seconds, seconds)


def of_motrics(found: Mapping[str, Any]) -> SequenceScore:
    """motrics' results as the value all sides share."""
    columns = {name: found[part][theirs] for part, names in MOTRICS_NAMES.items() for name, theirs in names.items()}
    columns = {name: np.asarray(value) if isinstance(value, list) else value for name, value in columns.items()}
    return SequenceScore(**columns, motp_sum=found["clear"]["motp"] * columns["tp"])


def agree(results: Mapping[str, Scores]) -> dict[str, Any]:
    """Integers equal, floats within 1e-9, on every sequence; how far motrics is apart is told."""
    told: dict[str, Any] = {"integers": "equal", "floats within": 1e-9}
    for name, scores in results.items():
        pairs = list(zip(scores, results[OURS], strict=True))
        if name == MOTRICS:
            told |= {f"sequences on which motrics has another {part}": count for part, count in others(pairs).items()}
            told["motrics apart in HOTA"] = max(abs(one.hota - other.hota) for one, other in pairs)
            told["in MOTA"] = max(abs(one.mota - other.mota) for one, other in pairs)
            told["in IDSW"] = max(abs(one.idsw - other.idsw) for one, other in pairs)
            assert told["motrics apart in HOTA"] < 0.001, told
        elif name != MOTRICS_FILES:
            for k, (one, other) in enumerate(pairs):
                assert identical(one, other, 1e-9), (name, k, one.row(), other.row())
    return told | {"mean HOTA": float(np.mean([s.hota for s in results[OURS]]))}


def others(pairs: list[tuple[SequenceScore, SequenceScore]]) -> dict[str, int]:
    """Sequences on which the counts of a part of the score are not the same."""
    counts = {
        "HOTA": ("hota_tp", "hota_fn", "hota_fp"),
        "CLEAR": tuple(MOTRICS_NAMES["clear"]),
        "Identity": tuple(MOTRICS_NAMES["identity"]),
    }
    return {
        part: sum(any(np.any(getattr(one, k) != getattr(other, k)) for k in names) for one, other in pairs)
        for part, names in counts.items()
    }


if __name__ == "__main__":
    main("evaluation", cases)
