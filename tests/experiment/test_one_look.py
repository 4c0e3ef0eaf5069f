"""Within a task a file is looked at once; outside of it, each time."""

from msfp.experiment.run import looked_once, one_look, task


def counting() -> tuple[list[object], object]:
    calls: list[object] = []

    @looked_once
    def look(run: object, name: str, part: object = None) -> int:
        calls.append((name, part))
        return len(calls)

    return calls, look


def test_each_is_looked_at_once_within_a_task_and_anew_in_the_next() -> None:
    calls, look = counting()
    run, part = object(), object()
    assert [look(run, "a"), look(run, "a")] == [1, 2], "outside of a task nothing is kept"
    with one_look():
        assert [look(run, "a"), look(run, "a"), look(run, "b")] == [3, 3, 4]
        with one_look():
            assert look(run, "a") == 3, "a task within a task shares its looks"
        assert [look(run, "a", part=part), look(run, "a", part=part), look(run, "a", part=object())] == [5, 5, 6]
        assert look(object(), "a") == 7
    with one_look():
        assert look(run, "a") == 8
    assert len(calls) == 8


def test_nothing_is_kept_of_a_task_that_fails() -> None:
    calls, look = counting()

    def fail(item: str) -> None:
        look(None, item)
        raise ValueError(item)

    for _ in range(2):
        try:
            task("a", fail)
        except ValueError:
            continue
    assert len(calls) == 2
