// A button beside every command that puts it on the clipboard.
"use strict";
(() => {
  const status = document.getElementById("status");

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no clipboard for this page or without asking: the older way
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  for (const code of document.querySelectorAll("code.command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${code.textContent}`);
    button.addEventListener("click", async () => {
      await copy(code.textContent);
      button.focus();
      button.textContent = "Copied";
      status.textContent = "Copied.";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.after(button);
  }
})();
