"""Tracks of a test split whose labels a server keeps, as the zip that the server takes."""

from pathlib import Path

from msfp.datasets.submission import expected, write_submission
from msfp.engine.files import atomic_write
from msfp.engine.progress import Bar
from msfp.errors import InputError, NotComputable
from msfp.pipeline import data
from msfp.pipeline.run import Run
from msfp.pipeline.scores import prepare
from msfp.pipeline.tracks import Method, tracks


def submit(run: Run, dataset: str, method: Method, path: Path) -> Path:
    """Track every sequence of a MOTChallenge test split and write the zip, which is checked against the rules.

    Raises:
        InputError: no server for this data set, or sequences of its test split that are not there, found before
            anything is computed.
        NotComputable: what the method needs is missing of a sequence.
    """
    wanted = expected(dataset, "test")
    parts = tuple(data.whole(s) for s in data.scenes(run, dataset, "test"))
    found = [(part, sequence) for part in parts for sequence in part.scene.sequences]
    lacking = [name for name in wanted if name not in {s.name for _, s in found}]
    if lacking:
        raise InputError(
            f"{dataset}: {len(lacking)} of {len(wanted)} sequences of the test split are not there: "
            f"{', '.join(lacking)}; the server takes whole submissions only"
        )
    trial = path.with_name(f"{path.name}.writable")
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)
    chosen = [(part, sequence) for part, sequence in found if sequence.name in wanted]
    prepare(run, [method], [part for part, _ in chosen])
    results = {}
    with Bar(len(chosen), f"tracking the {dataset} test split") as progress:
        for part, sequence in chosen:
            try:
                results[sequence.name] = tracks(run, part, sequence, method)
            except NotComputable as error:
                raise NotComputable(f"no zip, as {sequence.name} cannot be tracked: {error}") from None
            progress.update()
    write_submission(path, results, dataset)
    return path
