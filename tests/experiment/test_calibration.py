"""Scores that are tracked as probabilities, learned where training may look."""

import numpy as np
import pytest

from msfp.config import choices_used
from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part, benchmark, halves, whole
from msfp.experiment.features import feature_inputs
from msfp.experiment.tracks import part_cases
from msfp.metrics.oracle import fit, outcomes
from msfp.metrics.scores import rules

from .conftest import LENGTH, Make

pytestmark = [pytest.mark.xdist_group("tables"), pytest.mark.usefixtures("kept")]

TWO = {"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": LENGTH}


def spoil(path, frames: range) -> None:
    """Move the detections of some frames away from people, so that they are false."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    moved = [[*r[:3], "50", *r[4:]] if int(r[0]) in frames and float(r[6]) < 0.6 else r for r in rows]
    path.write_text("".join(",".join(r) + "\n" for r in moved))


def expected(parts: list[Part]):
    """The map by its definition."""
    score, hit = [], []
    for part in parts:
        found = data.window(data.detections(part.scene.sequences[0]), part)
        hit.append(outcomes(data.window(data.labels(part.scene), part), found, rules(benchmark(part.scene))))
        score.append(found.score)
    return fit(np.concatenate(score), np.concatenate(hit))


@pytest.mark.parametrize("split", ["half", "loso", "paper"])
def test_maps_come_from_training_frames_only(make_run: Make, split: str) -> None:
    raw = make_run(TWO, split=split)
    for name, frames in (("MOT17-02-SDP", range(1, 3)), ("MOT17-04-SDP", range(5, 10))):
        spoil(raw.settings.data.root / "train" / name / "det" / "det.txt", frames)
    before = data.scenes(raw, "mot17")
    after = data.scenes(raw.variant(scores="calibrated"), "mot17")
    for old, new in zip(before, after, strict=True):
        if split == "half":
            learned = [halves(s)[0] for s in before]
        else:
            learned = [whole(s) for s in before if split == "paper" or s.name != old.name]
        one, two = data.detections(old.sequences[0]), data.detections(new.sequences[0])
        assert (new.name, new.pixels, new.sequences[0].detector) == (old.name, old.pixels, "SDP")
        np.testing.assert_array_equal(two.tlwh, one.tlwh)
        np.testing.assert_allclose(two.score, expected(learned)(one.score), atol=1e-5)
        assert not np.allclose(two.score, one.score)
    assert any("SDP boxes of mot17 are P(true positive), calibrated on" in note for note in raw.notes)


def test_scores_bear_on_detections_and_selection_but_not_on_features(make_run: Make) -> None:
    raw = make_run({"MOT17-02-SDP": LENGTH})
    scored = raw.variant(scores="calibrated")
    (old,), (new,) = data.scenes(raw, "mot17"), data.scenes(scored, "mot17")
    assert feature_inputs(raw, old, "") == feature_inputs(scored, new, "")
    assert raw.detections_digest(old.sequences[0]) != scored.detections_digest(new.sequences[0])
    assert part_cases.key(raw, whole(old)) != part_cases.key(scored, whole(new))
    before, path = feature_inputs(raw, old, ""), raw.settings.data.root / "train" / "MOT17-02-SDP" / "det" / "det.txt"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:-1]))
    (fewer,) = data.scenes(raw, "mot17")
    assert feature_inputs(raw, fewer, "") != before, "boxes do"


def test_a_detector_nobody_labelled(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "test/MOT17-01-DPM": LENGTH}, scores="calibrated")
    with pytest.raises(NotComputable, match="scores of DPM boxes cannot be calibrated"):
        data.scenes(run, "mot17", "test")


def test_the_report_says_which_scores(make_run: Make) -> None:
    rows = {key: (used, others) for key, used, others, _ in choices_used(make_run(TWO, scores="calibrated").settings)}
    assert rows["scores"] == ("calibrated", "raw")
    assert rows["detections"][0] == "public"
