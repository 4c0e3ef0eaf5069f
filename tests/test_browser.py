"""The browser that other tests look at pages with."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def test_the_page_has_its_size_and_its_console_is_heard(chromium: "Chrome") -> None:
    chromium.get("data:text/html,<title>here</title><script>console.error('heard')</script>")
    assert chromium.title == "here"
    assert chromium.execute_script("return [innerWidth, innerHeight]") == [1280, 900]
    assert any("heard" in entry["message"] for entry in chromium.get_log("browser"))
    assert chromium.get_log("browser") == []
