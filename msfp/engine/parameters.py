"""Parameters of notebooks: read from their tagged cell, checked against its annotations before anything runs."""

import ast
import difflib
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from msfp.errors import InputError

TAG = "parameters"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes:
        name: as in the cell.
        annotation: its type as written, `int`, `str | None`; where none is written, the type of the default.
        default: its value in the notebook.
    """

    name: str
    annotation: str
    default: Any

    def convert(self, value: Any) -> Any:
        """The value in the annotated type; text from a command line is read as that type.

        Raises:
            InputError: the value is not of the type.
        """
        adapter: TypeAdapter[Any] = TypeAdapter(eval(self.annotation, vars(typing).copy()))
        try:
            return adapter.validate_python(value, strict=True)
        except ValidationError as error:
            if isinstance(value, str):
                for candidate in _readings(value):
                    try:
                        return adapter.validate_python(candidate, strict=True)
                    except ValidationError:
                        continue
            raise InputError(
                f"parameter {self.name!r}: {value!r} is not {self.annotation} (in the notebook: {self.default!r})"
            ) from error


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
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            name, annotation = node.target.id, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, annotation = node.targets[0].id, ""
        else:
            continue
        try:
            default = ast.literal_eval(node.value)  # type: ignore[arg-type]
        except ValueError as error:
            raise InputError(f"{notebook}: parameter {name!r} must be a literal such as 0 or 'demo'") from error
        found[name] = Parameter(name, annotation or ("Any" if default is None else type(default).__name__), default)
    return found


def check_parameters(notebooks: Sequence[Path], given: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """The parameters each notebook gets: those of the given that it declares, converted.

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
        notebook: {name: parameters[name].convert(value) for name, value in given.items() if name in parameters}
        for notebook, parameters in declared.items()
    }


def _readings(text: str) -> list[Any]:
    """What a piece of text may mean: a Python or JSON literal."""
    named = {"true": True, "false": False, "null": None, "none": None}
    if text.lower() in named:
        return [named[text.lower()]]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    return [value, float(value)] if type(value) is int else [value]
