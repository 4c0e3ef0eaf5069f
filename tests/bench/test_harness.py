"""The benchmarks' harness: its arithmetic, its files, and that every benchmark runs and its sides agree."""

import datetime
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
NAMES = sorted(path.stem for path in BENCH.glob("bench_*.py"))
NOON = datetime.datetime(2030, 1, 2, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module", autouse=True)
def scripts_importable() -> Iterator[None]:
    """Scripts find each other beside themselves, as when they are run."""
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.fixture
def harness() -> ModuleType:
    return importlib.import_module("harness")


@pytest.fixture
def tables() -> ModuleType:
    return importlib.import_module("tables")


def case(harness: ModuleType, order: list[str], **about: Any) -> Any:
    """Two sides that note when they are called and agree on 7."""

    def side(name: str) -> Any:
        return lambda: (order.append(name), 7)[1]

    def agree(found: Any) -> dict[str, int]:
        assert found["peer"] == found["msfp"]
        return {"both": found["msfp"]}

    return harness.Case("small", "nothing", {"peer": side("peer"), "msfp": side("msfp")}, agree, **about)


def test_summary_is_median_and_extremes(harness: ModuleType) -> None:
    assert harness.summary([3.0, 1.0, 10.0]) == {"median": 3.0, "min": 1.0, "max": 10.0}
    assert harness.summary([1.23456789])["median"] == 1.2346


def test_ratios_are_within_rounds_not_of_medians(harness: ModuleType) -> None:
    theirs = [harness.Clocked(None, 9.0, cpu) for cpu in (10.0, 40.0, 20.0)]
    ours = [harness.Clocked(None, 9.0, cpu) for cpu in (1.0, 8.0, 1.0)]
    assert harness.ratios(theirs, ours) == [10.0, 5.0, 20.0]


def test_ratio_to_a_side_without_cpu_seconds_is_wall_by_wall(harness: ModuleType) -> None:
    assert harness.ratios([harness.Clocked(None, 6.0)], [harness.Clocked(None, 2.0, 1.0)]) == [3.0]


def test_sides_take_turns_after_the_warm_up(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(harness, "enough", lambda first: 1)
    done = harness.measure(case(harness, order, rounds=3), harness.Options())
    assert order == ["peer", "msfp"] * 5  # once to check, once to see how long, three rounds
    assert done["rounds"] == 3
    assert done["checks"] == {"both": 7}
    assert set(done["ratios"]) == {"peer"}


def test_nothing_is_timed_where_sides_differ(harness: ModuleType) -> None:
    order: list[str] = []
    wrong = case(harness, order)
    sides = {**wrong.sides, "peer": lambda: 8}
    with pytest.raises(AssertionError):
        harness.measure(harness.Case("small", "", sides, wrong.agree), harness.Options())
    assert order == ["msfp"]


def test_unit_and_share_scale_the_times(harness: ModuleType) -> None:
    sides = {"peer": lambda: harness.Clocked(1, 3.0), "msfp": lambda: harness.Clocked(1, 2.0, 1.0)}
    done = harness.measure(
        harness.Case("c", "", sides, lambda found: {}, unit="ms/frame", per=100), harness.Options(rounds=2)
    )
    assert done["sides"]["peer"]["median"] == 30.0
    assert done["sides"]["msfp"]["median"] == 10.0
    assert done["wall"]["msfp"]["median"] == 20.0
    assert done["wall_only"] == ["peer"]
    assert done["ratios"]["peer"]["median"] == 1.5


def test_short_work_is_repeated_until_it_can_be_measured(harness: ModuleType) -> None:
    assert harness.enough(harness.Clocked(None, 1.0, 0.01)) == 5
    assert harness.enough(harness.Clocked(None, 1.0, 2.0)) == 1
    assert harness.enough(harness.Clocked(None, 1.0, 0.0)) == 1000
    assert harness.enough(harness.Clocked(None, 0.001)) == 1


def test_work_that_keeps_its_own_time_is_done_once_a_round(harness: ModuleType) -> None:
    calls: list[str] = []

    def own() -> Any:
        calls.append("own")
        return harness.Clocked(7, 1e-6, 1e-6)  # a millionth for a frame says nothing of the whole

    done = harness.measure(harness.Case("c", "", {"msfp": own}, lambda found: found), harness.Options(rounds=3))
    assert len(calls) == 4
    assert done["checks"] == {"msfp": 7}


def test_host_class_names_cores_and_family(harness: ModuleType) -> None:
    assert harness.host_class(2, "x86_64") == "2core-x86"
    assert harness.host_class(8, "aarch64") == "8core-arm"


def test_a_days_file_keeps_the_other_benchmarks(harness: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    done = harness.measure(case(harness, []), harness.Options(quick=True))
    path = harness.save(tmp_path, "one", [done], NOON)
    assert harness.save(tmp_path, "two", [done], NOON) == path
    kind = harness.host()["class"]
    assert path.name == f"2030-01-02-{kind}.json"
    data = json.loads(path.read_text())
    assert data["format"] == tables.FORMAT
    assert data["host_class"] == kind
    assert set(data["benches"]) == {"one", "two"}
    entry = data["benches"]["one"]
    assert {"written", "threads", "load", "host", "cases", "code"} <= set(entry)
    assert {"cpu", "cores", "python", "packages"} <= set(entry["host"])


def test_latest_takes_the_newest_of_each_benchmark(harness: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    done = harness.measure(case(harness, []), harness.Options(quick=True))
    harness.save(tmp_path, "one", [{**done, "case": "old"}], NOON)
    harness.save(tmp_path, "two", [{**done, "case": "kept"}], NOON)
    harness.save(tmp_path, "one", [{**done, "case": "new"}], NOON + datetime.timedelta(days=1))
    (found,) = tables.latest(tmp_path).values()
    assert {name: entry["cases"][0]["case"] for name, entry in found.items()} == {"one": "new", "two": "kept"}


def test_a_file_of_another_format_is_refused(tables: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "2030-01-01-2core-x86.json").write_text('{"format": 99}')
    with pytest.raises(SystemExit, match="format 99, this reads 1; run the benchmarks again"):
        tables.latest(tmp_path)


def test_an_absent_side_is_left_out_with_a_message(harness: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def agree(found: Any) -> dict[str, int]:
        return {"sides": len(found)}

    sides = {"peer": lambda: 1 / 0, "msfp": lambda: 7}
    done = harness.measure(harness.Case("small", "", sides, agree, absent=("peer",)), harness.Options(quick=True))
    assert list(done["sides"]) == ["msfp"]
    assert done["absent"] == ["peer"]
    assert done["checks"] == {"sides": 1}
    assert "small: peer left out" in capsys.readouterr().err


def test_a_row_of_an_absent_side_stays_with_its_date(harness: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    whole = harness.measure(case(harness, []), harness.Options(quick=True))
    without = harness.measure(
        harness.Case("small", "nothing", {"msfp": lambda: 7}, lambda _: {"new": 1}, absent=("peer",)),
        harness.Options(quick=True),
    )
    for days, cases in enumerate(([whole], [without], [without], [{**without, "inputs": "others"}])):
        harness.save(tmp_path, "one", cases, NOON + datetime.timedelta(days=days))
        (found,) = tables.latest(tmp_path).values()
        (now,) = found["one"]["cases"]
        lines = [line[0] for line in tables.rows(now)]
        assert lines == [["peer", "msfp"], *[["peer (2030-01-02)", "msfp"]] * 2, ["msfp"]][days]
        assert now["checks"] == [{"both": 7}, *[{"both": 7, "new": 1}] * 2, {"new": 1}][days]


def test_readme_gets_its_tables_between_the_marks(harness: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    done = harness.measure(case(harness, []), harness.Options(quick=True))
    harness.save(tmp_path, "one", [done], NOON)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    tables.write_readme(tmp_path, readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| one | small | peer |" in text
    tables.write_readme(tmp_path, readme)
    assert readme.read_text() == text
    readme.write_text("no marks")
    with pytest.raises(SystemExit, match="put them back"):
        tables.write_readme(tmp_path, readme)


def test_text_table_is_aligned(harness: ModuleType, tables: ModuleType) -> None:
    done = harness.measure(case(harness, []), harness.Options(quick=True))
    lines = tables.text_table("one", [done]).splitlines()
    assert lines[1].index("median") == lines[2].index(f"{done['sides']['peer']['median']:.4g}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("default")
def test_every_benchmark_runs_and_its_sides_agree(harness: ModuleType, name: str) -> None:
    module = importlib.import_module(name)
    options = harness.Options(quick=True)
    count = 0
    for one in module.cases(options):
        done = harness.measure(one, options)
        assert done["ratios"], name
        assert done["checks"], name
        count += 1
    assert count


def test_a_script_runs_on_one_thread_and_prints_json(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "bench_reid.py"), "--quick", "--json", "--results", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MSFP_REAL")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout)
    assert found["bench"] == "reid"
    assert found["cases"][0]["sides"]["msfp"]["median"] > 0
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_parts_of_a_frame_on_a_device() -> None:
    module = importlib.import_module("gpu_frame")
    found = module.measure("yolov8n-paper", "cpu", (160, 96), frames=3, warm_up=1, boxes=5)
    own_pass = ["detector", "ReID, a pass of its own", "association"]
    assert list(found) == [*own_pass, "in one piece", "in one piece: device", "total"]
    assert found["total"]["median"] >= found["detector"]["median"] > 0


def test_what_a_card_took_is_kept_with_date_and_hardware(tmp_path: Path) -> None:
    module = importlib.import_module("gpu_frame")
    told = {"bench": "pipeline", "device": "NVIDIA H200 (141 GB)", "milliseconds": {"yolov8n-paper": {}}}
    path = module.keep(tmp_path / "gpu", told, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    assert path.name == "2026-01-02-nvidia-h200-141-gb.json"
    kept = json.loads(path.read_text())
    assert kept["milliseconds"] == told["milliseconds"]
    assert kept["written"].startswith("2026-01-02")
    assert {"cpu", "packages"} <= set(kept["host"])


def test_offline_extraction_on_a_device() -> None:
    module = importlib.import_module("gpu_frame")
    rates = module.measure_offline("yolov8n-paper", "cpu", (160, 96), batches=(1, 2), frames=3, boxes=5)
    assert set(rates) == {1, 2}
    assert min(rates.values()) > 0


def test_a_gpu_that_is_not_there_is_told_in_a_line() -> None:
    command = [sys.executable, str(BENCH / "bench_pipeline.py"), "--device", "cuda"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "cuda" in line
    assert "Traceback" not in done.stderr
