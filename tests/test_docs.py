"""The documentation's pages: every public name is on them, and their Python runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import msfp

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_every_public_name_is_on_the_api_page() -> None:
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", (DOCS / "api.md").read_text(), re.M)
    assert sorted(listed) == sorted(msfp.__all__)


def test_the_python_of_the_how_tos_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "how-to.md").read_text(), re.M | re.S)
    assert len(blocks) >= 5
    script = tmp_path / "how_to.py"
    script.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    """As `make docs` builds it; conf.py itself refuses a page that would fetch something."""
    pytest.importorskip("sphinx", reason="make docs installs Sphinx")
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(DOCS), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "<math" in (tmp_path / "notebooks" / "01_features.html").read_text()
