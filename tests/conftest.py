"""Fixtures every test may use."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# Before any numerical library is loaded: test processes fill the cores, and threads that spin beside them cost most.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine draws inputs slowly; that says nothing about the test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
