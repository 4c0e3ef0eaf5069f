"""Boxes on a frame, drawn by the widget's own script in a page with nothing else."""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import msfp.explore

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.xdist_group("explore")
FOLDER = Path(msfp.explore.__file__).parent
WIDTH, HEIGHT = 1280, 720

DRAW = """
const [source, style, values, done] = arguments
document.body.innerHTML = '<style></style><div style="width: 1000px"></div>'
document.querySelector('style').textContent = style
const model = { get: (name) => values[name], set() {}, save_changes() {}, on() {} }
import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))).then(({ default: view }) => {
  view.render({ model, el: document.querySelector('div') })
  done(true)
})"""
TAGS = """
return [...document.querySelectorAll('.msfp-tag')].map(t => {
  const { left, right, top, bottom } = t.getBoundingClientRect(), id = t.parentNode.dataset.id
  return { left, right, top, bottom, id, shown: getComputedStyle(t).visibility === 'visible' }
})"""


def drawn(chromium: "Chrome", boxes: list[dict[str, Any]], chosen: int) -> list[dict[str, Any]]:
    """The labels of boxes, in page pixels."""
    values = {"jpeg": [], "size": [WIDTH, HEIGHT], "boxes": boxes, "chosen": chosen, "caption": "frame 1"}
    chromium.get("about:blank")
    source, style = ((FOLDER / f"frame_view.{kind}").read_text() for kind in ("js", "css"))
    assert chromium.execute_async_script(DRAW, source, style, values)
    tags: list[dict[str, Any]] = chromium.execute_script(TAGS)
    return tags


def people(count: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        {
            "kind": "track", "id": number, "label": str(number), "colour": "#f80", "width": 30.0, "height": 80.0,
            "x": draw.uniform(0, WIDTH - 30), "y": draw.uniform(200, 500),
        }
        for number in range(1, count + 1)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_a_crowd_do_not_cover_each_other(chromium: "Chrome", seed: int) -> None:
    tags = drawn(chromium, people(150, seed), chosen=75)
    shown = [t for t in tags if t["shown"]]
    assert len(tags) == 150
    assert 40 < len(shown) < 150
    assert "75" in {t["id"] for t in shown}
    for i, a in enumerate(shown):
        for b in shown[:i]:
            apart = (
                a["left"] >= b["right"] - 0.5
                or b["left"] >= a["right"] - 0.5
                or a["top"] >= b["bottom"] - 0.5
                or b["top"] >= a["bottom"] - 0.5
            )
            assert apart, f"{a} covers {b}"


def test_a_hidden_label_is_shown_to_who_points_at_its_box(chromium: "Chrome") -> None:
    from selenium.webdriver import ActionChains

    hidden = next(t["id"] for t in drawn(chromium, people(150, 0), chosen=0) if not t["shown"])
    box = chromium.find_element("css selector", f".msfp-box[data-id='{hidden}']")
    chromium.execute_script("arguments[0].focus({focusVisible: true})", box)
    ActionChains(chromium).move_to_element(box).perform()
    assert next(t["shown"] for t in chromium.execute_script(TAGS) if t["id"] == hidden)


def test_few_people_keep_their_labels_above(chromium: "Chrome") -> None:
    boxes = people(3, 0)
    for box, x in zip(boxes, (100, 500, 900), strict=True):
        box["x"] = x
    tags = drawn(chromium, boxes, chosen=0)
    assert all(t["shown"] for t in tags)
    scale = 1000 / WIDTH
    for box, tag in zip(boxes, tags, strict=True):
        assert (
            tag["bottom"]
            <= chromium.execute_script("return document.querySelector('svg').getBoundingClientRect().top")
            + box["y"] * scale
            + 1
        )


def test_marks_are_seen_and_not_clicked(chromium: "Chrome") -> None:
    boxes = people(3, 0)
    for box, kind in zip(boxes, ("track", "label", "detection"), strict=True):
        box["kind"] = kind
    drawn(chromium, boxes, chosen=2)
    buttons = "return [...document.querySelectorAll('[role=button]')].map(b => b.dataset.id)"
    assert chromium.execute_script(buttons) == ["1"]
    lines = "return [...document.querySelectorAll('svg rect[class^=msfp-line]')].map(r => r.getAttribute('class'))"
    assert chromium.execute_script(lines) == ["msfp-line-detection", "msfp-line-label", "msfp-line-track"]
    assert not chromium.execute_script("return document.querySelectorAll('.msfp-halo').length"), "2 is no track"
