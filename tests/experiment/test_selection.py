"""Selection of open settings: what it may see, what it tries, and what it takes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import NotComputable
from msfp.experiment import data, selection, thresholds
from msfp.experiment.data import Part
from msfp.experiment.heads import Appearance
from msfp.experiment.run import Run
from msfp.experiment.selection import (
    FIRST_GUESS,
    Subject,
    draws,
    effective,
    first_guess,
    inner_look,
    inner_split,
    open_settings,
    options_for,
    overlap,
    search_space,
    select,
)
from msfp.experiment.tracks import Method, settled, settled_as, subject_of
from msfp.metrics import hota
from msfp.paper.methods import BYTETRACK, MSFP_ATTENTION, MSFP_TRACK, SORT, TABLE_1, TABLE_2
from msfp.tracking import make, tracker_class

Make = Callable[..., Run]
TWO = {"MOT17-02-SDP": 0, "MOT17-04-SDP": 0}
SIX = {f"MOT17-{n}-SDP": 0 for n in ("02", "04", "05", "09", "10", "11")}


def learn_of(run: Run) -> tuple[Part, ...]:
    return data.folds(run, run.settings.data.main)[0].learn


def bytetrack(run: Run) -> Subject:
    return subject_of(BYTETRACK.configured(learn_of(run), 0))


def test_every_row_of_the_file_is_a_setting_of_its_trackers_and_every_candidate_is_taken() -> None:
    for one in search_space():
        for name in one.trackers:
            assert one.setting in tracker_class(name).Settings.model_fields, (name, one.setting)
            for value in one.candidates:
                make(name, **{one.setting: value})


def test_what_was_released_is_among_the_candidates() -> None:
    for one in search_space():
        for name in one.trackers:
            released = tracker_class(name).Settings.model_fields[one.setting].default
            if (name, one.setting) != ("msfp-track", "track_low"):
                assert released in one.candidates, (name, one.setting, released)


@pytest.mark.parametrize("row", [*TABLE_1, *TABLE_2], ids=lambda row: row.row)
def test_every_row_of_tables_1_and_2_has_something_open(row: object) -> None:
    method = row.configured((), 0)  # type: ignore[attr-defined]
    assert open_settings(subject_of(method).tracker)


@given(tracker=st.sampled_from(["sort", "bytetrack", "msfp-attention", "ocsort"]), seed=st.integers(0, 99))
def test_draws_differ_and_begin_with_the_released_settings(tracker: str, seed: int) -> None:
    found = draws(tracker, (), 40, seed)
    assert found[0] == ()
    assert len(set(found)) == len(found) == 40
    assert found == draws(tracker, (), 40, seed)
    for options in found[1:]:
        kept = dict(options)
        assert kept == effective(kept)
        assert kept.get("track_low", 0.0) < kept.get("track_high", 1.0)
        make(tracker, **kept)


def test_what_a_row_fixes_is_not_drawn() -> None:
    for options in draws("msfp-attention", (("fusion", "sum"), ("weight", 0.5)), 30, 0):
        assert not {"fusion", "weight"} & set(dict(options))


def test_a_small_space_is_tried_whole_and_no_more() -> None:
    fixed = tuple((one.setting, one.candidates[0]) for one in open_settings("sort") if one.setting != "max_age")
    assert len(draws("sort", fixed, 300, 0)) == 1 + 4  # the released value, which the tracker has unsaid, and four said


@pytest.mark.parametrize("names", [TWO, SIX], ids=["last frames", "whole scenes"])
def test_no_frame_is_learned_from_and_selected_on(make_run: Make, names: dict[str, int]) -> None:
    run = make_run(names)
    learn = learn_of(run)
    inner, held = inner_split(run, learn)
    assert inner
    assert held
    assert not any(overlap(a, b) for a in inner for b in held)
    assert sum(p.length for p in inner + held) == sum(p.length for p in learn)
    assert not any(overlap(a, b) for a in held for b in data.folds(run, run.settings.data.main)[0].evaluate)
    if names is SIX:
        assert len(held) == 2
        assert all(p in learn for p in held)


def test_tables_that_learn_from_whole_scenes_select_on_first_halves(make_run: Make) -> None:
    run = make_run(SIX)
    whole = tuple(data.whole(p.scene) for p in learn_of(run))
    assert inner_split(run, whole) == inner_split(run, learn_of(run))


@pytest.mark.parametrize("names", [TWO, SIX], ids=["last frames", "whole scenes"])
def test_heads_that_track_held_out_frames_never_saw_them(make_run: Make, names: dict[str, int]) -> None:
    run = make_run(names)
    whole = tuple(data.whole(p.scene) for p in learn_of(run))
    for learn in (learn_of(run), whole):
        look = Appearance("attention-instance", learn, 0)
        for part in inner_split(run, learn)[1]:
            found = inner_look(run, look, learn, part, 2)
            assert found is not None
            assert found.seed == 2
            assert found.learn
            assert not any(overlap(p, part) for p in found.learn)


def test_the_draw_of_highest_hota_is_taken(make_run: Make) -> None:
    run = make_run(SIX, **{"selection.trials": 12})
    subject = bytetrack(run)
    found = select(run, subject)
    every = draws("bytetrack", (), 12, 0)
    hota = selection.inner_hota.function(run, subject, 0, every).tolist()
    assert found.hota == max(hota)
    assert found.options == every[int(np.argmax(hota))]
    assert found.released == hota[0]
    assert found.draws == 12
    np.testing.assert_allclose(found.quartiles, np.quantile(hota, [0.25, 0.5, 0.75]))


def rewrite(path: Path, first: int) -> None:
    """Labels from a frame on become nonsense: everybody is somewhere else and somebody else."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    for row in rows:
        if int(row[0]) >= first:
            row[1], row[2] = str(int(row[1]) + 10 * int(row[0])), str(float(row[2]) + 500)
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def test_labels_of_evaluated_frames_are_not_read(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frame by frame: a selection reads labels of the held-out learning frames and of no other."""
    reads: dict[tuple[str, int], int] = {}
    whole = data.window

    def counting(rows: object, part: Part) -> object:
        if type(rows).__name__ == "GroundTruth":
            for frame in range(part.first, part.last + 1):
                key = (part.scene.name, frame)
                reads[key] = reads.get(key, 0) + 1
        return whole(rows, part)  # type: ignore[type-var]

    monkeypatch.setattr(data, "window", counting)
    run = make_run(SIX, **{"selection.trials": 5})
    subject = bytetrack(run)
    select(run, subject)
    held = {(p.scene.name, t) for p in inner_split(run, subject.learn)[1] for t in range(p.first, p.last + 1)}
    evaluated = {
        (p.scene.name, t)
        for p in data.folds(run, run.settings.data.main)[0].evaluate
        for t in range(p.first, p.last + 1)
    }
    assert set(reads) == held
    assert not held & evaluated


def test_nonsense_in_evaluated_labels_changes_no_choice(make_run: Make, tmp_path: Path) -> None:
    run = make_run(SIX, **{"selection.trials": 8})
    before = select(run, bytetrack(run))
    folder = tmp_path / "other"
    (tmp_path / "root").rename(folder)
    for path in folder.glob("train/*/gt/gt.txt"):
        rewrite(path, 5)  # of nine frames the first four are learned from
    folder.rename(tmp_path / "root")
    for cached in (data.labels, data.truth):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    selection._select.cache_clear()
    selection._materials.cache_clear()
    after = select(make_again(run), bytetrack(make_again(run)))
    assert (after.options, after.hota, after.released) == (before.options, before.hota, before.released)


def make_again(run: Run) -> Run:
    """The same run as a new process would have it, with an empty store."""
    return Run(run.settings, run.home.with_name("elsewhere"))


def test_tuning_says_where_settings_come_from(make_run: Make) -> None:
    run = make_run(SIX, **{"selection.trials": 8})
    subject = bytetrack(run)
    assert options_for(run.variant(tuning="released"), subject) == ()
    assert dict(options_for(run.variant(tuning="first"), subject))["fuse_score"] is False
    assert options_for(run, subject) == select(run, subject).options
    assert first_guess("ocsort") == ()
    for released in ("botsort", "lite-botsort", "boosttrack"):
        assert first_guess(released) == (), "an author's published settings are no guess of ours"
    assert dict(first_guess("msfp-attention")) == dict(FIRST_GUESS)


def test_association_settings_go_before_tuning_and_a_row_before_both(make_run: Make) -> None:
    run = make_run(SIX, **{"selection.trials": 4, "association.min_iou": 0.35, "tuning": "first"})
    method = MSFP_TRACK.configured(learn_of(run), 0)
    assert dict(settled(run, method).options)["min_iou"] == 0.35
    assert "min_iou" not in dict(settled(run, BYTETRACK.configured(learn_of(run), 0)).options)
    fixed = Subject(method.tracker, method.look, "none", (("min_iou", 0.5),), method.learn)
    assert dict(options_for(run, fixed))["min_iou"] == 0.5


def test_msfp_track_has_the_association_of_msfp_attention(make_run: Make) -> None:
    """They differ in thresholds alone, so the tables on thresholds compare nothing else."""
    run = make_run(SIX)
    one, other = (row.configured(learn_of(run), 0) for row in (MSFP_ATTENTION, MSFP_TRACK))
    assert selection._normal(run, subject_of(one)) == selection._normal(run, subject_of(other))


def test_an_ablation_has_the_settings_of_its_model(make_run: Make) -> None:
    run = make_run(SIX, **{"selection.trials": 6})
    model = BYTETRACK.configured(learn_of(run), 0)
    (found,) = settled_as(run, SORT.each_seed((), (0,)), model)
    assert dict(found.options) == dict(settled(run, model).options)
    assert found.learn == ()


def test_an_ablation_says_why_its_model_has_no_settings(make_run: Make) -> None:
    """Frames are missing, so that no head can be trained: first guesses do not stand in for selected settings."""
    run = make_run(SIX)
    model = MSFP_ATTENTION.configured(learn_of(run), 0)
    (found,) = settled_as(run, [Method("ablation", "msfp-attention", model.look)], model)
    with pytest.raises(NotComputable, match="0 of 9 frames present.*tuning=released"):
        settled(run, found)


@pytest.mark.parametrize("names", [{"MOT17-02-SDP": 0}, TWO, SIX], ids=["one scene", "two", "six"])
def test_thresholds_are_searched_with_heads_that_never_saw_the_frames(make_run: Make, names: dict[str, int]) -> None:
    run = make_run(names)
    learn = learn_of(run)
    for part in learn:
        frames, look = thresholds.searched(run, learn, part)
        assert look.learn
        assert frames.length
        assert not any(overlap(p, frames) for p in look.learn)


def test_thresholds_are_searched_by_the_rules_of_the_benchmark(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    prepare = hota.prepare

    def noting(*args: object, benchmark: str = "MOT17", **rest: object) -> object:
        seen.append(benchmark)
        return prepare(*args, benchmark=benchmark, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(hota, "prepare", noting)
    run = make_run({"MOT20-01": 0, "MOT17-02-SDP": 0}, **{"data.learn_from": ("*",)})
    for part in learn_of(run):
        for sequence in data.sequences(part):
            thresholds.search(run, part, sequence, "single", None, "bytetrack", ())
    assert sorted(seen) == ["MOT17", "MOT20"]
