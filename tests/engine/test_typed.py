"""Code that was typed into cells: found, told apart, and refused where it cannot be."""

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from msfp.engine.code import need_originals, source_of, typed_digest
from msfp.errors import MsfpError


class Kernel:
    """Cells run one after the other, as in a notebook; what they define is of `__main__`."""

    def __init__(self) -> None:
        self.shell = InteractiveShell()
        self.shell.user_ns["__name__"] = "__main__"
        self.shell.user_module.__name__ = "__main__"

    def run(self, cell: str) -> None:
        done = self.shell.run_cell(cell, store_history=True)
        done.raise_error()

    def __getitem__(self, name: str):
        return self.shell.user_ns[name]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_a_function_counts_with_what_it_uses(kernel: Kernel) -> None:
    kernel.run(
        "import numpy as np\nSCALE = 2\ndef inner(x):\n    return x + 1\n"
        "def outer(x):\n    return SCALE * inner(np.abs(x))"
    )
    before = typed_digest(kernel["outer"])
    assert before == typed_digest(kernel["outer"])
    kernel.run("def inner(x):\n    # another comment\n    return x + 1")
    assert typed_digest(kernel["outer"]) == before, "a comment changes nothing"
    kernel.run("def inner(x):\n    return x + 2")
    other = typed_digest(kernel["outer"])
    assert other != before, "a function of another cell is called"
    kernel.run("SCALE = 3")
    assert typed_digest(kernel["outer"]) not in (before, other), "a variable is read"
    kernel.run("UNUSED = 5")
    assert typed_digest(kernel["outer"]) == typed_digest(kernel["outer"])


@pytest.mark.parametrize(
    "change",
    [
        "def f(x, k=2):\n    return x",
        "def f(x, *, k=1):\n    return x",
        "f = lambda x: x",
        "import functools\ndef g(x, k):\n    return x\nf = functools.partial(g, k=1)",
        "def make(k):\n    def f(x):\n        return x + k\n    return f\nf = make(1)",
        "def make(k):\n    def f(x):\n        return x + k\n    return f\nf = make(2)",
    ],
)
def test_defaults_partials_and_closures_count(kernel: Kernel, change: str) -> None:
    kernel.run("def f(x, k=1):\n    return x")
    before = typed_digest(kernel["f"])
    kernel.run(change)
    assert typed_digest(kernel["f"]) != before


def test_closures_over_other_values_differ(kernel: Kernel) -> None:
    kernel.run("def make(k):\n    def f(x):\n        return x + k\n    return f\none, two = make(1), make(2)")
    assert typed_digest(kernel["one"]) != typed_digest(kernel["two"])


def test_two_closures_of_one_factory_both_count(kernel: Kernel) -> None:
    kernel.run("def make(k):\n    def f(x):\n        return x + k\n    return f\none, two = make(1), make(2)")
    kernel.run("def both(x):\n    return one(x) + two(x)")
    before = typed_digest(kernel["both"])
    kernel.run("two = make(3)")
    assert typed_digest(kernel["both"]) != before
    kernel.run("two = make(2)")
    assert typed_digest(kernel["both"]) == before


def test_a_closure_that_calls_itself(kernel: Kernel) -> None:
    kernel.run(
        "def make(k):\n    def f(n):\n        return k if n == 0 else f(n - 1)\n    return f\n"
        "one, two = make(1), make(2)"
    )
    assert typed_digest(kernel["one"]) != typed_digest(kernel["two"])


def test_a_class_counts_with_its_methods_and_constants(kernel: Kernel) -> None:
    kernel.run(
        "WIDTH = 3\ndef half(x):\n    return x / 2\n"
        "class Head:\n    width = WIDTH\n    def embed(self, x):\n        return half(x)"
    )
    assert source_of(kernel["Head"]).startswith("class Head:")
    before = typed_digest(kernel["Head"])
    kernel.run("def half(x):\n    return x / 3")
    assert typed_digest(kernel["Head"]) != before
    kernel.run("def half(x):\n    return x / 2")
    assert typed_digest(kernel["Head"]) == before
    kernel.run("WIDTH = 4\nclass Head:\n    width = WIDTH\n    def embed(self, x):\n        return half(x)")
    assert typed_digest(kernel["Head"]) != before


def test_functions_that_call_each_other(kernel: Kernel) -> None:
    kernel.run("def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - 1)")
    assert typed_digest(kernel["even"]) != typed_digest(kernel["odd"])


def test_arrays_and_modules(kernel: Kernel) -> None:
    kernel.run("import numpy as np\nW = np.arange(3.0)\ndef f(x):\n    return x @ W")
    before = typed_digest(kernel["f"])
    kernel["W"][1] = 7
    assert typed_digest(kernel["f"]) != before


def test_what_has_no_content_is_refused_by_name(kernel: Kernel) -> None:
    kernel.run("class Box:\n    pass\nbox = Box()\ndef f(x):\n    return box")
    with pytest.raises(MsfpError, match="^box: an object of a class of this notebook has no content"):
        typed_digest(kernel["f"])
    kernel.run("lock = __import__('threading').Lock()\ndef g(x):\n    return lock")
    with pytest.raises(MsfpError, match="lock: is used and has no content to tell results by"):
        typed_digest(kernel["g"])


def test_what_has_no_source_is_refused() -> None:
    space: dict = {"__name__": "__main__"}
    exec("def f(x):\n    return x\nclass Head:\n    def embed(self):\n        pass", space)
    for thing in (space["f"], space["Head"]):
        with pytest.raises(MsfpError, match="its source cannot be read"):
            typed_digest(thing)


def test_code_of_packages_counts_by_module() -> None:
    from msfp.heads.fusion import Concat

    assert typed_digest(Concat) != typed_digest(np.linalg.norm)


def test_a_replaced_function_of_the_package_is_refused(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    import msfp.heads.triplets

    need_originals()
    kernel.run("def triplet_loss(*arguments):\n    return 0")
    monkeypatch.setattr(msfp.heads.triplets, "triplet_loss", kernel["triplet_loss"])
    with pytest.raises(MsfpError, match=r"msfp\.heads\.triplets\.triplet_loss was replaced by one of this notebook"):
        need_originals()
