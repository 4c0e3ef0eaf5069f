"""`@run.cached`: a function's results, kept under its source, all that it uses, and the content of its arguments.

It works for functions of a cell, of a file and of a library. A change of its source, of a function of a cell that it
calls, or of a variable that it reads makes another key; so does other content of an argument, and other settings where
an argument is the run itself.
"""

import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar

from msfp.engine.typed import typed_digest
from msfp.errors import NotComputable
from msfp.experiment.clip import Clip
from msfp.experiment.trained import Trained
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import feature_inputs
from msfp.pipeline.heads import Appearance, head_inputs
from msfp.pipeline.run import Run
from msfp.types import Scene

Inputs = ParamSpec("Inputs")
Result = TypeVar("Result")
STAGE = "cached"


class Cached(Generic[Inputs, Result]):
    """A function that computes each result once and then reads it from the run's store."""

    def __init__(self, run: Run, function: Callable[Inputs, Result], code: str = "") -> None:
        """Wrap a function.

        Args:
            run: whose store.
            function: takes numbers, text, arrays, frames, settings, clips and trained heads, and returns such.
            code: digest of its source where that cannot be read, as in a worker; empty: read when called.
        """
        functools.update_wrapper(self, function)
        self._run, self._function, self._code = run, function, code

    def __call__(self, *arguments: Inputs.args, **options: Inputs.kwargs) -> Result:
        """Give the stored result, or the function's, stored.

        Raises:
            MsfpError: the source cannot be read, or an argument has no content to tell it by.
        """
        inputs = {"arguments": content(self._run, arguments), "options": content(self._run, options)}
        code = self._code or typed_digest(self._function)
        return self._run.store.get_or_compute(STAGE, inputs, lambda: self._function(*arguments, **options), code=code)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker cannot read the source of a cell.
        return Cached, (self._run, self._function, self._code or typed_digest(self._function))


def content(run: Run, value: Any) -> Any:
    """The content by which a value is told from others: files by their bytes and not by where they lie."""
    if isinstance(value, Clip):
        return content(run, value.part)
    if isinstance(value, Part):
        return [content(run, value.scene), value.first, value.last]
    if isinstance(value, Scene):
        with suppress(NotComputable):  # labels that are kept from learning count here: a clip shows them
            return [value.name, feature_inputs(run, value, ""), run.boxes_digest(value), data.truth_digest(run, value)]
        return [value.name, feature_inputs(run, value, ""), run.boxes_digest(value)]
    if isinstance(value, Trained):
        return value.inputs(run)
    if isinstance(value, Appearance):
        return head_inputs(run, value)
    if isinstance(value, Run):
        return [value.settings, value.weights_digest()]
    if isinstance(value, list | tuple):
        return [content(run, one) for one in value]
    if isinstance(value, Mapping):
        return {key: content(run, one) for key, one in value.items()}
    if callable(value):
        return typed_digest(value)
    return value
