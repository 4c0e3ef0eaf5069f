"""Progress: a bar for a person at a terminal or in JupyterLab, nothing in a log.

A notebook that the runner executes has no terminal; there, the progress goes to the small file named by the variable
MSFP_PROGRESS, which the runner reads and shows beside its own bar. Where the variable is empty, as in worker processes,
nothing is shown.
"""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

VARIABLE = "MSFP_PROGRESS"
INTERVAL = 0.2


class Bar:
    """A progress bar that knows where it may show.

    Attributes:
        label: what is being done.
        total: number of steps, None where not known.
        done: steps finished.
    """

    def __init__(self, total: int | None = None, label: str = "") -> None:
        self.label, self.total, self.done = label, total, 0
        self._file = os.environ.get(VARIABLE)
        self._written = 0.0
        self._bar = _visible_bar(total, label) if self._file is None and total != 0 else None
        self.update(0)

    def update(self, count: int = 1) -> None:
        """Count steps as finished; the runner's file is written at most a few times a second and at the end."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        now = time.monotonic()
        if self._file and (now - self._written > INTERVAL or self.done == self.total):
            self._written = now
            with suppress(OSError):
                Path(self._file).write_text(json.dumps([self.label, self.done, self.total or 0]), encoding="utf-8")

    def note(self, text: str) -> None:
        """Show a word beside the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path) -> tuple[str, int, int] | None:
    """Label, steps done and total (0 where not known) that a bar wrote last; None before the first time or in the
    middle of a write."""
    try:
        label, done, total = json.loads(path.read_text(encoding="utf-8"))
        return str(label), int(done), int(total)
    except (OSError, ValueError, TypeError):
        return None


def shown() -> bool:
    """Whether bars show on stderr: at a terminal, outside continuous integration."""
    return not os.environ.get("CI") and sys.stderr is not None and sys.stderr.isatty()


def _visible_bar(total: int | None, label: str) -> Any:
    """A tqdm bar for the place we run in; None where it would only clutter a log."""
    # A process that has only imported what kernels are made of is none.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel") and not os.environ.get("CI"):
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar(total=total, desc=label or None, leave=False)
    if not shown():
        return None
    from tqdm import tqdm

    colour = None if os.environ.get("NO_COLOR") else "cyan"
    return tqdm(total=total, desc=label or None, file=sys.stderr, leave=False, dynamic_ncols=True, colour=colour)
