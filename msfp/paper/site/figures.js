// Figures enlarged: a dialog in which a picture is zoomed and moved by buttons, keys, wheel or dragging.
"use strict";
(() => {
  const LEAST = 1, MOST = 16, STEP = 1.4;
  const buttons = document.querySelectorAll("figure .enlarge");
  if (!buttons.length) return;

  const viewer = document.createElement("dialog");
  viewer.id = "viewer";
  viewer.setAttribute("aria-labelledby", "viewer-title");
  viewer.innerHTML = `<div class="bar"><b id="viewer-title"></b><output></output>
<button type="button" data-do="out" aria-label="Smaller">−</button>
<button type="button" data-do="fit">Fit</button>
<button type="button" data-do="in" aria-label="Larger">+</button>
<button type="button" data-do="close">Close</button></div>
<div class="stage" tabindex="0" role="group" aria-label="Picture; plus, minus and 0 zoom, arrow keys move"><img alt=""></div>`;
  document.body.append(viewer);
  const stage = viewer.querySelector(".stage");
  const image = stage.querySelector("img");
  const output = viewer.querySelector("output");
  let scale = 1;

  // Its size is changed instead of a transform, so that a vector picture is drawn anew and stays sharp.
  function zoom(wanted, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const before = image.getBoundingClientRect();
    const frame = stage.getBoundingClientRect();
    const at = [(frame.left + x - before.left) / before.width, (frame.top + y - before.top) / before.height];
    scale = Math.min(MOST, Math.max(LEAST, wanted));
    const ratio = image.naturalWidth / image.naturalHeight || 1;
    const fit = Math.min(stage.clientWidth, stage.clientHeight * ratio);
    image.style.width = `${fit * scale}px`;
    output.textContent = `${Math.round(scale * 100)} %`;
    const after = image.getBoundingClientRect();
    stage.scrollLeft += after.left + at[0] * after.width - frame.left - x;
    stage.scrollTop += after.top + at[1] * after.height - frame.top - y;
  }

  function open(button) {
    const picture = button.closest("figure").querySelector("img");
    viewer.querySelector("#viewer-title").textContent = button.dataset.title;
    image.src = picture.src;
    image.alt = picture.alt;
    viewer.showModal(); // keeps the focus inside, closes on Escape and gives the focus back
    stage.focus();
    image.decode().then(() => zoom(1), () => zoom(1));
  }

  const actions = {
    in: () => zoom(scale * STEP),
    out: () => zoom(scale / STEP),
    fit: () => zoom(1),
    close: () => viewer.close(),
  };
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener("click", () => open(button));
    button.closest("figure").querySelector("img").addEventListener("click", () => open(button));
  }
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
    else actions[event.target.dataset.do]?.();
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = { "+": "in", "=": "in", "-": "out", "0": "fit" }[event.key];
    const move = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] }[event.key];
    if (!action && !move) return;
    event.preventDefault();
    if (action) actions[action]();
    else stage.scrollBy(...move);
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = stage.getBoundingClientRect();
    zoom(scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  stage.addEventListener("dblclick", () => zoom(scale > 1 ? 1 : 3));
  image.draggable = false;
  stage.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse") stage.setPointerCapture(event.pointerId); });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) stage.scrollBy(-event.movementX, -event.movementY);
  });
  addEventListener("resize", () => { if (viewer.open) zoom(scale); });
})();
