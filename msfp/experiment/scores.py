"""Stage 5: scores of methods on parts, with the reason where there is none; combined as TrackEval combines.

Scores come from kernels that equal TrackEval. By every benchmark's rules a sample is computed by TrackEval itself too,
and a difference stops the run.
"""

import math
from collections.abc import Callable, Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from functools import partial

import numpy as np

from msfp.errors import MsfpError, NotComputable
from msfp.experiment import data, thresholds
from msfp.experiment.data import Part, benchmark
from msfp.experiment.features import REID
from msfp.experiment.heads import BOUNDS, Appearance, train_heads
from msfp.experiment.passes import JOINT, frozen_features, seen
from msfp.experiment.run import Run, attempt, stage
from msfp.experiment.selection import needed_jobs, select_all
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method, recover_all, subject_of, tracks, train_all
from msfp.metrics import hota, scores
from msfp.metrics.oracle import oracle_tracks
from msfp.metrics.scores import SequenceScore, identical
from msfp.types import Sequence, Tracks


def learn_all(run: Run, methods: Iterable[Method], parts: ListLike[Part]) -> None:
    """Train heads, select settings, search thresholds and train ATL for methods that are measured on `parts`.

    All is then kept. ATL is trained for the public detectors that the parts have.
    """
    chosen, detectors = list(methods), thresholds.detectors_of(parts)
    learned = dict.fromkeys(thresholds.taught(run, r) if r.kind == "atl" else r for r in _rules(chosen))
    searched = [rule for rule in learned if rule.supervision == "grid"]
    train_heads(run, looks_of(run, chosen))
    own = [subject_of(m) for m in chosen if m.learn and m.boxes != JOINT]
    select_all(run, [*own, *(thresholds.searching_subject(run, rule.learn) for rule in searched)])
    grids = dict.fromkeys(
        (r.learn, p, d, r.mode) for r in searched for d in detectors for p, _ in data.having(r.learn, d)
    )
    run.map(partial(attempt, function=thresholds.target, run=run), grids, "grid search")
    atl = [(rule, d) for rule in learned if rule.kind == "atl" for d in detectors]
    run.map(partial(attempt, function=thresholds.train_atl, run=run), atl, "training thresholds")


def looks_of(run: Run, methods: Iterable[Method]) -> list[Appearance]:
    """The embeddings with a head that methods need: their own, and those with which thresholds are searched."""
    chosen = list(methods)
    own = [m.look for m in chosen if m.look is not None and m.look.strategy not in (REID, JOINT, *BOUNDS)]
    searched = [rule.learn for rule in _rules(chosen) if rule.supervision == "grid"]
    return list(dict.fromkeys([*own, *(look for learn in searched for look in thresholds.searching_looks(run, learn))]))


def _rules(methods: ListLike[Method]) -> list[Threshold]:
    return [m.threshold for m in methods if m.threshold.kind == "atl" or (m.threshold.kind == "grid" and m.look)]


SHARE, LEAST = 0.05, 12  # of a process's scores by one benchmark's rules, computed by TrackEval too
SWITCHED_OFF = "its ReID network runs once a box, so it is measured only with data.separate_reid=true"


@dataclass(frozen=True)
class Measured:
    """One method on one sequence's part."""

    method: Method
    part: Part
    sequence: Sequence
    score: SequenceScore | None
    reason: str = ""  # why there is no score


def _score_inputs(run: Run, part: Part, found: Tracks) -> dict[str, object]:
    truth = data.truth_digest(run, part.scene)
    return {"tracks": found, "truth": truth, "part": (part.first, part.last), "benchmark": benchmark(part.scene)}


@stage("score", _score_inputs, ("msfp.metrics.hota", "msfp.metrics.oracle"))
def score(run: Run, part: Part, found: Tracks) -> SequenceScore:
    """Score of tracks of a part, whose frames count from the part's first; TrackEval's numbers by kernels."""
    truth = data.window(data.truth(part.scene), part)
    return hota.evaluate(truth, found, part.length, benchmark=benchmark(part.scene))


@stage("official-score", _score_inputs, ("msfp.metrics.scores",))
def official(run: Run, part: Part, found: Tracks) -> SequenceScore:
    """The same score from TrackEval itself, which takes some forty times as long."""
    truth = data.window(data.truth(part.scene), part)
    return scores.evaluate(truth, found, part.length, benchmark=benchmark(part.scene))


def measured(run: Run, method: Method, part: Part, sequence: Sequence, found: Callable[[], Tracks]) -> Measured:
    try:
        return Measured(method, part, sequence, score(run, part, found()))
    except NotComputable as error:
        return Measured(method, part, sequence, None, str(error))


