// Tables, figures and claims by their words; index.js, written with the report, says what there is.
"use strict";
(() => {
  const MOST = 12;
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  const status = document.getElementById("status");
  input.parentElement.hidden = false;

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = ([title, text]) => words.every((word) => `${title} ${text}`.toLowerCase().includes(word));
    const found = words.length ? FINDABLE.filter(has) : [];
    list.replaceChildren(...found.slice(0, MOST).map(([title, , place]) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = input.dataset.up + place;
      link.textContent = title;
      item.append(link);
      return item;
    }));
    status.textContent = words.length ? `${found.length} found.` : "";
  }
  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.parentElement.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === input) list.querySelector("a")?.click();
    else if (event.key === "Escape") { input.value = ""; show(); }
  });
  document.addEventListener("click", (event) => { if (!input.parentElement.contains(event.target)) list.replaceChildren(); });
  list.addEventListener("click", () => list.replaceChildren());
})();
