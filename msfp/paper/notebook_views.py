"""What the notebooks show beside the paper's artefacts: the data, the choices made, the layers, the training curves."""

from typing import TYPE_CHECKING

import pandas as pd

from msfp.config import choices_used
from msfp.errors import NotComputable
from msfp.paper.publish import read_stamp, stale
from msfp.paper.registry import every
from msfp.paper.style import COLUMN, PALETTE
from msfp.paper.tables.table03 import PAPER, heads
from msfp.pipeline import data, features
from msfp.pipeline.heads import train_head, train_heads
from msfp.pipeline.one_pass import extract_once
from msfp.pipeline.run import Run
from msfp.pipeline.scores import ceiling_one
from msfp.types import Scene, Sequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def every_scene(run: Run) -> list[tuple[str, str, Scene]]:
    """(data set, split, scene) of all data the run uses."""
    names = [run.settings.data.main, run.settings.data.crowded, run.settings.data.cross, run.settings.data.embedded]
    wanted = [(name, split) for name in dict.fromkeys(n for n in names if n) for split in ("train", "test")]
    if run.settings.data.dance:  # on which nothing is trained
        wanted.append((run.settings.data.dance, "test"))
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
    return pd.DataFrame(
        [_sequence(run, name, split, scene, s) for name, split, scene in every_scene(run) for s in scene.sequences]
    )


def _sequence(run: Run, name: str, split: str, scene: Scene, sequence: Sequence) -> dict[str, object]:
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
        "detections a frame": len(found) / sequence.length if found is not None else float("nan"),
        "people a frame": float("nan"),
        "recall": float("nan"),
        "precision": float("nan"),
    }
    if scene.pixels.gt_path is not None and found is not None:
        score = ceiling_one((data.whole(scene), sequence), run).score
        if score is not None:
            row["people a frame"] = (score.tp + score.fn) / sequence.length
            row["recall"] = score.tp / max(score.tp + score.fn, 1)
            row["precision"] = score.tp / max(len(found), 1)
    return row


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
    return pd.DataFrame(
        [(layer, c, backbone.strides[layer]) for layer, c in backbone.channels.items()],
        columns=["layer", "channels", "stride"],
    )


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


def training_curves(run: Run) -> "Figure | str":
    """Loss and share of anchors inside the margin, epoch by epoch, every strategy and seed; or why there is none."""
    import matplotlib.pyplot as plt

    fold = data.folds(run, run.settings.data.main)[0]
    looks = {label: heads(run, fold.learn, strategy) for label, strategy in PAPER.items()}
    train_heads(run, [look for group in looks.values() for look in group])
    fig, axes = plt.subplots(1, 2, figsize=(2 * COLUMN, COLUMN * 0.7), layout="constrained")
    colours = [PALETTE[c] for c in ("orange", "green", "sky", "blue", "pink", "vermillion")]
    try:
        for colour, (label, group) in zip(colours, looks.items(), strict=True):
            for i, look in enumerate(group):
                fitted = train_head(run, look)
                epochs = range(1, len(fitted.loss) + 1)
                axes[0].plot(epochs, fitted.loss, color=colour, lw=0.8, label=label if i == 0 else None)
                axes[1].plot(epochs, fitted.active, color=colour, lw=0.8)
    except NotComputable as error:
        plt.close(fig)
        return f"n/a: {error}"
    axes[0].set(xlabel="epoch", ylabel="triplet loss")
    axes[1].set(xlabel="epoch", ylabel="anchors inside the margin")
    axes[0].legend(frameon=False)
    plt.close(fig)  # JupyterLab shows the returned figure; an open one would be shown twice
    return fig


def status(notebook: str) -> pd.DataFrame:
    """The artefacts of a notebook, and whether they are implemented."""
    rows = [(a.kind, a.number, a.title, a.status) for a in every() if a.notebook == notebook]
    return pd.DataFrame(rows, columns=["kind", "number", "title", "status"])


def artefact_status(run: Run) -> pd.DataFrame:
    """Every artefact: planned, missing, stale, absent with its reason, or present and fresh."""
    rows = []
    for made in every():
        state: str = made.status
        if state == "ready":
            reason = read_stamp(run, made).get("reason", "")
            state = stale(run, made.kind, made.number) or (f"n/a: {reason}" if reason else "fresh")
        rows.append((made.name, made.title, made.notebook, state))
    return pd.DataFrame(rows, columns=["artefact", "title", "notebook", "state"])
