"""Which sequences of a finished run can be looked at, and with which methods."""

from pathlib import Path

from msfp.errors import MsfpError, NotComputable
from msfp.explore.clip import Clip
from msfp.paper.measure import heads_for
from msfp.paper.methods import TABLE_1
from msfp.pipeline import data
from msfp.pipeline.run import open_run
from msfp.pipeline.scores import affordable


class NoRun(MsfpError):
    """Nothing was run yet; a notebook shows the message alone."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: what stands in place of the traceback."""
        return [str(self)]


def open_clips(
    profile: str = "demo",
    *,
    dataset: str = "",
    root: str = "",
    weights: str = "",
    device: str = "",
    settings: str = "",
    home: str | Path = "..",
) -> dict[str, Clip]:
    """Name -> sequence, of those that the run's tracking tables evaluate and whose frames are there.

    `dataset` is one of the run's, empty its main one; the other options are those that the run was made with. Methods
    that the run leaves out, as their ReID network would have to run first, are not among a clip's.
    Raises NoRun: this profile has not been run; says how.
    Raises InputError: unknown profile or setting, or a path that is not there.
    Raises NotComputable: not one sequence has its frames.
    """
    run = open_run(profile, root=root, weights=weights, device=device, home=home, overrides=settings)
    if not (run.store.root / "tracks").is_dir():
        options = f" --root {root}" if root else ""
        raise NoRun(f"There is no run in {run.out} yet. Make one first: msfp reproduce --profile {profile}{options}")
    named = run.settings.data
    dataset = dataset or named.main
    found, missing = {}, []
    for fold in data.judged_folds(run, dataset)[0]:
        learn = fold.learn if dataset == named.main else heads_for(run, fold)
        # The crowded data set has an ATL of its own beside the main one's heads, as in Table 2.
        own = fold.learn if dataset == named.crowded else ()
        methods = {row.row: row.configured(learn, run.settings.seeds[0], own, own) for row in reversed(TABLE_1)}
        for part in fold.evaluate:
            if reason := data.missing_pixels(part):
                missing.append(reason)
                continue
            for sequence in data.sequences(part):
                there = {label: method for label, method in methods.items() if affordable(run, method)}
                found[sequence.name] = Clip(run, part, sequence, there)
    if not found:
        raise NotComputable("; ".join(missing) or f"{dataset} has no sequence with detections")
    return dict(sorted(found.items()))
