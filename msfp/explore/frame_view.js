// A frame with boxes on it. Boxes of kind "track" can be chosen by click, Enter or Space; the kernel hears `clicked`.
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawBox(box, chosen, frameWidth, unit, choose) {
  const group = element("g", { class: `msfp-box msfp-${box.kind}`, "data-id": box.id });
  const { x, y, width, height } = box;
  const mark = box.kind === "switch";
  const stroke = unit * (mark ? 1.6 : box.id === chosen ? 1.8 : 0.8);
  if (mark || box.id === chosen)
    group.append(element("rect", { x, y, width, height, class: "msfp-halo", "stroke-width": stroke + unit }));
  group.append(element("rect", { x, y, width, height, stroke: box.colour, "stroke-width": stroke }));
  const size = unit * 5, wide = box.label.length * size * 0.6 + unit * 2;
  const top = mark ? y + height : Math.max(y - size * 1.15, 0);
  const left = Math.min(Math.max(x, 0), frameWidth - wide); // a person at the edge keeps a label that can be read
  group.append(element("rect", { x: left, y: top, width: wide, height: size * 1.15, fill: box.colour, class: "msfp-tag" }));
  const text = element("text", { x: left + unit, y: top + size * 0.92, "font-size": size });
  text.textContent = box.label;
  group.append(text);
  if (mark) return group;
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
  const showBoxes = () => {
    const [width, height] = model.get("size");
    layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    frame.style.aspectRatio = `${width} / ${height}`;
    const boxes = [...model.get("boxes")].sort((a, b) => (a.kind === "switch") - (b.kind === "switch"));
    layer.replaceChildren(...boxes.map((box) => drawBox(box, model.get("chosen"), width, height / 150, choose)));
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
