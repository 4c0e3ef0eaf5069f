"""The report in Chromium, from a file: sorted, read by keyboard, enlarged, darkened, printed; nothing is fetched."""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from msfp.paper.pages import Contents, write_site
from tests.paper.site.conftest import VERDICTS

pytestmark = pytest.mark.xdist_group("site")

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PATIENCE = 10.0
ROWS = (
    "return [...document.querySelectorAll('#table01 tbody tr:not(.group)')].map(r => [r.cells[0].textContent.trim(), "
    "r.cells[1]?.dataset.measured ?? null])"
)

SCROLLED = """
  const row = document.querySelector('#table01 tbody tr:not(.group)');
  const box = row.closest('.scroll'), label = row.cells[0];
  label.scrollIntoView();
  box.scrollLeft = 1e4;
  const at = label.getBoundingClientRect();
  const seen = document.elementFromPoint(at.left + 5, at.top + at.height / 2) === label;
  const group = document.querySelector('#table01 tr.group span').getBoundingClientRect().left;
  return { by: box.scrollLeft, left: [at.left, group], edge: box.getBoundingClientRect().left, seen };
"""


CONTRAST = """
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {  // of any notation, drawn as the browser draws it
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((k) => top[3] * top[k] + (1 - top[3]) * below[k]);
  const ground = (element) => {
    if (!element) return rgba(getComputedStyle(document.documentElement).colorScheme === "dark" ? "#121212" : "#fff");
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
    const style = getComputedStyle(element);
    if (!text || !element.getClientRects().length || style.opacity === "0" || style.visibility !== "visible") continue;
    const below = ground(element);
    const levels = [light(over(rgba(style.color), below)), light(below)].sort((a, b) => b - a);
    found.push([(levels[0] + 0.05) / (levels[1] + 0.05), element.tagName, element.className, text.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
"""


@pytest.fixture(scope="module")
def site(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "report", replace(contents, verdicts=VERDICTS)).parent


