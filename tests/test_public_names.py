"""The package's front: every public name is there, is told with an example, and loads nothing before it is used."""

import subprocess
import sys

import msfp


def test_every_public_name_is_found_and_told_in_the_tour() -> None:
    assert msfp.__doc__
    for name in msfp._PLACES:
        assert getattr(msfp, name) is not None
        assert f"msfp.{name}" in msfp.__doc__, name
        assert getattr(msfp, name).__doc__, name


def test_names_are_loaded_when_they_are_used() -> None:
    code = "import sys, msfp; assert not {'torch', 'pandas', 'numba'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_papers_own_table_is_a_frame() -> None:
    found = msfp.reference(3).set_index(["row", "column"]).value
    assert set(found.index.get_level_values("column")) == {"AUC", "Gap", "AssA", "Dim"}
