"""The whole suite: every notebook in order, then the report they end with; what notebooks show of the data."""

from typing import Any

import pandas as pd

from msfp.config import choices_used
from msfp.errors import NotComputable
from msfp.experiment import data, features
from msfp.experiment.passes import extract_once
from msfp.experiment.run import Run
from msfp.experiment.scores import ceiling_one
from msfp.paper.registry import every, notebooks_folder
from msfp.paper.stamps import read_stamp, stale
from msfp.types import Scene

REPORT = "08_report"
"""The notebook that writes the report: it is added to it when it has ended."""


def reproduce(run: Run, *, only: str | None = None, start: str | None = None, resume: bool = True) -> dict[str, Any]:
    """Execute the notebooks in order; what is unchanged since an earlier run is skipped.

    Args:
        run: settings and places.
        only: number of the one notebook to execute.
        start: number of the first.
        resume: False executes unchanged notebooks too; the store's results are used either way.

    Returns:
        `report`: its path, None where it was never written; `notebooks`: name -> seconds (0 where skipped).

    Raises:
        InputError: before anything runs, for weights, data or notebooks that are not there.
        MsfpError: a notebook failed; names it, its message and the partial notebook.
    """
    from msfp.engine import cluster, notebooks, provenance
    from msfp.experiment import external
    from msfp.paper import stamps
    from msfp.paper.report import complete

    config = run.settings
    folder = notebooks_folder()
    notebooks.select(notebooks.in_order(folder), only, start)  # refused before a world is rendered
    weights = run.weights_digest()
    if config.input.weights not in ("embedded", "random-init"):
        run.backbone()  # files of others are tried before hours are spent
    scenes = {f"{name}/{split}/{s.name}": s for name, split, s in every_scene(run)}
    digests = {name: [run.pixels_digest(s), run.boxes_digest(s)] for name, s in scenes.items()}
    inputs: dict[str, Any] = {"weights": weights, "data": digests}
    if results := external.contents(run):
        inputs["imported"] = results
    cluster.close()  # the notebooks' kernels get workers of their own; idle ones here would only hold memory
    parameters = {
        "profile": config.profile,
        "root": str(config.data.root or ""),
        "weights": config.input.weights,
        "device": config.device,
        "workers": run.workers,
        "cluster": run.cluster or "",
        "settings": run.overrides,
        "home": str(run.home),
    }
    with cluster.lent_workers(0 if run.cluster else run.workers) as environment:
        done = notebooks.run(
            folder,
            run.out / "notebooks",
            parameters,
            only=only,
            from_=start,
            resume=resume,
            inputs=inputs,
            environment=environment,
            intact=stamps.intact(run),
        )
    report = stamps.report_path(run)
    if report.is_file() and any(one.path.stem == REPORT and not one.skipped for one in done):
        provenance.end_manifest(run.out / "manifest.json")
        complete(run, REPORT)  # the notebook that wrote the report is in it only now, when it has ended
    found = str(report) if report.is_file() else None
    return {"report": found, "notebooks": {e.name: round(e.seconds, 1) for e in done}}


def every_scene(run: Run) -> list[tuple[str, str, Scene]]:
    """(data set, split, scene) of all data the run uses."""
    used = run.settings.data
    names = [used.main, used.crowded, used.cross, used.embedded]
    wanted = [(name, split) for name in dict.fromkeys(n for n in names if n) for split in ("train", "test")]
    if used.dance:  # on which nothing is trained
        wanted.append((used.dance, "test"))
    found = []
    for name, split in wanted:
        try:
            found += [(name, split, s) for s in data.scenes(run, name, split)]
        except NotComputable:
            continue
    return found


def overview(run: Run) -> pd.DataFrame:
    """One row a sequence: frames present, people and detections a frame, recall and precision of its detections.

    A test split's labels stay closed here; its people, recall and precision are left empty.
    """
    rows = []
    for name, split, scene in every_scene(run):
        for sequence in scene.sequences:
            found = data.detections(sequence) if sequence.det_path else None
            row: dict[str, object] = {
                "data set": name,
                "split": split,
                "sequence": sequence.name,
                "detector": sequence.detector,
                "size": f"{sequence.width} x {sequence.height}",
                "fps": sequence.fps,
                "frames": sequence.length,
                "with pixels": len(scene.pixels.frames),
                "detections a frame": float("nan") if found is None else len(found) / sequence.length,
                **dict.fromkeys(("people a frame", "recall", "precision"), float("nan")),
            }
            if scene.pixels.gt_path is not None and found is not None:
                score = ceiling_one((data.whole(scene), sequence), run).score
                if score is not None:
                    row["people a frame"] = (score.tp + score.fn) / sequence.length
                    row["recall"] = score.tp / max(score.tp + score.fn, 1)
                    row["precision"] = score.tp / max(len(found), 1)
            rows.append(row)
    return pd.DataFrame(rows)


def by_detector(sequences: pd.DataFrame) -> pd.DataFrame:
    """Means over sequences of `overview`, per data set, split and public detector."""
    columns = ["detections a frame", "people a frame", "recall", "precision"]
    return sequences.groupby(["data set", "split", "detector"])[columns].mean().round(2)


def switches(run: Run) -> pd.DataFrame:
    """The choices that the paper leaves open, as this run made them."""
    return pd.DataFrame(choices_used(run.settings), columns=["setting", "used", "other choices", "why"])


def layers(run: Run) -> pd.DataFrame:
    """Tapped layers with the channels and strides of their maps."""
    backbone = run.backbone()
    rows = [(layer, c, backbone.strides[layer]) for layer, c in backbone.channels.items()]
    return pd.DataFrame(rows, columns=["layer", "channels", "stride"])


def ablated(run: Run) -> list[Scene]:
    """Scenes of which Tables 4, 13 and 18 ask for further layers, other ways to pool and the detector's own boxes."""
    try:
        fold = data.folds(run, run.settings.data.main)[0]
    except NotComputable:
        return []
    return [part.scene for part in (*fold.learn, *fold.evaluate)]


def extract(run: Run) -> pd.DataFrame:
    """Extract the features of every scene; how many boxes of each set have them."""
    scenes = every_scene(run)
    extract_once(run, ablated(run))
    features.extract_all(run, [s for _, _, s in scenes])
    rows = []
    for name, split, scene in scenes:
        row: dict[str, object] = {"data set": name, "split": split, "scene": scene.name}
        try:
            found = features.features(run, scene)
            row |= {f"{box_set} boxes": int(f.present.sum()) for box_set, f in sorted(found.items())}
            row["remark"] = data.missing_pixels(data.whole(scene))
        except NotComputable as error:
            row["remark"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows).fillna({"remark": ""})


def artefact_status(run: Run) -> pd.DataFrame:
    """Every artefact: planned, missing, stale, absent with its reason, or present and fresh."""
    rows = []
    for made in every():
        state: str = made.status
        if state == "ready":
            reason = read_stamp(run, made.id).get("reason", "")
            state = stale(run, made.kind, made.number) or (f"n/a: {reason}" if reason else "fresh")
        rows.append((made.name, made.title, made.notebook, state))
    return pd.DataFrame(rows, columns=["artefact", "title", "notebook", "state"])
