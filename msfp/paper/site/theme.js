// Light or dark: the system's choice until the reader makes another, which is remembered. Runs before the page is drawn.
"use strict";
(() => {
  const KEY = "msfp-theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function remembered() {
    try { return localStorage.getItem(KEY); } catch { return null; } // some browsers keep nothing for local files
  }
  function remember(theme) {
    try { localStorage.setItem(KEY, theme); } catch { /* then it lasts as long as the page */ }
  }
  const current = () => root.dataset.theme || (dark.matches ? "dark" : "light");

  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => button.setAttribute("aria-pressed", String(current() === "dark"));
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      remember(root.dataset.theme);
      show();
    });
    dark.addEventListener("change", show);
    show();
  });
})();