def measure_one(item: tuple[Method, Part, Sequence], run: Run) -> Measured:
    method, part, sequence = item
    if not affordable(run, method):
        return Measured(method, part, sequence, None, SWITCHED_OFF)
    return measured(run, method, part, sequence, lambda: tracks(run, part, sequence, method))


def measure(run: Run, methods: Iterable[Method], parts: ListLike[Part], label: str) -> list[Measured]:
    """Every method on every sequence of every part, fanned out."""
    chosen = list(methods)
    prepare(run, chosen, parts)
    items = [(m, p, s) for m in chosen for p in parts for s in data.sequences(p)]
    found = run.map(partial(measure_one, run=run), items, label)
    check_sample(run, found)
    return found


def check_sample(run: Run, measured: Iterable[Measured]) -> None:
    """Compute a sample of the scores by TrackEval too: of each benchmark a twentieth, but not less than twelve."""
    groups: dict[str, list[Measured]] = {}
    for one in measured:
        if one.score is not None:
            groups.setdefault(benchmark(one.part.scene), []).append(one)
    drawn = []
    for rules, mine in sorted(groups.items()):
        scores, checked = run.scored.get(rules, (0, 0))
        total = scores + len(mine)
        count = min(len(mine), max(0, max(LEAST, math.ceil(SHARE * total)) - checked))
        rows = np.random.default_rng([run.settings.seeds[0], total]).choice(len(mine), count, replace=False)
        drawn += [mine[i] for i in sorted(rows)]
        run.scored[rules] = total, checked + count
    run.map(partial(check_one, run=run), drawn, "scores by TrackEval")


def check_one(measured: Measured, run: Run) -> None:
    """Hold one score against TrackEval's: integers exactly, floats to 1e-9."""
    part, sequence = measured.part, measured.sequence
    expected = official(run, part, tracks(run, part, sequence, measured.method))
    if measured.score is None or not identical(measured.score, expected, 1e-9):
        raise MsfpError(
            f"{measured.method.label} on {sequence.name}, frames {part.first} to {part.last}: the score differs from "
            "TrackEval's; no table is made of it. Please report it with this sequence's ground truth and detections"
        )


def prepare(run: Run, methods: Iterable[Method], parts: ListLike[Part]) -> None:
    """Compute what is needed once for all measurements, fanned out, so that workers do not wait for each other's."""
    chosen = [m for m in methods if affordable(run, m)]
    separate = sorted({m.look.weights for m in chosen if m.look is not None and m.look.strategy == REID})
    if separate and run.settings.input.reid_weights == "embedded" and run.settings.data.root is not None:
        run.note(
            "The separate ReID network of DeepSORT, StrongSORT, BoT-SORT and Deep OC-SORT was trained on drawings; "
            "give weights trained on people with -p input.reid_weights=FILE."
        )
    reid = [Appearance(REID, weights=weights) for weights in separate]
    looks = [(look, part) for part in parts for look in (*reid, *looks_of(run, chosen))]
    jobs = needed_jobs(run, looks, [(m.camera, part) for m in chosen for part in parts])
    if any(m.boxes == JOINT for m in chosen):
        jobs += seen.jobs(run, [(p,) for p in parts])
    run.do(jobs, "heads, ReID and cameras")
    private = [m.look for m in chosen if m.boxes == JOINT and m.look is not None and m.look.strategy != JOINT]
    for weights in sorted({look.weights for look in private}):
        run.do(frozen_features.jobs(run, [(p, weights) for p in parts]), "features of the joint network's boxes")
    learn_all(run, chosen, parts)
    if recovering := [m for m in chosen if m.recovery is not None]:
        train_all(run, [m.recovery for m in recovering if m.recovery is not None])
        run.map(partial(recover_all, run=run, methods=recovering), dict.fromkeys(parts), "recovery")


def affordable(run: Run, method: Method) -> bool:
    """Whether a table measures the method: `data.separate_reid` leaves out those with a ReID network of their own."""
    return run.settings.data.separate_reid or method.look is None or method.look.strategy != REID


def ceiling_one(item: tuple[Part, Sequence], run: Run) -> Measured:
    """Score of the tracker that keeps exactly the true boxes of a detection set (SETTLED: "Recall ceiling")."""
    part, sequence = item

    def kept() -> Tracks:
        truth = data.window(data.truth(part.scene), part)
        return oracle_tracks(truth, data.window(data.detections(sequence), part))

    return measured(run, Method("recall ceiling", "oracle"), part, sequence, kept)


def percents(score: SequenceScore) -> dict[str, float]:
    """The measures of the tables: fractions in percent, and identity switches."""
    fractions = {"HOTA": score.hota, "AssA": score.assoc_a, "DetA": score.det_a, "IDF1": score.idf1, "MOTA": score.mota}
    return {name: 100 * value for name, value in fractions.items()} | {"IDSW": score.idsw}
