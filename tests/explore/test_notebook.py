"""The notebook: executed without a browser, and used in JupyterLab."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import papermill
import pytest

from msfp.explore.session import FULL, Clip

from .jupyterlab import Notebook, serving, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.xdist_group("explore")


@pytest.fixture
def opened(chromium: "Chrome", notebook: Path) -> "Iterator[Notebook]":
    """The notebook in JupyterLab, all cells run, nothing gone wrong before, during or after its use."""
    with serving(notebook.parent) as lab, Notebook(chromium, lab, notebook.name) as page:
        page.run_all()
        yield page
        assert page.errors() == []
        console = [e["message"] for e in chromium.get_log("browser") if e["level"] == "SEVERE"]
        assert console == []


def test_it_runs_without_a_browser(notebook: Path) -> None:
    done = papermill.execute_notebook(
        str(notebook), str(notebook.with_name("done.ipynb")), progress_bar=False, log_output=False, cwd=notebook.parent,
        kernel_name="python3", start_timeout=600, iopub_timeout=600,
    )  # fmt: skip
    shown = [o for c in done.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "execute_result"]
    assert sum("application/vnd.jupyter.widget-view+json" in o.data for o in shown) == 4


def boxes(page: Notebook, view: "WebElement") -> list[tuple[str, str]]:
    """Identity and place of every box of a view."""
    script = """return [...arguments[0].querySelectorAll('.msfp-track')].map(
        g => [g.dataset.id, g.querySelector('rect').getAttribute('x')])"""
    return [tuple(b) for b in page.browser.execute_script(script, view)]


def picture(page: Notebook, view: "WebElement") -> str:
    """Address of the frame that a view shows, another one for every frame."""
    return str(page.one("img", view).get_attribute("src"))


def marks(page: Notebook, view: "WebElement") -> list[str]:
    """What the marks of a view say."""
    script = "return [...arguments[0].querySelectorAll('.msfp-switch text')].map(t => t.textContent)"
    return list(page.browser.execute_script(script, view))


def caption(view: "WebElement") -> str:
    """The line below a frame."""
    return str(view.find_element("css selector", "figcaption").text)


def views(page: Notebook) -> "list[WebElement]":
    """The panels' frames: people, thresholds, tracker A, tracker B."""
    return wait(lambda: len(found := page.all(".msfp-frame")) == 4 and found, "not all four frames are drawn")


def test_the_slider_moves_every_frame_and_a_click_shows_a_person(opened: Notebook) -> None:
    from selenium.webdriver.common.keys import Keys

    people, *others = views(opened)
    opened.scroll_to(people)
    assert opened.browser.execute_script("return arguments[0].naturalWidth", opened.one("img", people)) == 320
    before, pictures = boxes(opened, people), [picture(opened, v) for v in (people, *others)]
    handles = opened.all(".jp-OutputArea .widget-slider .noUi-handle")
    handles[0].send_keys(Keys.ARROW_RIGHT * 3)
    wait(lambda: "frame 4," in caption(people), "the caption stays")
    assert boxes(opened, people) != before
    wait(
        lambda: all(picture(opened, v) != p for v, p in zip((people, *others), pictures, strict=True)), "a frame stays"
    )

    assert opened.all(".msfp-weights") == []
    first, last = (opened.all(".msfp-track", people)[i] for i in (0, -1))
    names = [box.get_attribute("data-id") for box in (first, last)]
    opened.browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click'))", first)
    wait(lambda: opened.all(".msfp-weights"), "a click shows nobody")
    weights = [float(w) for w in re.findall(r"\d\.\d{3}", opened.text(".msfp-weights"))]
    assert len(weights) == 3
    assert sum(weights) == pytest.approx(1, abs=0.002)
    assert len(opened.all(".msfp-neighbours img")) > 1
    person = opened.text(".msfp-words b")
    assert person == f"Person {names[0]}"
    assert opened.all(".msfp-words svg"), "similarity over time is not drawn"
    opened.all(".msfp-track", people)[-1].send_keys(Keys.ENTER)
    wait(lambda: opened.text(".msfp-words b") == f"Person {names[1]}", "the keyboard chooses nobody")


