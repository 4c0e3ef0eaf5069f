// A frame with boxes on it. Boxes of kind "track" can be chosen by click, Enter or Space; the kernel hears `clicked`.
// Those of other kinds are marks: "switch", an identity that changes; "label" and "detection", layers beside the tracks.
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Where each box's label goes: above, below or inside at the top, wherever it covers no other; large boxes choose first.
// A label that finds no place is `crowded`: shown while its box is pointed at, focused or chosen.
function placeTags(boxes, chosen, frameWidth, frameHeight, unit) {
  const size = unit * 5, high = size * 1.15, taken = [], placed = new Map();
  const ranks = { switch: 1, track: 2, label: 3, detection: 4 };
  const rank = (box) => (box.kind === "track" && box.id === chosen ? 0 : ranks[box.kind]);
  const order = [...boxes].sort((a, b) => rank(a) - rank(b) || b.height - a.height);
  for (const box of order) {
    const wide = box.label.length * size * 0.6 + unit * 2;
    const left = Math.min(Math.max(box.x, 0), frameWidth - wide); // a person at the edge keeps a label that can be read
    const above = box.y - high, below = box.y + box.height;
    const tops = (box.kind === "track" ? [above, below, box.y] : [below, above, box.y])
      .map((top) => Math.min(Math.max(top, 0), frameHeight - high));
    const free = tops.find((top) => taken.every(
      (t) => left >= t.left + t.wide || t.left >= left + wide || top >= t.top + high || t.top >= top + high));
    const place = { left, top: free ?? tops[0], wide, high, size, crowded: free === undefined && rank(box) > 0 };
    if (!place.crowded) taken.push(place);
    placed.set(box, place);
  }
  return placed;
}

// The lines of a box; all are drawn before any label, so that none crosses a label.
function drawLines({ id, kind, x, y, width, height, colour }, chosen, unit) {
  const mark = kind === "switch", picked = kind === "track" && id === chosen;
  const thick = unit * (mark ? 1.6 : picked ? 1.8 : 0.8);
  const line = element("rect", { x, y, width, height, stroke: colour, "stroke-width": thick, class: `msfp-line-${kind}` });
  if (!mark && !picked) return [line];
  return [element("rect", { x, y, width, height, class: "msfp-halo", "stroke-width": thick + unit }), line];
}

// What of a box is read and clicked: its area and its label.
function drawBox(box, tag, unit, choose) {
  const group = element("g", { class: `msfp-box msfp-${box.kind}${tag.crowded ? " msfp-crowded" : ""}`, "data-id": box.id });
  const { x, y, width, height } = box;
  group.append(element("rect", { x, y, width, height }));
  const { left, top, wide, high, size } = tag;
  group.append(element("rect", { x: left, y: top, width: wide, height: high, fill: box.colour, class: "msfp-tag" }));
  const text = element("text", { x: left + unit, y: top + size * 0.92, "font-size": size });
  text.textContent = box.label;
  group.append(text);
  if (box.kind !== "track") return group;
  group.setAttribute("role", "button");
  group.setAttribute("tabindex", "0");
  group.setAttribute("aria-label", `person ${box.label}`);
  group.addEventListener("click", () => choose(box.id));
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    choose(box.id);
  });
  return group;
}

function render({ model, el }) {
  const stage = document.createElement("figure");
  const picture = document.createElement("img");
  const caption = document.createElement("figcaption");
  const layer = element("svg", { preserveAspectRatio: "none" });
  const frame = document.createElement("div");
  stage.className = "msfp-frame";
  frame.append(picture, layer);
  stage.append(frame, caption);
  el.append(stage);

  let clicks = 0, address = null;
  const choose = (id) => {
    clicks += 1; // so that choosing the same person again is a change too
    model.set("clicked", [id, clicks]);
    model.save_changes();
  };
  const showPicture = () => {
    const old = address;
    address = URL.createObjectURL(new Blob([model.get("jpeg")], { type: "image/jpeg" }));
    picture.src = address;
    if (old) URL.revokeObjectURL(old);
  };
  const order = { detection: 0, label: 1, track: 2, switch: 3 }; // later ones lie above
  const showBoxes = () => {
    const [width, height] = model.get("size");
    layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    frame.style.aspectRatio = `${width} / ${height}`;
    const boxes = [...model.get("boxes")].sort((a, b) => order[a.kind] - order[b.kind]);
    const chosen = model.get("chosen"), unit = height / 150;
    const tags = placeTags(boxes, chosen, width, height, unit);
    const lines = boxes.flatMap((box) => drawLines(box, chosen, unit));
    layer.replaceChildren(...lines, ...boxes.map((box) => drawBox(box, tags.get(box), unit, choose)));
  };
  const showCaption = () => {
    caption.textContent = model.get("caption");
    picture.alt = model.get("caption");
  };
  showPicture();
  showBoxes();
  showCaption();
  model.on("change:jpeg", showPicture);
  model.on("change:boxes change:chosen change:size", showBoxes);
  model.on("change:caption", showCaption);
  return () => address && URL.revokeObjectURL(address);
}

export default { render };
