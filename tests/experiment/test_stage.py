"""A stage computes each result once, keeps it under what it depends on, and names what is still to be computed."""

import pickle
from pathlib import Path

import pytest

from msfp.errors import NotComputable
from msfp.experiment.run import Run, stage
from tests.experiment.conftest import Make

CALLS: list[tuple[int, str]] = []


def inputs(run: Run, number: int, label: str = "") -> dict[str, object]:
    """The label does not bear on the result."""
    if number < 0:
        raise NotComputable("its file is missing")
    return {"number": number, "seeds": run.settings.seeds}


@stage("doubled", inputs, ("msfp.types",), memory=8, network=True)
def doubled(run: Run, number: int, label: str = "") -> list[int]:
    """Twice a number."""
    CALLS.append((number, label))
    if number == 9:
        raise NotComputable("9 has no frames")
    return [2 * number]


@pytest.fixture
def run(make_run: Make) -> Run:
    CALLS.clear()
    doubled.cache_clear()
    return make_run({"MOT17-02-SDP": 0})


def test_a_result_is_computed_once_whatever_does_not_bear_on_it(run: Run) -> None:
    assert not doubled.is_stored(run, 3)
    assert doubled(run, 3, "a") == doubled(run, 3, "b") == [6]
    assert CALLS == [(3, "a")]
    assert doubled.is_stored(run, 3)
    assert doubled.__doc__ == "Twice a number."
    assert (run.store.misses["doubled"], run.store.hits["doubled"]) == (1, 1)
    assert doubled(run, 3, "a") is doubled(run, 3, "a"), "held in memory"
    assert run.store.hits["doubled"] == 1
    doubled.cache_clear()
    assert doubled(run, 3, "a") == [6]
    assert run.store.hits["doubled"] == 2


def test_its_key_follows_inputs_stage_and_code(run: Run, make_run: Make) -> None:
    other = make_run({}, seeds=(0, 1))
    keys = [doubled.key(run, 3), doubled.key(run, 4), doubled.key(other, 3)]
    keys += [
        stage(name, inputs, code)(doubled.function).key(run, 3)
        for name, code in (("x", ("msfp.types",)), ("doubled", ()))
    ]
    assert len(set(keys)) == 5
    assert doubled.key(run, 3, "a") == doubled.key(run, 3, label="b") == keys[0]


def test_a_result_made_elsewhere_is_kept_as_its_own(run: Run) -> None:
    assert doubled.keep(run, lambda: [60], 3) == [60]
    assert doubled.keep(run, lambda: pytest.fail("stored already"), 3, "a") == [60]
    assert doubled(run, 3) == [60]
    assert CALLS == []


def test_jobs_are_what_the_store_lacks_each_once(run: Run) -> None:
    doubled(run, 1)
    jobs = doubled.jobs(run, [(1,), (2, "two"), (9,), (2, "two"), (-1,)])
    assert [job.name for job in jobs] == ["doubled, 2, two", "doubled, 9"]
    assert all(job.network for job in jobs)
    run.do(jobs, "doubling")
    assert CALLS == [(1, ""), (2, "two"), (9, "")]
    assert [doubled.is_stored(run, n) for n in (1, 2, 9)] == [True, True, False]
    with pytest.raises(NotComputable, match="9 has no frames"):
        doubled(run, 9)


def test_a_worker_finds_a_stage_by_its_name(run: Run, tmp_path: Path) -> None:
    from msfp.experiment.features import pooled

    assert pickle.loads(pickle.dumps(pooled)) is pooled
