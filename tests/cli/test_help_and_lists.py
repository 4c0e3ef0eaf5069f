"""What a person sees first: help at once, lists of what there is, exit statuses."""

import json
import os
import resource
import subprocess
import sys

import pytest

from msfp.cli.listing import check_name, listing
from msfp.errors import InputError

from .conftest import Command, refused

HEAVY = ("torch", "numpy", "pandas", "pydantic", "numba", "matplotlib", "ultralytics", "trackeval", "distributed")
COMMANDS = (*("reproduce", "list", "table", "figure", "run", "evaluate", "import-results", "submit", "data", "bench"),)
PROGRAM = f"""
import sys
from msfp.cli import main
sys.argv = ["msfp", "--help"]
try:
    main()
except SystemExit as ended:
    print(ended.code, [name for name in {HEAVY} if name in sys.modules])
"""


def test_help_comes_before_anything_heavy_is_imported() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert all(command in done.stdout for command in COMMANDS)
    assert after.ru_utime - before.ru_utime < 1.5  # 0.25 s on a quiet core


@pytest.mark.parametrize("command", [*COMMANDS, "data make", "data check"])
def test_every_command_explains_itself(msfp: Command, command: str) -> None:
    shown = msfp(*command.split(), "--help")
    assert shown.code == 0
    assert command.split()[-1] in shown.out


@pytest.mark.parametrize("command", [*COMMANDS, "data make", "data check"])
def test_every_command_can_talk_to_a_program(msfp: Command, command: str) -> None:
    if command != "data":
        assert "--json" in msfp(*command.split(), "--help").out


@pytest.mark.parametrize(
    ("what", "some"),
    [
        ("tables", "03_heads"),
        ("figures", "02_reid"),
        ("trackers", "msfp-track"),
        ("datasets", "synth17"),
        ("presets", "yolov8n-paper"),
        ("appearances", "attention-instance"),
        ("thresholds", "steepest-drop"),
        ("notebooks", "08_report"),
    ],
)
def test_lists(msfp: Command, what: str, some: str) -> None:
    for_people, for_programs = msfp("list", what), msfp("list", what, "--json")
    assert (for_people.code, for_programs.code) == (0, 0)
    rows = json.loads(for_programs.out)
    assert some in for_people.out
    assert any(some in row.values() for row in rows)
    assert len(rows) == len(for_people.out.splitlines())


def test_lists_load_no_pytorch() -> None:
    code = "import sys; from msfp.cli.listing import *; [listing(k) for k in KINDS]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_lists_read_from_source_are_those_of_the_registries() -> None:
    from msfp.heads.fusion import strategies

    listed = {row["name"]: row["what"] for row in listing("appearances")}
    assert "crops" in listed.pop("reid")
    assert listed == {n: (c.__doc__ or "").splitlines()[0] for n, c in strategies().items()}


def test_names_are_checked_from_the_sources_that_the_registries_read() -> None:
    from msfp import tracking
    from msfp.experiment.folders import appearances

    for name in tracking.names():
        check_name("trackers", "--tracker", name)
    for name in ("none", *appearances()):
        check_name("appearances", "--appearance", name)
    with pytest.raises(InputError, match="--tracker bytetrak: not known; there are: .*; did you mean 'bytetrack'"):
        check_name("trackers", "--tracker", "bytetrak")


def test_a_wrong_name_is_refused_before_anything_heavy_is_imported() -> None:
    asked = "'reid', 'x', '--appearance', 'nonsense'"
    code = PROGRAM.replace("'--help'", asked).replace('"--help"', asked)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] in ("2 []", "2 ['pydantic']")  # which Typer may need to read options
    assert done.stderr.startswith("msfp: --appearance nonsense: not known; there are: none, ")


def test_help_is_not_cut(msfp: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words in ((), ("data",)):
        assert "..." not in msfp(*words, "--help").out.partition("Commands:")[2]


def test_the_settings_of_each_tracker_are_listed(msfp: Command) -> None:
    rows = {row["name"]: row["--set"].split() for row in json.loads(msfp("list", "trackers", "--json").out)}
    assert {"buffer", "match"} <= set(rows["bytetrack"])
    assert all("fps" not in names for names in rows.values())


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("reproduse",), "Did you mean 'reproduce'?"),
        (("list", "--jsn"), "--json"),
        (("figure", "1", "-p", "atl.betta=0.7"), "did you mean 'atl.beta'?"),
    ],
)
def test_a_mistyped_word_is_told_with_the_one_that_was_meant(msfp: Command, words: tuple[str, ...], meant: str) -> None:
    assert meant in msfp(*words).err


@pytest.mark.parametrize(("what", "count"), [("tables", 24), ("figures", 7)])
def test_every_artefact_of_the_paper_is_ready(msfp: Command, what: str, count: int) -> None:
    rows = {row["id"]: row["status"] for row in json.loads(msfp("list", what, "--json").out)}
    assert list(rows) == list(range(1, count + 1))
    assert set(rows.values()) == {"ready"}


def test_extra_tables_are_listed_apart(msfp: Command) -> None:
    ids = [row["id"] for row in json.loads(msfp("list", "extras", "--json").out)]
    assert {101, 102} <= set(ids)
    assert min(ids) > 100
    refused(msfp("table", 99), "table 99", "the paper has tables 1 to 24")


def test_unknown_commands_and_options_are_told_with_the_usage(msfp: Command) -> None:
    for words in (("reproduse",), ("list", "--jsn"), ("table", "one"), ("run", "somewhere")):
        result = msfp(*words)
        assert result.code == 2
        assert "Usage: msfp" in result.err


def test_an_interrupted_command_says_that_nothing_is_lost(msfp: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_what: str) -> list[dict[str, object]]:
        raise KeyboardInterrupt

    monkeypatch.setattr("msfp.cli.listing.listing", interrupt)
    stopped = msfp("list")
    assert stopped.code == 130
    assert stopped.out == ""
    assert stopped.err.startswith("msfp: stopped;")
    assert "the same command goes on" in stopped.err


def test_examples_keep_their_lines(msfp: Command) -> None:
    lines = [line.strip() for line in msfp("track", "--help").out.splitlines()]
    assert {"msfp track street.mp4 --weights yolov8n.pt", "msfp track 0 --show"} <= set(lines)


def test_help_ends_with_the_exit_statuses(msfp: Command) -> None:
    ends = " ".join(msfp("--help").out.split()).partition("Exit status:")[2]
    assert [word for word in ends.replace(";", " ").split() if word.isdigit()] == ["0", "1", "2", "3", "4", "130"]


def test_the_installed_command_has_no_traceback_for_a_mistake() -> None:
    program = os.path.join(os.path.dirname(sys.executable), "msfp")
    done = subprocess.run([program, "list", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("msfp: list nonsense: there are: tables")
    assert len(done.stderr.splitlines()) == 1


def test_benchmarks_are_listed_and_unknown_ones_refused(msfp: Command) -> None:
    assert isinstance(json.loads(msfp("bench", "--json").out), list)
    refused(msfp("bench", "nonsense"), "bench nonsense: not known")
