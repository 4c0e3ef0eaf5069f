"""The digest of code follows what runs, not how it is written about."""

from pathlib import Path

import pytest

from msfp.engine import code
from msfp.engine.code import code_digest
from msfp.errors import MsfpError

SOURCE = '"""Doc."""\n\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `worldN` of its own name in the place of msfp."""
    root = tmp_path / f"world{abs(hash(str(tmp_path)))}"
    (root / "inner").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "inner" / "__init__.py").write_text(f"from {root.name}.inner.leaf import f\n")
    (root / "inner" / "leaf.py").write_text(SOURCE)
    (root / "top.py").write_text(f"def go():\n    from {root.name}.inner.leaf import f\n    return f(1)\n")
    (root / "apart.py").write_text("import numpy\n")
    monkeypatch.setattr(code, "PACKAGE", root)
    return root


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    leaf, name = package / "inner" / "leaf.py", f"{package.name}.inner.leaf"
    before = code_digest(name)
    leaf.write_text('"""Another text, of another length."""\n\n\ndef f(x):\n\n    return (x + 1)\n')
    assert code_digest(name) == before
    leaf.write_text(SOURCE.replace("+ 1", "+ 22"))
    assert code_digest(name) != before


def test_what_a_module_imports_counts(package: Path) -> None:
    top = f"{package.name}.top"
    before, alone = code_digest(top), code_digest(top, follow=False)
    (package / "apart.py").write_text("import numpy, os\n")
    assert code_digest(top) == before
    (package / "inner" / "leaf.py").write_text(SOURCE.replace("+ 1", "- 11"))
    assert code_digest(top) != before
    assert code_digest(top, follow=False) == alone


def test_a_package_counts_with_all_its_files(package: Path) -> None:
    before = code_digest(package.name)
    (package / "inner" / "added.py").write_text("x = 1\n")
    assert code_digest(package.name) != before


def test_modules_and_digests() -> None:
    known = code_digest("msfp.types")
    assert known.startswith("code:")
    assert code_digest("msfp.engine.files") != known
    assert code_digest(known) == code_digest(known) != known
    with pytest.raises(MsfpError, match=r"code 'msfp\.nothing': no such module"):
        code_digest("msfp.nothing")
