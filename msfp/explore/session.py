"""Which sequences of a finished run can be looked at, and with which methods."""

from dataclasses import dataclass
from pathlib import Path

from msfp.errors import MsfpError, NotComputable
from msfp.explore.clip import Clip
from msfp.paper.measure import heads_for
from msfp.paper.methods import TABLE_1
from msfp.pipeline import data
from msfp.pipeline.run import Run, open_run
from msfp.pipeline.tracks import Method


class NoRun(MsfpError):
    """Nothing was run yet; a notebook shows the message alone."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: what stands in place of the traceback."""
        return [str(self)]


@dataclass(frozen=True, eq=False)
class Session:
    """A run and its sequences.

    Attributes:
        run: the run.
        clips: name of a sequence -> what can be seen of it, in order of name.
    """

    run: Run
    clips: dict[str, Clip]


def open_session(
    profile: str = "demo",
    *,
    dataset: str = "",
    root: str = "",
    weights: str = "",
    device: str = "",
    settings: str = "",
    home: str | Path = "..",
) -> Session:
    """The sequences that the run's tracking tables evaluate, whose frames are there.

    Args:
        profile: smoke, demo, mot17 or full.
        dataset: of the run's; empty: its main one.
        root, weights, device, settings: as the run was made.
        home: folder that holds data/ and runs/.

    Raises:
        NoRun: this profile has not been run; says how.
        InputError: unknown profile or setting, or a path that is not there.
        NotComputable: not one sequence has its frames.
    """
    run = open_run(profile, root=root, weights=weights, device=device, home=home, overrides=settings)
    if not (run.store.root / "tracks").is_dir():
        options = f" --root {root}" if root else ""
        raise NoRun(f"There is no run in {run.out} yet. Make one first: msfp reproduce --profile {profile}{options}")
    clips = _clips(run, dataset or run.settings.data.main)
    return Session(run, dict(sorted(clips.items())))


def _clips(run: Run, dataset: str) -> dict[str, Clip]:
    found, missing = {}, []
    main = dataset == run.settings.data.main
    for fold in data.judged_folds(run, dataset)[0]:
        learn = fold.learn if main else heads_for(run, fold)
        # The crowded data set has an ATL of its own beside the main one's heads, as in Table 2.
        own = fold.learn if dataset == run.settings.data.crowded else ()
        seed = run.settings.seeds[0]
        methods = {row.row: row.configured(learn, seed, own, own) for row in reversed(TABLE_1)}
        for part in fold.evaluate:
            if reason := data.missing_pixels(part):
                missing.append(reason)
                continue
            for sequence in data.sequences(part):
                found[sequence.name] = Clip(run, part, sequence, _affordable(run, methods))
    if not found:
        raise NotComputable("; ".join(missing) or f"{dataset} has no sequence with detections")
    return found


def _affordable(run: Run, methods: dict[str, Method]) -> dict[str, Method]:
    """Without those that a run leaves out, as their ReID network would have to run first."""
    from msfp.pipeline.scores import affordable

    return {label: method for label, method in methods.items() if affordable(run, method)}
