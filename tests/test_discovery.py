"""Classes are found where they are defined, and two of one name are refused."""

import sys
from pathlib import Path

import pytest

from msfp.types import concrete


class Base:
    """A family."""

    name = ""


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`family(one=text, ...)` makes a package of these modules and finds its classes."""

    def make(**modules: str) -> dict[str, type[Base]]:
        folder = tmp_path / "some_family"
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(f"from {__name__} import Base\n{text}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(sys.modules, __name__, sys.modules[Base.__module__])
        try:
            return concrete("some_family", [str(folder)], Base)
        finally:
            for name in [n for n in sys.modules if n.startswith("some_family")]:
                del sys.modules[name]

    return make


def test_a_file_registers_by_existing(family) -> None:
    found = family(
        b="class Two(Base):\n    name = 'two'\n", a="class One(Base):\n    name = 'one'\nclass Half(Base): ...\n"
    )
    assert list(found) == ["one", "two"], "those without a name are abstract"


def test_an_imported_class_counts_once(family) -> None:
    assert list(family(a="class One(Base):\n    name = 'one'\n", b="from some_family.a import One\n")) == ["one"]


def test_two_of_one_name_are_refused(family) -> None:
    twin = "class One(Base):\n    name = 'one'\n"
    with pytest.raises(TypeError, match="two of some_family are named 'one'"):
        family(a=twin, b=twin)
