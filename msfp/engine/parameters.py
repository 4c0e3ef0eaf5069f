"""Parameters of notebooks: read from their tagged cell, checked against its annotations before anything runs."""

import ast
import difflib
import json
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from msfp.errors import InputError

TAG = "parameters"
NAMED = {"true": True, "false": False, "null": None, "none": None}


class Parameter(NamedTuple):
    """A parameter's type as written, `int`, `str | None`, and its value in the notebook."""

    annotation: str
    default: Any


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """Parameters of a notebook, from the cell tagged `parameters`; none where no cell is.

    Raises:
        InputError: the file is no notebook, or a default is no literal.
    """
    # Read as the JSON it is: importing nbformat takes seconds, and a mistyped parameter should not wait for it.
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if TAG in cell["metadata"].get("tags", ())]
        body = ast.parse(sources[0]).body if sources else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise InputError(f"{notebook}: cannot be read as a notebook ({error})") from error
    found = {}
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        annotation = "" if isinstance(node, ast.Assign) else ast.unparse(node.annotation)
        if isinstance(target, ast.Name):
            try:
                default = ast.literal_eval(node.value)
            except ValueError as error:
                raise InputError(
                    f"{notebook}: parameter {target.id!r} must be a literal such as 0 or 'demo'"
                ) from error
            kind = "Any" if default is None else type(default).__name__
            found[target.id] = Parameter(annotation or kind, default)
    return found


def check_parameters(notebooks: Sequence[Path], given: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """The parameters each notebook gets: those of the given that it declares, text converted to the declared type.

    Raises:
        InputError: a parameter that no notebook has, or a value of the wrong type.
    """
    declared = {notebook: read_parameters(notebook) for notebook in notebooks}
    known = sorted({name for parameters in declared.values() for name in parameters})
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"unknown parameter {name!r}{hint} (there are: {', '.join(known) or 'none'})")
    return {
        notebook: {
            name: _converted(name, value, *parameters[name]) for name, value in given.items() if name in parameters
        }
        for notebook, parameters in declared.items()
    }


def _converted(name: str, value: Any, annotation: str, default: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(eval(annotation, vars(typing).copy()))
    readings = [value]
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError):
            readings.append(NAMED[value.lower()] if value.lower() in NAMED else ast.literal_eval(value))
    for reading in readings:
        with suppress(ValidationError):
            return adapter.validate_python(reading, strict=True)
    raise InputError(f"parameter {name!r}: {value!r} is not {annotation} (in the notebook: {default!r})")
