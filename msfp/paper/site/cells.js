// Where a number comes from: a panel beside it on hover, on focus (Tab into the table, then arrow keys) and on a tap;
// likewise what a claim of the chart says.
"use strict";
(() => {
  const panel = document.createElement("div");
  panel.id = "about";
  panel.setAttribute("role", "tooltip");
  panel.hidden = true;
  document.body.append(panel);
  let shown = null; // the cell whose panel is open
  let timer = 0;

  function fill(cell) {
    const facts = cell.dataset.about.split("\n").map((line) => {
      const at = line.indexOf(": ");
      return [line.slice(0, at), line.slice(at + 2)];
    });
    const heading = document.createElement("b");
    heading.textContent = facts.shift()[1];
    const list = document.createElement("dl");
    const article = cell.closest("article");
    if (article?.dataset.command) facts.push(["again", article.dataset.command]);
    for (const [what, value] of facts) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = what;
      text.textContent = value;
      list.append(term, text);
    }
    panel.replaceChildren(heading, list);
  }

  function place(cell) {
    const at = cell.getBoundingClientRect();
    const size = panel.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left), document.documentElement.clientWidth - size.width - 8);
    const below = at.bottom + 6;
    const top = below + size.height <= innerHeight ? below : Math.max(8, at.top - size.height - 6);
    panel.style.left = `${Math.max(8, left)}px`;
    panel.style.top = `${top}px`;
  }

  function open(cell) {
    clearTimeout(timer);
    if (shown === cell) return;
    shut();
    shown = cell;
    fill(cell);
    panel.hidden = false;
    cell.setAttribute("aria-describedby", panel.id);
    place(cell);
  }

  function shut() {
    clearTimeout(timer);
    shown?.removeAttribute("aria-describedby");
    shown = null;
    panel.hidden = true;
  }

  const later = (action, ms) => { clearTimeout(timer); timer = setTimeout(action, ms); };
  const focused = () => shown !== null && document.activeElement === shown;

  function listen(cell) {
    cell.addEventListener("mouseenter", () => later(() => open(cell), shown ? 40 : 150));
    cell.addEventListener("mouseleave", () => later(() => { if (!focused()) shut(); }, 200));
    cell.addEventListener("focus", () => open(cell));
    cell.addEventListener("blur", shut);
  }

  // One cell of a table takes part in the tab order; arrow keys go on from it, as in a spreadsheet.
  function prepare(table) {
    const cells = () => [...table.querySelectorAll("td[data-about]")];
    const first = () => cells().forEach((cell, i) => { cell.tabIndex = i === 0 ? 0 : -1; });
    for (const cell of table.querySelectorAll("td[title]")) {
      cell.dataset.about = cell.title;
      cell.removeAttribute("title"); // the browser's own tip would cover ours
      listen(cell);
      cell.addEventListener("click", () => { go(cell); open(cell); });
    }
    first();
    table.addEventListener("reordered", first);

    function go(cell) {
      for (const other of cells()) other.tabIndex = -1;
      cell.tabIndex = 0;
      cell.focus();
    }
    function beside(cell, right, down) {
      const rows = [...table.rows].filter((row) => !row.hidden && row.querySelector("td[data-about]"));
      let row = rows.indexOf(cell.parentElement);
      let column = cell.cellIndex;
      do {
        row += down;
        column += right;
        const found = rows[row]?.cells[column];
        if (found?.dataset.about) return found;
      } while (rows[row]?.cells[column]);
      return null;
    }
    table.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      const cell = event.target.closest("td[data-about]");
      if (!cell || !step || event.ctrlKey || event.altKey || event.metaKey) return;
      const next = beside(cell, ...step);
      event.preventDefault();
      if (next) go(next);
    });
  }

  panel.addEventListener("mouseenter", () => clearTimeout(timer));
  panel.addEventListener("mouseleave", () => later(() => { if (!focused()) shut(); }, 200));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") shut(); });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("td[data-about], #about")) shut(); });
  addEventListener("scroll", () => { if (shown) place(shown); }, { passive: true, capture: true });
  addEventListener("resize", shut);
  document.querySelectorAll(".msfp-sheet table").forEach(prepare);
  document.querySelectorAll("a[data-about]").forEach(listen); // claims of the chart
})();
