// Tables are sorted by their headings, and long ones are filtered. The order in the file can always be had back.
"use strict";
(() => {
  const BASES = ["measured", "paper", "difference"];
  const status = document.getElementById("status");

  function number(text) {
    const plain = text.replace(/−/g, "-").replace(/^\+/, "").replace(/[\s,%]/g, "");
    return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : null;
  }

  // What a row is sorted by: a number, a text, or null where there is nothing to compare; null comes last.
  function key(row, column, base) {
    const cell = row.cells[column];
    if (!cell) return null;
    const table = row.closest("table");
    const sheet = table.closest(".msfp-sheet") && column > 0;
    const text = sheet ? cell.dataset[base] : cell.dataset.value ?? cell.textContent.trim();
    if (text === undefined || text === "" || text === "n/a") return null;
    return number(text) ?? text;
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    if (typeof a === "number") return sign * (a - b);
    return sign * a.localeCompare(b, "en", { numeric: true });
  }

  function prepare(table) {
    const heads = [...table.tHead.rows[0].cells];
    const bodies = [...table.tBodies].map((body) => ({
      body,
      heading: body.querySelector("tr.group"),
      rows: [...body.rows].filter((row) => !row.classList.contains("group")),
    }));
    for (const { rows } of bodies) for (const row of rows) {
      if (row.dataset.group) row.cells[0].dataset.of = ` (${row.dataset.group})`;
    }
    const state = { column: -1, sign: 0, base: "measured", mixed: true };
    const back = document.createElement("button");

    function place(rows) {
      if (state.column < 0) return rows;
      const keys = new Map(rows.map((row) => [row, key(row, state.column, state.base)]));
      return [...rows].sort((a, b) => compare(keys.get(a), keys.get(b), state.sign)); // stable: ties keep their order
    }

    function show() {
      const mixed = state.mixed && state.column >= 0;
      table.classList.toggle("mixed", mixed);
      for (const { heading } of bodies) if (heading) heading.hidden = mixed;
      if (mixed) bodies[0].body.append(...place(bodies.flatMap(({ rows }) => rows)));
      else for (const { body, rows } of bodies) body.append(...place(rows));
      heads.forEach((head, i) => {
        const sorted = i === state.column;
        if (sorted) head.setAttribute("aria-sort", state.sign > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
      back.disabled = state.column < 0;
      table.dispatchEvent(new Event("reordered"));
    }

    function tell() {
      const name = state.column < 0 ? "" : heads[state.column].querySelector("button").textContent.trim();
      const how = state.sign > 0 ? "ascending" : "descending";
      status.textContent = name ? `Sorted by ${name}, ${how}.` : `${back.textContent}.`;
    }

    // First the order that puts the best on top, then the other, then the order in the file.
    function turn(column) {
      const first = heads[column].dataset.best === "high" ? -1 : 1;
      if (state.column !== column) Object.assign(state, { column, sign: first });
      else if (state.sign === first) state.sign = -first;
      else Object.assign(state, { column: -1, sign: 0 });
      show();
      tell();
    }

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      if (!button.textContent.trim()) button.setAttribute("aria-label", "first column");
      button.addEventListener("click", () => turn(column));
      head.append(button);
    });

    const sheet = table.closest(".msfp-sheet");
    const bases = BASES.filter((base) => table.querySelector(`[data-${base}]`));
    back.type = "button";
    back.disabled = true;
    back.textContent = sheet ? "The paper’s order" : "First order";
    back.addEventListener("click", () => { Object.assign(state, { column: -1, sign: 0 }); show(); tell(); });
    const tools = document.createElement("p");
    tools.className = "tools";
    if (bases.length > 1) tools.append(choice(state, bases, show));
    if (bodies.filter(({ heading }) => heading).length > 1 || (bodies.length > 1 && bodies[1].heading)) tools.append(mixing(state, show));
    if (table.classList.contains("filtered")) tools.append(filter(bodies));
    tools.append(back);
    (table.closest(".scroll") || table).before(tools);
  }

  function choice(state, bases, show) {
    const select = document.createElement("select");
    for (const base of bases) select.add(new Option(base));
    select.addEventListener("change", () => { state.base = select.value; show(); });
    return labelled("sort by", select);
  }

  function mixing(state, show) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = state.mixed;
    box.addEventListener("change", () => { state.mixed = box.checked; show(); });
    const label = labelled("", box);
    label.append(" across groups");
    return label;
  }

  function filter(bodies) {
    const input = document.createElement("input");
    input.type = "search";
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const { rows } of bodies) for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
      }
      status.textContent = `${left} rows.`;
    });
    return labelled("rows with", input);
  }

  function labelled(text, control) {
    const label = document.createElement("label");
    label.append(text ? `${text} ` : "", control);
    return label;
  }

  document.querySelectorAll("table.sortable").forEach(prepare);
})();