@pytest.fixture
def show(chromium: "Chrome", site: Path) -> Iterator[Callable[[str], "Chrome"]]:
    """Opens a page; afterwards nothing may have been complained of or fetched."""

    def shown(page: str) -> "Chrome":
        chromium.get((site / page).as_uri())
        return chromium

    yield shown
    fetched = chromium.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in fetched if not name.startswith(("file:", "data:"))] == []
    assert [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def until(true: Callable[[], Any]) -> Any:
    """The first true value of something that takes a moment."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


def press(browser: "Chrome", *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def numbers(browser: "Chrome") -> list[float]:
    """The measured values of the first column, in the order of the rows that have one."""
    return [float(value) for _, value in browser.execute_script(ROWS) if value is not None]


def test_a_table_is_sorted_by_number_and_comes_back(show: Callable[[str], "Chrome"]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show("05_tracking.html")
    before = browser.execute_script(ROWS)
    head = browser.find_element(By.CSS_SELECTOR, "#table01 thead th:nth-child(2)")
    head.find_element(By.TAG_NAME, "button").click()
    assert numbers(browser) == [101.0, 50.0, 44.0, 9.5]  # higher is better; as texts 9.5 would lead
    assert head.get_attribute("aria-sort") == "descending"
    rows = browser.execute_script(ROWS)
    assert [value is None for _, value in rows] == sorted(value is None for _, value in rows)  # n/a last
    browser.execute_script("arguments[0].focus()", head.find_element(By.TAG_NAME, "button"))
    press(browser, Keys.ENTER)
    assert numbers(browser) == [9.5, 44.0, 50.0, 101.0]
    press(browser, Keys.ENTER)
    assert browser.execute_script(ROWS) == before
    assert head.get_attribute("aria-sort") is None


def test_a_number_says_where_it_comes_from_by_keyboard(show: Callable[[str], "Chrome"]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show("05_tracking.html")
    panel = browser.find_element(By.ID, "about")
    assert not panel.is_displayed()
    browser.execute_script("document.querySelector('#table01 td[tabindex=\"0\"]').focus()")
    first = until(lambda: panel.is_displayed() and panel.text)
    assert "msfp table 1 --profile demo" in first
    press(browser, Keys.ARROW_DOWN)
    assert until(lambda: panel.text != first and panel.text)
    press(browser, Keys.ESCAPE)
    assert not panel.is_displayed()


def test_a_figure_is_enlarged_zoomed_and_closed_by_keyboard(show: Callable[[str], "Chrome"]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show("02_reid.html")
    button = browser.find_element(By.CSS_SELECTOR, "#figure03 .enlarge")
    button.send_keys(Keys.ENTER)
    viewer = browser.find_element(By.ID, "viewer")
    image = viewer.find_element(By.TAG_NAME, "img")
    until(lambda: viewer.is_displayed() and viewer.find_element(By.TAG_NAME, "output").text == "100 %")
    before = image.size["width"]
    press(browser, "+")
    assert until(lambda: image.size["width"] > 1.3 * before)
    press(browser, "0")
    assert until(lambda: image.size["width"] == before)
    press(browser, Keys.ESCAPE)
    assert until(lambda: not viewer.is_displayed())
    assert browser.switch_to.active_element == button


def test_dark_is_chosen_and_remembered(show: Callable[[str], "Chrome"]) -> None:
    from selenium.webdriver.common.by import By

    def ground(browser: "Chrome") -> str:
        return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))

    browser = show("index.html")
    light = ground(browser)
    browser.find_element(By.ID, "theme").click()
    dark = ground(browser)
    assert dark != light
    assert ground(show("provenance.html")) == dark
    browser.find_element(By.ID, "theme").click()
    assert ground(browser) == light


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["notebooks/05_tracking.html", "index.html", "05_tracking.html"])
def test_all_text_can_be_read_in_both_themes_whatever_the_system_s_is(
    show: Callable[[str], "Chrome"], page: str, theme: str, system: str
) -> None:
    browser = show(page)
    media = {"features": [{"name": "prefers-color-scheme", "value": system}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        found = browser.execute_script(CONTRAST)
        assert any("MSFP" in text for *_, text in found)
        assert found[0][0] >= 4.5, found[:5]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_script("delete document.documentElement.dataset.theme")


def test_one_filter_narrows_the_chart_and_the_tables(show: Callable[[str], "Chrome"]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    def seen(selector: str) -> int:
        return sum(one.is_displayed() for one in browser.find_elements(By.CSS_SELECTOR, selector))

    browser = show("index.html")
    assert (seen("a[data-claim]"), seen("tr[data-word]")) == (3, 3)
    Select(browser.find_element(By.CSS_SELECTOR, "#filter select")).select_by_value("supported")
    assert (seen("a[data-claim]"), seen("tr[data-word]")) == (1, 1)
    assert browser.find_element(By.CSS_SELECTOR, "#filter output").text == "1 of 3"
    browser.find_element(By.CSS_SELECTOR, "#filter input").send_keys("no such words")
    assert (seen("a[data-claim]"), seen("section.topic")) == (0, 0)
    browser.execute_script("location.hash = 'claim-atl-fixed'")  # a link to a claim brings it back
    until(lambda: seen("tr[data-word]") == 3)


def test_a_table_is_found_by_its_words(show: Callable[[str], "Chrome"]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show("notebooks/05_tracking.html")
    browser.find_element(By.ID, "search").send_keys("table 1: public")
    link = until(lambda: browser.find_elements(By.CSS_SELECTOR, "#found a"))[0]
    assert link.text == "Table 1: MOT17 test set, public detections"
    press(browser, Keys.ENTER)
    until(lambda: browser.current_url.endswith("/05_tracking.html#table01"))


def test_verdicts_can_be_seen_on_a_phone(show: Callable[[str], "Chrome"]) -> None:
    browser = show("index.html")
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        words = "return [...document.querySelectorAll('.verdicts .word')].map(e => e.getBoundingClientRect().right)"
        assert max(browser.execute_script(words)) <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "width": 1280, "height": 900})


def test_a_narrow_window_scrolls_tables_and_not_the_page(show: Callable[[str], "Chrome"]) -> None:
    """Under the names of the rows, which stay."""
    browser = show("05_tracking.html")
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        found = browser.execute_script(SCROLLED)
        assert found["by"] > 10
        assert found["left"] == pytest.approx([found["edge"]] * 2, abs=1)
        assert found["seen"]
    finally:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "width": 1280, "height": 900})


def test_it_prints(show: Callable[[str], "Chrome"]) -> None:
    browser = show("all.html")
    made = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert made.startswith(b"%PDF")
    assert made.count(b"/Type /Page\n") >= 3
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        hidden = "return [...document.querySelectorAll('.tools, .copy, #theme, .skip')].every(e => !e.offsetParent)"
        assert browser.execute_script(hidden)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
