"""Bars show to a person only; a runner's file gets the progress of a notebook."""

import io
from pathlib import Path

import pytest

from msfp.engine import parallel


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called in the test itself, as pytest changes stderr between set-up and call."""
    found = Terminal()
    monkeypatch.setattr("sys.stderr", found)
    for name in ("CI", "NO_COLOR", parallel.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return found


def show(total: int, label: str) -> None:
    with parallel.Bar(total, label) as bar:
        for _ in range(total):
            bar.update()


def test_a_terminal_shows_a_bar_with_and_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)
    show(3, "tracks")
    assert "tracks" in terminal.getvalue()
    assert "\x1b[36m" in terminal.getvalue()
    terminal.truncate(0)
    monkeypatch.setenv("NO_COLOR", "1")
    with parallel.Bar(2, "scores") as bar:
        bar.update(2)
        bar.note("MOT17-02")
    assert "MOT17-02" in terminal.getvalue()
    assert "\x1b[3" not in terminal.getvalue()


@pytest.mark.parametrize("why", ["CI", "pipe", "worker"])
def test_logs_stay_clean(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    terminal = at_terminal(monkeypatch)
    if why == "pipe":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    else:
        monkeypatch.setenv("CI" if why == "CI" else parallel.VARIABLE, "1" if why == "CI" else "")
    show(3, "tracks")
    assert terminal.getvalue() == ""


def test_the_runner_reads_how_far_a_stage_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "progress"
    monkeypatch.setenv(parallel.VARIABLE, str(file))
    assert parallel.read(file) is None
    bar = parallel.Bar(4, "features")
    assert parallel.read(file) == ("features", 0, 4)
    bar.update(1)
    bar.update(3)
    assert parallel.read(file) == ("features", 4, 4)
    file.write_text('["feat')
    assert parallel.read(file) is None


@pytest.mark.parametrize("kernel", [False, True])
def test_only_a_kernel_has_a_notebooks_bar(monkeypatch: pytest.MonkeyPatch, kernel: bool) -> None:
    """A process may import what kernels are made of and be none: then the bar is the terminal's."""
    import ipykernel.kernelapp  # noqa: F401  (what widgets import too)
    import IPython

    terminal = at_terminal(monkeypatch)
    shell = type("Shell", (), {"kernel": object()})() if kernel else None
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    made = []
    monkeypatch.setattr("tqdm.notebook.tqdm", lambda **given: made.append(given))
    if kernel:
        parallel.Bar(3, "tracks")
        assert made[0]["desc"] == "tracks"
    else:
        show(3, "tracks")
        assert "tracks" in terminal.getvalue()
        assert not made
