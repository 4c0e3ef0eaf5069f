"""From a finished training run to what is shipped: measured on held-out frames, saved, described in a model card."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msfp.features.training import detector, reid
from msfp.features.training.card import save_weights, write_card
from msfp.features.training.detector import DetectorRecipe, Trained, held_out_precision
from msfp.features.training.reid import ReidRecipe, TrainedReid, held_out_auc
from msfp.features.training.samples import Sample

LICENCE = "AGPL-3.0-only"


def publish_detector(
    trained: Trained,
    recipe: DetectorRecipe,
    held_out: Mapping[str, Sequence[Sample]],
    data: Mapping[str, str],
    path: Path,
    size: tuple[int, int] = (640, 384),
) -> dict[str, tuple[float, float]]:
    """Measure, save as fp16 safetensors and write the card beside them.

    Args:
        trained: from `train_detector`.
        recipe: its settings.
        held_out: name of a kind of data -> frames that did not train.
        data: what the card says about the training frames.
        path: the .safetensors file; the card takes the same name with .md.
        size: (width, height) of the network's input on held-out frames.

    Returns:
        Per kind, and `all`, AP@0.5 and AP@0.5:0.95 of people.
    """
    groups = dict(held_out)
    if len(groups) > 1:
        groups["all"] = [sample for samples in held_out.values() for sample in samples]
    scores = {name: held_out_precision(trained.model, samples, size) for name, samples in groups.items()}
    save_weights(
        path,
        trained.model.state_dict(),
        {"architecture": recipe.architecture, "classes": "person", "seed": str(recipe.seed), "licence": LICENCE},
    )
    measured = {
        f"{name}, {len(groups[name])} frames": f"person AP@0.5 {half:.3f}, AP@0.5:0.95 {mean:.3f}"
        for name, (half, mean) in scores.items()
    }
    measured["how"] = (
        f"COCO's 101-point average precision at {size[0]}x{size[1]}; people less than 20 % visible are ignored"
    )
    lines = detector.recipe_lines(recipe)
    lines |= {"crops drawn": str(trained.crops), "training time": f"{trained.seconds / 60:.0f} min on CPU"}
    summary = (
        f"A {recipe.architecture} (ultralytics' architecture and loss) for people, trained from random weights on "
        "rendered worlds. Batch normalisation is folded, tensors are fp16, names are those of ultralytics' fused "
        "model. Made so that every stage runs without a download; real images need weights trained on real images."
    )
    write_card(path.with_suffix(".md"), path.stem, summary, measured, data, lines, "msfp train-backbone")
    return scores


def publish_reid(
    trained: TrainedReid,
    recipe: ReidRecipe,
    held_out: Mapping[str, Sequence[Sample]],
    data: Mapping[str, str],
    path: Path,
) -> dict[str, float]:
    """Measure, save as fp16 safetensors without the classifier and write the card beside them.

    Args:
        trained: from `train_reid`.
        recipe: its settings.
        held_out: name of a kind of data -> frames that did not train, in order within a scene.
        data: what the card says about the training frames.
        path: the .safetensors file; the card takes the same name with .md.

    Returns:
        Per kind the area under the ROC curve of `held_out_auc`.
    """
    scores, measured = {}, {}
    for name, samples in held_out.items():
        auc, positives, negatives = held_out_auc(trained.model, samples, recipe)
        scores[name] = auc
        measured[name] = f"AUC {auc:.3f} over {positives} positive and {negatives} negative pairs"
    measured["how"] = (
        "cosine similarity; positive: a person and their next appearance, 16 frames later; negatives: up to 10 other "
        "people of that later frame"
    )
    state = {key: value for key, value in trained.model.state_dict().items() if not key.startswith("classifier.")}
    save_weights(path, state, {"architecture": "osnet_x0_25", "seed": str(recipe.seed), "licence": LICENCE})
    lines = reid.recipe_lines(recipe)
    lines |= {
        "people": str(trained.identities),
        "steps taken": str(trained.steps),
        "training time": f"{trained.seconds / 60:.0f} min on CPU",
    }
    summary = (
        "OSNet x0.25 (own implementation, torchreid's tensor names, without the classifier) for 256x128 crops, trained "
        "from random weights on people of rendered worlds by identity classification and batch-hard triplets."
    )
    write_card(path.with_suffix(".md"), path.stem, summary, measured, data, lines, "msfp train-backbone --network reid")
    return scores
