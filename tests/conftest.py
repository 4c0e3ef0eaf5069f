"""Fixtures every test may use."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# Before any numerical library is loaded: test processes fill the cores, and threads that spin beside them cost most.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine draws inputs slowly; that says nothing about the test.
NO_FAULTS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("any machine", deadline=None, max_examples=30, suppress_health_check=NO_FAULTS)
settings.load_profile("any machine")

SHARED = Path(__file__).resolve().parents[2] / "shared"
# As small as every artefact still has numbers: the crowded data set is the dearest to render.
SMALL = "data.frames=12 data.crowded=none training.epochs=1 selection.trials=2 selection.finalists=1"


def reproduce(home: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """`msfp reproduce` of the smallest run, in a process group of its own."""
    program = [str(Path(sys.executable).with_name("msfp")), "reproduce", "--profile", "smoke", "--home", str(home)]
    command = [*program, *(f"--param={setting}" for setting in SMALL.split()), *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes, **options)


# The long ones start first: one process makes the finished run while the other compiles the trackers' kernels.
FIRST = ("test_end_to_end", "tracking/test_contract", "tracking/", "test_stopping", "explore/", "@", "bench/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.nodeid + ("@" if item.get_closest_marker("xdist_group") else "")
        return next((k for k, part in enumerate(FIRST) if part in name), len(FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of one finished run; the test processes share it, and the first to ask makes it."""
    from msfp.engine.files import locked

    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with locked(home.with_suffix(".lock")):
        if not (home / "runs" / "smoke" / "report").is_dir():
            run = reproduce(home, "--workers", "0")
            _, said = run.communicate()
            assert run.returncode == 0, said
    return home


@pytest.fixture
def fresh(finished: Path, tmp_path: Path) -> Path:
    """A home without results that has the finished run's rendered worlds."""
    home = tmp_path / "fresh"
    home.mkdir()
    (home / "data").symlink_to(finished / "data")
    return home


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real labels, frames, weights and oracles beside the checkout; skips where it is absent."""
    if not (SHARED / "mot17-dev").is_dir():
        pytest.skip(f"real data not found at {SHARED}")
    return SHARED


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Chrome"]:
    """A headless Chromium of 1280 x 900 for the tests of one file; skips where browser or driver is not installed.

    `chromium.get_log("browser")` hands out what the page wrote to its console since the last call.
    """
    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (Debian, Ubuntu: apt install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    profile = tmp_path_factory.mktemp("chromium")
    for switch in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900",
        "--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--no-first-run",
        "--lang=en", f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    # The window's size counts the browser's own bars, which headless draws too: ask for the page's.
    window.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    # A window that nobody clicked into has no focus in every version, and JupyterLab then knows no current notebook.
    window.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    window.set_script_timeout(120)  # a script may wait for a kernel, and the machine be busy
    yield window
    window.quit()
