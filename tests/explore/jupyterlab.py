"""A JupyterLab of its own, and the few things a person does in it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

TOKEN = "for-this-test-only"
PATIENCE = 120.0  # seconds; a test machine may be busy, and compile kernels besides
NEWS = "compiling kernels"  # what a first use on a machine says on standard error


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@contextmanager
def serving(folder: Path, theme: str = "JupyterLab Light") -> Iterator[str]:
    """Serve the notebooks of a folder; gives the address. Nothing is written outside of it."""
    places = {name: str(folder / ".own" / name.lower()) for name in (
        "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
    )}  # fmt: skip
    chosen = {
        "themes": {"theme": theme},
        "notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, values in chosen.items():
        path = (
            Path(places["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab/apputils-extension" / f"{name}.jupyterlab-settings"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    port = free_port()
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    log = (folder / "lab.log").open("w")
    command = [sys.executable, "-m", "jupyter", "lab", *options]
    server = subprocess.Popen(command, cwd=folder, env={**os.environ, **places}, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _answers(address), "JupyterLab does not answer")
        yield address
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait(condition: Callable[[], Any], problem: str, patience: float = PATIENCE) -> Any:
    """The first true value of a condition; a page that is drawn anew while it is read has not come to rest yet."""
    from selenium.common.exceptions import StaleElementReferenceException

    end = time.monotonic() + patience
    while time.monotonic() < end:
        with suppress(StaleElementReferenceException):
            if found := condition():
                return found
        time.sleep(0.1)
    raise AssertionError(problem)


class Notebook:
    """A notebook open in the browser; left at the end, so that the page does not look for a server that is gone."""

    def __init__(self, browser: "Chrome", address: str, name: str) -> None:
        self.browser = browser
        browser.get(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
        wait(lambda: self.all(".jp-Notebook .jp-CodeCell"), "the notebook does not open")
        wait(lambda: self.all(".jp-Notebook-ExecutionIndicator[data-status=idle]"), "the kernel does not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.browser.get("about:blank")

    def all(self, selector: str, within: "WebElement | None" = None) -> "list[WebElement]":
        return (within or self.browser).find_elements("css selector", selector)

    def one(self, selector: str, within: "WebElement | None" = None) -> "WebElement":
        found: WebElement = wait(lambda: self.all(selector, within), f"there is no {selector}")[0]
        return found

    def run_all(self) -> None:
        """Run > Run All Cells; again where a busy JupyterLab took the click before its kernel was there for it."""
        cells = len(self.all(".jp-Notebook .jp-CodeCell"))
        for _ in range(3):
            self._click_word(".lm-MenuBar-itemLabel", "Run")
            self._click_word(".lm-Menu-itemLabel", "Run All Cells")
            with suppress(AssertionError):
                wait(lambda: any("[ ]" not in p for p in self._prompts()), "nothing has begun", 30)
                break

        def finished() -> bool:
            prompts = self._prompts()
            return len(prompts) == cells and not any("*" in p or "[ ]" in p for p in prompts)

        wait(lambda: finished() or self.errors(), f"the cells do not finish: {self._prompts()}")

    def _prompts(self) -> list[str]:
        """`[ ]:`, `[*]:` or `[3]:` of every code cell."""
        read = "return [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"
        return list(self.browser.execute_script(read))

    def errors(self) -> list[str]:
        """Tracebacks that cells show, and widgets that could not be drawn."""
        broken = "[data-mime-type='application/vnd.jupyter.stderr'], .jupyter-widgets-error-widget"
        return [text for e in self.all(broken) if not (text := e.text).startswith(NEWS)]

    def text(self, selector: str) -> str:
        """What the first such element says, found and read in one step."""
        read = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(wait(lambda: self.browser.execute_script(read, selector), f"there is no {selector}"))

    def scroll_to(self, target: "WebElement") -> None:
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'start'})", target)
        time.sleep(0.3)

    def _click_word(self, selector: str, word: str) -> None:
        wait(lambda: [e for e in self.all(selector) if e.text == word], f"no menu {word!r}")[0].click()
