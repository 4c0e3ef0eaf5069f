"""Execution of the numbered notebooks in order: parameters checked first, unchanged ones skipped, partial ones kept."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from msfp.engine import progress as bars
from msfp.engine.code import code_digest
from msfp.engine.files import atomic_write, write_error
from msfp.engine.hashing import digest, file_digest
from msfp.engine.parameters import check_parameters
from msfp.errors import InputError, MsfpError

PATTERN = "[0-9][0-9]*.ipynb"
OUTPUTS = "MSFP_OUTPUTS"
OWN_ERRORS = ("MsfpError", "InputError", "NotComputable", "CellsFailed", "FolderLost")  # written for a person


class Executed(NamedTuple):
    """A notebook, `03_heads`, its executed copy, and the seconds it took; skipped where an earlier execution stands."""

    name: str
    path: Path
    seconds: float
    skipped: bool


class Stamp(BaseModel):
    """What an executed notebook was made from, its own digest, and the files it wrote; empty where it is not known."""

    key: str = ""
    notebook: str = ""
    outputs: list[str] = []


def run(
    notebooks_dir: Path,
    out_dir: Path,
    parameters: Mapping[str, Any],
    *,
    only: str | None = None,
    from_: str | None = None,
    resume: bool = True,
    inputs: Mapping[str, Any] | None = None,
    environment: Callable[[], Mapping[str, str]] = dict,
    intact: Callable[[Path], bool] = Path.is_file,
) -> list[Executed]:
    """Execute `00_….ipynb`, `01_….ipynb`, … with papermill, each in its own kernel of this Python.

    Kernels start in `notebooks_dir`, as in JupyterLab. A notebook is skipped when its source, parameters, inputs, the
    code and the notebooks before it are those of an earlier execution, and that one and what it wrote are as they were.
    A bar (at a terminal) or a line per notebook (elsewhere) goes to stderr.

    Args:
        notebooks_dir: folder of the notebooks.
        out_dir: takes the executed notebooks, under their names, and a stamp beside each.
        parameters: values for the cells tagged `parameters`; each notebook gets those it declares.
        only, from_: see `select`.
        resume: whether unchanged notebooks are skipped.
        inputs: what else the notebooks depend on, such as digests of data and weights.
        environment: asked for further variables before a kernel is started.
        intact: whether a file that a notebook wrote is still as it was.

    Raises:
        InputError: before anything runs: no such notebook, unknown parameter, value of the wrong type.
        MsfpError: a cell failed; names notebook, cell, its message, and where the partial notebook lies.
    """
    everything = sorted(notebooks_dir.glob(PATTERN))
    if not everything:
        raise InputError(f"{notebooks_dir}: no notebooks named like 00_data.ipynb; check the folder")
    selected = select(everything, only, from_)
    given = check_parameters(everything, parameters)
    ran_by = digest([_package_digest(), dict(inputs or {})])
    done: list[Executed] = []
    with bars.Bar(len(selected), "notebooks") as bar:
        for notebook in selected:
            path = out_dir / notebook.name
            before = [_read_stamp(out_dir / other.name).key for other in everything if other < notebook]
            key = digest([file_digest(notebook), given[notebook], ran_by, before])
            stamp = _read_stamp(path)
            current = stamp.key == key and _is_whole(path) and all(intact(Path(one)) for one in stamp.outputs)
            skipped = resume and current
            seconds = 0.0 if skipped else _execute(notebook, path, given[notebook], key, bar, environment())
            done.append(Executed(notebook.stem, path, seconds, skipped))
            bar.update()
            if not bars.shown():
                how = "unchanged" if skipped else f"{seconds:.1f} s"
                print(f"{notebook.stem}: {how}", file=sys.stderr, flush=True)
    return done


def select(notebooks: Sequence[Path], only: str | None, from_: str | None) -> list[Path]:
    """The one notebook that a number (`3`, `03`) or name (`03_heads`) chooses, or all from one on, in order.

    Raises:
        InputError: a number that no notebook has, or both choices together.
    """
    if only is not None and from_ is not None:
        raise InputError("--only and --from exclude each other; give one of them")
    wanted = (only or from_ or "").removesuffix(".ipynb")
    if not wanted:
        return list(notebooks)
    for at, notebook in enumerate(notebooks):
        if wanted in (notebook.stem, notebook.stem[:2], str(int(notebook.stem[:2]))):
            return list(notebooks[at : at + 1 if only else None])
    there = ", ".join(notebook.stem for notebook in notebooks)
    raise InputError(f"{'--only' if only else '--from'} {wanted}: no such notebook (there are: {there})")


def executed(out_dir: Path) -> list[Path]:
    """The notebooks in a folder that ran to their end and are as they were then, in order."""
    return [path for path in sorted(out_dir.glob(PATTERN)) if _is_whole(path)]


def declare_output(path: Path) -> None:
    """Say, from inside a notebook, that it wrote a file: should the file go missing, the notebook runs again."""
    place = os.environ.get(OUTPUTS)
    if place:
        with suppress(OSError), Path(place).open("a", encoding="utf-8") as file:
            file.write(json.dumps(str(Path(path).resolve())) + "\n")


def _execute(
    notebook: Path, path: Path, parameters: dict[str, Any], key: str, bar: bars.Bar, environment: Mapping[str, str]
) -> float:
    """Execute one notebook and stamp it; returns seconds."""
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from msfp.engine import kernel

    began = time.perf_counter()
    go_on = f"the partial notebook is {path}; mend the cause and go on with --from {notebook.stem[:2]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _stamp(path).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        temporary = tempfile.TemporaryDirectory(prefix="msfp-kernel-", ignore_cleanup_errors=True)
    except OSError as error:
        raise MsfpError(
            f"no folder for temporary files can be written ({error.strerror or error}); free some space, or name "
            "another one in the variable TMPDIR"
        ) from error
    with temporary as name:
        folder = Path(name)
        variables = {**environment, bars.VARIABLE: str(folder / "progress"), OUTPUTS: str(folder / "outputs")}

        def show_progress() -> None:
            label, done, total = bars.read(folder / "progress") or ("", 0, 0)
            bar.note(f"{notebook.stem}: {label} {done}/{total or '?'}" if label else notebook.stem)

        try:
            kernel.execute(str(notebook.resolve()), str(path.resolve()), parameters, folder, variables, show_progress)
        except PapermillExecutionError as error:
            text = error.evalue if error.ename in OWN_ERRORS and error.evalue else f"{error.ename}: {error.evalue}"
            raise MsfpError(f"{notebook.name}, cell {error.exec_count}: {text}\n{go_on}") from error
        except (DeadKernelError, RuntimeError) as error:  # the latter while it starts
            silent = isinstance(error, DeadKernelError)
            why = "it left no message; often the system ran out of memory" if silent else str(error)
            with suppress(OSError):
                words = (folder / "kernel.log").read_text(encoding="utf-8", errors="replace").split("\n")
                why = "; ".join([line.strip() for line in words if line.strip()][-3:]) or why
            raise MsfpError(f"{notebook.name}: its kernel died ({why})\n{go_on}") from error
        except OSError as error:
            raise write_error(Path(error.filename or path), error) from error
        outputs: list[str] = []
        with suppress(OSError, ValueError):
            written = (folder / "outputs").read_text(encoding="utf-8").splitlines()
            outputs = sorted({json.loads(line) for line in written})
    seconds = time.perf_counter() - began
    stamp = Stamp(key=key, notebook=file_digest(path), outputs=outputs)
    atomic_write(_stamp(path), stamp.model_dump_json(indent=1).encode())
    return seconds


def _stamp(path: Path) -> Path:
    return path.with_name(f".{path.stem}.stamp.json")


def _read_stamp(path: Path) -> Stamp:
    """The stamp of an executed notebook; an empty one where there is none to read."""
    try:
        return Stamp.model_validate_json(_stamp(path).read_bytes(), strict=True)
    except (OSError, ValidationError):
        return Stamp()


def _is_whole(path: Path) -> bool:
    return path.is_file() and _read_stamp(path).notebook == file_digest(path)


def _package_digest() -> str:
    """Code of the package and the data it ships: reference numbers, templates, weights."""
    package = Path(__file__).resolve().parents[1]
    data = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    others = {str(p.relative_to(package)): file_digest(p) for p in sorted(data) if p.suffix not in (".py", ".pyc")}
    return digest([code_digest("msfp"), others])
