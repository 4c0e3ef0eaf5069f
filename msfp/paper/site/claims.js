// One filter for all claims, by verdict and by text: it narrows the chart and the tables behind it.
"use strict";
(() => {
  const place = document.getElementById("filter");
  const rows = [...document.querySelectorAll("tr[data-word]")];
  if (!place || !rows.length) return;
  const status = document.getElementById("status");
  const lines = new Map([...document.querySelectorAll("a[data-claim]")].map((line) => [`claim-${line.dataset.claim}`, line]));
  place.className = "tools";
  place.hidden = false;
  place.innerHTML = `<label>verdict <select><option value="">every</option></select></label>
<label>claims with <input type="search"></label> <output></output>`;
  const [word, text, output] = place.querySelectorAll("select, input, output");
  for (const one of new Set(rows.map((row) => row.dataset.word))) word.add(new Option(one, one));

  function show() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const said = row.textContent.toLowerCase();
      row.hidden = !((!word.value || row.dataset.word === word.value) && words.every((one) => said.includes(one)));
      if (lines.has(row.id)) lines.get(row.id).hidden = row.hidden;
    }
    for (const topic of document.querySelectorAll(".topic")) {
      topic.hidden = !topic.querySelector("tr[data-word]:not([hidden]), a[data-claim]:not([hidden])");
    }
    output.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    status.textContent = `${output.textContent} claims.`;
  }
  function all() {
    word.value = text.value = "";
    show();
  }
  word.addEventListener("change", show);
  text.addEventListener("input", show);
  // A link to a claim that is filtered out shows it again.
  addEventListener("hashchange", () => {
    const aim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!aim?.hidden) return;
    all();
    aim.scrollIntoView();
  });
})();
