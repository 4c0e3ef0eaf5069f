"""What a run at work says: what is ready, how long the rest may take, and a report that grows."""

import time
from pathlib import Path

import pytest

import msfp
from msfp.engine import parallel
from msfp.engine.notebooks import Executed
from msfp.paper import report
from msfp.paper.report import REPORT, SECONDS, Progress


def ended(name: str, seconds: float) -> Executed:
    return Executed(name, Path(f"{name}.ipynb"), seconds, skipped=False)


@pytest.mark.parametrize("slower", [0.5, 1.0, 4.0])
def test_the_rest_takes_its_share_at_the_speed_so_far(tmp_path: Path, slower: float) -> None:
    progress = Progress(msfp.open("demo", home=tmp_path))
    assert progress.left(["03_heads"]) == ""  # nothing is known yet
    progress.took(report.RENDERING, slower * SECONDS[report.RENDERING])
    rest = ["03_heads", "05_tracking", REPORT]
    wanted = slower * sum(SECONDS[name] for name in rest) / 60
    assert progress.left(rest) == f"about {wanted:.0f} minutes to go"
    assert progress.left([]) == ""


def test_other_profiles_have_other_shares(tmp_path: Path) -> None:
    progress = Progress(msfp.open("smoke", home=tmp_path))
    progress.took("00_data", 3.0)
    assert progress.left(["03_heads"]) == ""


def test_the_report_grows_and_says_what_is_to_come(tmp_path: Path) -> None:
    run = msfp.open("smoke", home=tmp_path)
    progress = Progress(run)
    told = progress(ended("00_data", 1.0), ["01_features", REPORT])
    assert progress.writing is not None
    progress.writing.join()
    page = run.out / "report" / "index.html"
    assert str(page) in told
    assert "Still to come: 01_features, 08_report" in page.read_text(encoding="utf-8")
    assert not (run.figures / report.MADE).exists()  # quoted elsewhere: only a whole run writes it
    before = page.read_bytes()
    assert progress(ended("01_features", 1.0), [REPORT]) == ""  # the last notebook writes the report itself
    assert page.read_bytes() == before
    progress.close()  # as when the last notebook failed, or was unchanged
    assert "Still to come" not in page.read_text(encoding="utf-8")


def test_a_loop_without_a_bar_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(parallel.VARIABLE, raising=False)
    monkeypatch.setattr(parallel, "SILENCE", 0.01)
    parallel.map(time.sleep, [0.02, 0.02], label="drawing")
    assert "drawing: 1 of 2" in capsys.readouterr().err