def test_the_threshold_slider_tracks_again(opened: Notebook) -> None:
    from selenium.webdriver.common.keys import Keys

    view = views(opened)[1]
    opened.scroll_to(opened.one(".msfp-scores"))
    lines = opened.text(".msfp-scores").splitlines()
    assert [line.split()[0] for line in lines] == ["HOTA", "slider", "ATL"]
    handle = next(h for h in opened.all(".noUi-handle-upper"))
    handle.send_keys(Keys.END)
    wait(lambda: "τ 1.00 / 0.10" in caption(view), "the caption stays")
    after = opened.text(".msfp-scores").splitlines()
    assert after[1] != lines[1], "another threshold, the same score"
    assert after[2] == lines[2], "ATL's score does not depend on the slider"
    assert int(after[1].split()[-1]) < int(lines[1].split()[-1])
    assert "ATL, τ high" in opened.browser.execute_script("return document.body.textContent")


def test_trackers_side_by_side_go_to_a_switch(opened: Notebook, clip: Clip) -> None:
    from selenium.webdriver.support.ui import Select

    _, _, a, b = views(opened)
    assert caption(a).startswith("A, MSFP-Track")
    assert caption(b).startswith("B, ByteTrack")
    opened.scroll_to(a)
    choice = next(s for s in opened.all("select") if Select(s).first_selected_option.text == "ByteTrack")
    Select(choice).select_by_visible_text("SORT")
    wait(lambda: caption(b).startswith("B, SORT"), "the other tracker stays")
    both = {FULL: clip.result(FULL).switches, "SORT": clip.result("SORT").switches}
    frames = sorted({int(f) for found in both.values() if found is not None for f in found.frame})
    assert frames, "the scene has no switch to look for"
    assert marks(opened, a) == marks(opened, b) == []
    for frame in frames[:3]:
        next(e for e in opened.all("button") if "next switch" in e.text).click()
        number = f"frame {clip.shown(frame)},"
        wait(lambda n=number: n in caption(views(opened)[0]), "the other panels stay")
        for view, found in zip((a, b), both.values(), strict=True):
            assert found is not None
            at = found.frame == frame
            names = [f"{old} → {new}" for old, new in zip(found.before[at], found.after[at], strict=True)]
            wait(lambda v=view, n=names: marks(opened, v) == n, f"the marks of frame {frame} are not {names}")
            assert f"{len(names)} switched here" in caption(view)


def test_dark_pages_have_light_ink(chromium: "Chrome", notebook: Path) -> None:
    dark = serving(notebook.parent, "JupyterLab Dark")
    with dark as lab, Notebook(chromium, lab, notebook.name) as page:
        page.run_all()
        views(page)
        ink = "return getComputedStyle(document.querySelector(arguments[0])).color.match(/\\d+/g).map(Number)"
        for selector in (".msfp-words", ".msfp-words svg", ".msfp-frame figcaption"):
            assert min(page.browser.execute_script(ink, selector)[:3]) > 150, selector


def test_without_a_run_the_notebook_shows_one_line(chromium: "Chrome", notebook: Path, tmp_path: Path) -> None:
    source = nbformat.read(notebook, as_version=4)
    for cell in source.cells:
        cell.source = re.sub(r"(?m)^home = .*", f"home = {json.dumps(str(tmp_path / 'empty'))}", cell.source)
    nbformat.write(source, notebook)
    with serving(notebook.parent) as lab, Notebook(chromium, lab, notebook.name) as page:
        page.run_all()
        said = wait(page.errors, "nothing is said")
        assert "Traceback" not in said[0]
        assert said[0].strip().endswith("Make one first: msfp reproduce --profile smoke")
