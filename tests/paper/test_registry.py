"""The register of tables and figures."""

import re
from types import ModuleType

import pytest

from msfp.errors import InputError, NotComputable
from msfp.paper import reference
from msfp.paper.registry import Artefact, artefact, artefacts, collect, figure, get_figure, get_table, table
from msfp.types import Cell

NOTEBOOKS = re.compile(r"0[0-8]_[a-z]+")


def module(name: str, **functions: object) -> ModuleType:
    made = ModuleType(name)
    for label, function in functions.items():
        function.__module__ = name
        setattr(made, label, function)
    return made


def some_table(number: int) -> object:
    @table(number, needs=("tracks",))
    def compute(run: object) -> list[Cell]:
        return []

    return compute


def by_id(found: tuple[Artefact, ...]) -> dict[str, Artefact]:
    return {a.id: a for a in found}


def test_lists_24_tables_and_7_figures() -> None:
    found = artefacts()
    assert [a.number for a in found if a.kind == "table"] == list(range(1, 25))
    assert [a.number for a in found if a.kind == "figure"] == list(range(1, 8))
    for a in found:
        assert a.id == f"{a.kind}{a.number:02d}"
        assert a.title
        assert a.section
        assert a.caption
        assert NOTEBOOKS.fullmatch(a.notebook)
        assert bool(a.stub) == (a.kind == "table")


def test_status_follows_from_registration() -> None:
    assert {a.status for a in collect([])} == {"planned"}
    found = by_id(collect([module("mine", compute=some_table(7))]))
    assert found["table07"].status == "ready"
    assert found["table07"].needs == ("tracks",)
    assert sum(a.status == "ready" for a in found.values()) == 1


def test_an_id_is_registered_once() -> None:
    two = [module("first", compute=some_table(7)), module("second", compute=some_table(7))]
    with pytest.raises(
        InputError, match=r"table 7 is registered twice: first\.compute and second\.compute; remove one"
    ):
        collect(two)


def test_an_id_that_the_paper_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="mine registers table 99, which the paper does not have"):
        collect([module("mine", compute=some_table(99))])


def test_an_imported_function_does_not_register_again() -> None:
    function = some_table(7)
    first = module("first", compute=function)
    second = ModuleType("second")
    second.compute = function  # type: ignore[attr-defined]
    assert by_id(collect([first, second]))["table07"].status == "ready"


def test_a_decorated_figure_may_carry_its_own_title() -> None:
    @figure(5, title="Ours")
    def draw(run: object) -> None: ...

    assert by_id(collect([module("mine", draw=draw)]))["figure05"].title == "Ours"


def test_unknown_numbers_say_what_there_is() -> None:
    with pytest.raises(InputError, match="table 25: the paper has tables 1 to 24"):
        get_table(25)
    with pytest.raises(InputError, match="figure 0: the paper has figures 1 to 7"):
        get_figure(0)


def test_planned_ones_say_so_and_what_is_ready() -> None:
    planned = [a for a in artefacts() if a.status == "planned"]
    for one in planned[:1]:
        get = get_table if one.kind == "table" else get_figure
        with pytest.raises(NotComputable, match=rf"{one.kind} {one.number} .* is planned, not computed yet; ready"):
            get(one.number)


def test_ready_ones_are_callable() -> None:
    for one in artefacts():
        if one.status == "ready":
            get = get_table if one.kind == "table" else get_figure
            assert get(one.number) is one.function


def test_every_table_has_reference_numbers() -> None:
    assert {e.table for e in reference.load()} == {a.number for a in artefacts() if a.kind == "table"}
    assert artefact("table", 3).name == "Table 3"
