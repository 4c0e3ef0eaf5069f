"""All that methods must learn before they are measured, stage by stage and fanned out, so that no worker waits."""

from collections.abc import Iterable
from collections.abc import Sequence as ListLike
from dataclasses import replace
from functools import partial

from msfp.heads.threshold import Mode
from msfp.pipeline.bounds import BOUNDS
from msfp.pipeline.data import Part
from msfp.pipeline.heads import Appearance, together, train_heads
from msfp.pipeline.joint import JOINT
from msfp.pipeline.one_look import one_look
from msfp.pipeline.reid_features import REID
from msfp.pipeline.run import Run
from msfp.pipeline.search import detectors_of, search_all, searching_looks, searching_subject
from msfp.pipeline.selection import select_all
from msfp.pipeline.stage import attempt
from msfp.pipeline.thresholds import atl_settings, of_training
from msfp.pipeline.tracks import Method, Threshold, atl_state, subject_of


def learn_all(run: Run, methods: Iterable[Method], parts: ListLike[Part]) -> None:
    """Train heads, select settings, search thresholds and train ATL for methods that are measured on `parts`.

    All is then kept. ATL is trained for the public detectors that the parts have.
    """
    chosen = list(methods)
    rules = _rules(chosen)
    train_heads(run, looks_of(run, chosen))
    own = [subject_of(m) for m in chosen if m.learn and m.boxes != JOINT]
    select_all(run, [*own, *(searching_subject(run, rule.learn) for rule in rules if _searches(rule))])
    with one_look():
        taught = list(dict.fromkeys(_taught(run, rule, d) for rule in rules for d in detectors_of(parts)))
    search_all(run, [(rule.learn, detector, mode) for rule, detector, mode in taught if _searches(rule)])
    atl = [one for one in taught if one[0].kind == "atl"]
    run.map(partial(attempt, function=atl_state, run=run), atl, "training thresholds")


def looks_of(run: Run, methods: Iterable[Method]) -> list[Appearance]:
    """The embeddings with a head that methods need: their own, and those with which thresholds are searched."""
    chosen = list(methods)
    own = [m.look for m in chosen if m.look is not None and m.look.strategy not in (REID, JOINT, *BOUNDS)]
    searching = [look for rule in _rules(chosen) if _searches(rule) for look in searching_looks(run, rule.learn)]
    return list(dict.fromkeys([*own, *searching]))


def _rules(methods: ListLike[Method]) -> list[Threshold]:
    return [m.threshold for m in methods if m.threshold.kind == "atl" or (m.threshold.kind == "grid" and m.look)]


def _searches(rule: Threshold) -> bool:
    return rule.kind == "grid" or rule.supervision == "grid"


def _taught(run: Run, rule: Threshold, detector: str) -> tuple[Threshold, str, Mode]:
    """What is trained for a rule, less what only its use depends on."""
    offset = rule.kind == "atl" and rule.mode == "offset"
    centered = offset and atl_settings(run, rule.changes).offset == "centered"
    kept = of_training(rule.changes)
    alone = replace(rule, temporal=None, joint=False, seed=together(run, rule.seed)[0], changes=kept)
    return alone, detector, "single" if centered else rule.mode
