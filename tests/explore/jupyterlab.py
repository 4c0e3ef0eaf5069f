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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jupyter_client import BlockingKernelClient

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

TOKEN = "for-this-test-only"
PATIENCE = 600.0  # seconds; a test machine may be busy, and compile kernels besides
NEWS = "compiling kernels"  # what a first use on a machine says on standard error


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@dataclass(frozen=True)
class Lab:
    """A server that runs, and the folder where it keeps the addresses of its kernels."""

    address: str
    runtime: Path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the server's own interface says, posted to where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/api/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def answers(self) -> bool:
        try:
            return bool(self.ask("status"))
        except OSError:
            return False

    def start_kernel(self, name: str) -> None:
        """A session for a notebook, whose kernel has answered once."""
        asked = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
        kernel = self.ask("sessions", asked)["kernel"]["id"]
        client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        # A client that did not start the kernel takes it for dead after so many seconds without a heartbeat: one, and a
        # kernel that loads libraries on a busy machine is silent for longer. Told before the first beat.
        client.hb_channel.time_to_dead = PATIENCE
        client.start_channels()
        try:
            client.wait_for_ready(timeout=PATIENCE)
        finally:
            client.stop_channels()


@contextmanager
def serving(folder: Path, theme: str = "JupyterLab Light") -> Iterator[Lab]:
    """Serve the notebooks of a folder. Nothing is written outside of it."""
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
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--no-browser",
               "--LabApp.expose_app_in_browser=True"]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    log = (folder / "lab.log").open("w")
    command = [sys.executable, "-m", "jupyter", "lab", *options]
    server = subprocess.Popen(command, cwd=folder, env={**os.environ, **places}, stdout=log, stderr=log)
    lab = Lab(f"http://127.0.0.1:{port}", Path(places["JUPYTER_RUNTIME_DIR"]))
    try:
        wait(lab.answers, "JupyterLab does not answer")
        yield lab
    finally:
        server.terminate()
        server.wait(30)
        log.close()


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
    """A notebook open in the browser; left at the end, so that the page does not look for a server that is gone.

    Its kernel runs before the page is opened: on a busy machine JupyterLab has put a dialog in the way of the menu
    while it started one itself.
    """

    def __init__(self, browser: "Chrome", lab: Lab, name: str) -> None:
        self.browser = browser
        lab.start_kernel(name)
        browser.get(f"{lab.address}/lab/tree/{name}?token={TOKEN}")
        wait(lambda: self.all(".jp-Notebook .jp-CodeCell"), "the notebook does not open")
        wait(self._connected, "the page does not reach its kernel")

    def _connected(self) -> bool:
        """Whether the kernel has told the page who it is: what is sent to it earlier gets no reply, now and then."""
        ask = """const done = arguments[arguments.length - 1]
            const context = window.jupyterapp?.shell.currentWidget?.sessionContext
            const kernel = context?.session?.kernel
            if (kernel?.connectionStatus !== 'connected') { done(false); return }
            Promise.all([context.ready, kernel.info]).then(() => done(true))"""
        return bool(self.browser.execute_async_script(ask))

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
        """Run > Run All Cells, and wait for the last one or for an error."""
        self._click_word(".lm-MenuBar-itemLabel", "Run")
        self._click_word(".lm-Menu-itemLabel", "Run All Cells")

        def finished() -> bool:
            prompts = self._prompts()
            return len(prompts) == self._cells() and not any("*" in p or "[ ]" in p for p in prompts)

        wait(lambda: finished() or self.errors(), "the cells do not finish")

    def _cells(self) -> int:
        """Number of code cells of the notebook; a busy page may not have drawn them all yet."""
        count = """const { cells } = window.jupyterapp.shell.currentWidget.content.model.sharedModel
            return cells.filter(c => c.cell_type === 'code').length"""
        return int(self.browser.execute_script(count))

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
