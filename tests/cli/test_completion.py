"""Shells complete commands and names, by the protocol that the installed script speaks, without loading PyTorch."""

import os
import subprocess
import sys

import pytest

ASK = "import sys\nfrom msfp.cli import main\ntry:\n    main()\nfinally:\n    sys.stderr.write(' '.join(sys.modules))"


def completed(words: str, shell: str = "bash") -> tuple[list[str], set[str]]:
    """What the shell is offered after these words, and the modules that it took."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    if shell == "zsh":
        asked = {"_TYPER_COMPLETE_ARGS": words}
    environment = {**os.environ, "_MSFP_COMPLETE": f"complete_{shell}", **asked}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.split(), set(done.stderr.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("msfp rep", {"reproduce", "report"}),
        ("msfp track street.mp4 --tracker by", {"bytetrack"}),
        ("msfp track street.mp4 --threshold atl-", {"atl-single", "atl-dual"}),
        ("msfp run data --appearance attention", {"attention-instance", "attention-global"}),
        ("msfp table 2", {"2", "20", "21", "22", "23", "24"}),
        ("msfp figure 7", {"7"}),
        ("msfp list tr", {"trackers"}),
        ("msfp bench poo", {"pooling"}),
        ("msfp data get mot", {"mot17", "mot20"}),
        ("msfp reproduce --profile de", {"demo"}),
    ],
)
def test_bash_is_offered_names(words: str, offered: set[str]) -> None:
    found, modules = completed(words)
    assert set(found) == offered
    assert "msfp.cli.app" in modules
    assert "torch" not in modules


def test_zsh_is_offered_names() -> None:
    found, modules = completed("msfp track street.mp4 --tracker deep-", "zsh")
    assert '"deep-ocsort"' in " ".join(found)
    assert "torch" not in modules
