"""Execution of the numbered notebooks in order: parameters checked first, unchanged ones skipped, partial ones kept."""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msfp.engine import progress as bars
from msfp.engine.code import code_digest
from msfp.engine.files import atomic_write, write_error
from msfp.engine.hashing import digest, file_digest
from msfp.engine.parameters import check_parameters
from msfp.errors import InputError, MsfpError

PATTERN = "[0-9][0-9]*.ipynb"
OUTPUTS = "MSFP_OUTPUTS"
NO_WORDS = "it left no message; often the system ran out of memory"
Number = str | int


@dataclass(frozen=True)
class Executed:
    """What became of one notebook.

    Attributes:
        name: file name without its ending, `03_heads`.
        path: the executed notebook.
        seconds: how long it took; 0 where it was skipped.
        skipped: whether an unchanged earlier execution stands.
    """

    name: str
    path: Path
    seconds: float
    skipped: bool


def run(
    notebooks_dir: Path,
    out_dir: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    only: Number | Iterable[Number] | None = None,
    from_: Number | None = None,
    resume: bool = True,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
    code: str | None = None,
    environment: Callable[[], Mapping[str, str]] = dict,
    intact: Callable[[Path], bool] = Path.is_file,
) -> list[Executed]:
    """Execute `00_….ipynb`, `01_….ipynb`, … with papermill, each in its own kernel of this Python.

    Kernels start in `notebooks_dir`, as in JupyterLab. A notebook is skipped when its source, parameters, inputs, the
    code and the notebooks before it are those of an earlier execution, and that one and what it wrote are as they were.

    Args:
        notebooks_dir: folder of the notebooks.
        out_dir: takes the executed notebooks, under their names, and a stamp beside each.
        parameters: values for the cells tagged `parameters`; each notebook gets those it declares.
        only: number(s) or names of the notebooks to execute; None: all.
        from_: the first to execute.
        resume: whether unchanged notebooks are skipped.
        progress: whether a bar (at a terminal) or a line per notebook (elsewhere) goes to stderr.
        inputs: what else the notebooks depend on, such as digests of data and weights.
        code: digest of the code they run; None: that of the whole package.
        environment: asked for further variables before a kernel is started.
        intact: whether a file that a notebook wrote is still as it was.

    Returns:
        One entry for each selected notebook, in order.

    Raises:
        InputError: before anything runs: no such notebook, unknown parameter, value of the wrong type.
        MsfpError: a cell failed; names notebook, cell, its message, and where the partial notebook lies.
    """
    everything = sorted(Path(notebooks_dir).glob(PATTERN))
    if not everything:
        raise InputError(f"{notebooks_dir}: no notebooks named like 00_data.ipynb; check the folder")
    selected = select(everything, only, from_)
    given = check_parameters(everything, parameters or {})
    ran_by = digest([code or _package_digest(), dict(inputs or {})])
    done: list[Executed] = []
    with bars.Bar(len(selected), "notebooks") if progress else nullcontext() as bar:
        for notebook in selected:
            path = Path(out_dir) / notebook.name
            before = [_read_stamp(Path(out_dir) / other.name).get("key") for other in everything if other < notebook]
            key = digest([file_digest(notebook), given[notebook], ran_by, before])
            if resume and _is_current(path, key, intact):
                done.append(Executed(notebook.stem, path, 0.0, True))
            else:
                seconds = _execute(notebook, path, given[notebook], key, bar, environment)
                done.append(Executed(notebook.stem, path, seconds, False))
            _tell(done[-1], bar)
    return done


def select(notebooks: Sequence[Path], only: Number | Iterable[Number] | None, from_: Number | None) -> list[Path]:
    """The notebooks that numbers (`3`, `"03"`) or names (`"03_heads"`) choose, in order.

    Raises:
        InputError: a number that no notebook has, or both choices together.
    """
    if only is not None and from_ is not None:
        raise InputError("--only and --from exclude each other; give one of them")
    if only is not None:
        chosen = {_find(notebooks, one, "--only") for one in ([only] if isinstance(only, str | int) else only)}
        return [notebook for notebook in notebooks if notebook in chosen]
    if from_ is not None:
        return list(notebooks[notebooks.index(_find(notebooks, from_, "--from")) :])
    return list(notebooks)


def executed(out_dir: Path) -> list[Path]:
    """The notebooks in a folder that ran to their end and are as they were then, in order."""
    return [path for path in sorted(Path(out_dir).glob(PATTERN)) if _is_whole(path)]


def declare_output(path: Path) -> None:
    """Say, from inside a notebook, that it wrote a file: should the file go missing, the notebook runs again."""
    place = os.environ.get(OUTPUTS)
    if place:
        with suppress(OSError), Path(place).open("a", encoding="utf-8") as file:
            file.write(json.dumps(str(Path(path).resolve())) + "\n")


def _execute(
    notebook: Path,
    path: Path,
    parameters: dict[str, Any],
    key: str,
    bar: bars.Bar | None,
    environment: Callable[[], Mapping[str, str]],
) -> float:
    """Execute one notebook and stamp it; returns seconds."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from msfp.engine.kernel import PATIENCE, KernelHandle, in_thread, last_words, manager_class

    began = time.perf_counter()
    go_on = f"the partial notebook is {path}; mend the cause and go on with --from {notebook.stem[:2]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _stamp(path).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    with _temporary_folder() as name:
        folder = Path(name)
        handle = KernelHandle()
        variables = {**environment(), bars.VARIABLE: str(folder / "progress"), OUTPUTS: str(folder / "outputs")}
        try:
            with _watched(folder / "progress", notebook.stem, bar):
                in_thread(
                    partial(
                        papermill.execute_notebook,
                        str(notebook.resolve()),
                        str(path.resolve()),
                        parameters,
                        kernel_name="python3",
                        language="python",
                        progress_bar=False,
                        start_timeout=PATIENCE,
                        iopub_timeout=PATIENCE,  # what a cell shows may arrive long after it has ended
                        cwd=str(notebook.parent.resolve()),
                        kernel_manager_class=manager_class(folder, variables, handle),
                        shutdown_kernel="immediate",  # all is written; asked to leave, a kernel often takes seconds
                    ),
                    handle.cut,
                )
        except PapermillExecutionError as error:
            raise MsfpError(f"{notebook.name}, cell {error.exec_count}: {_message(error)}\n{go_on}") from error
        except (DeadKernelError, RuntimeError) as error:  # the latter while it starts
            dead = isinstance(error, DeadKernelError)
            words = last_words(folder) or (NO_WORDS if dead else str(error))
            raise MsfpError(f"{notebook.name}: its kernel died ({words})\n{go_on}") from error
        except OSError as error:
            raise write_error(Path(error.filename or path), error) from error
        outputs = _declared(folder / "outputs")
    seconds = round(time.perf_counter() - began, 3)
    stamp = {"key": key, "notebook": file_digest(path), "outputs": outputs, "seconds": seconds}
    atomic_write(_stamp(path), json.dumps(stamp, indent=1).encode())
    return time.perf_counter() - began


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """A folder for a kernel's sockets and log.

    Raises:
        MsfpError: there is no place for one.
    """
    try:
        place = tempfile.TemporaryDirectory(prefix="msfp-kernel-", ignore_cleanup_errors=True)
    except OSError as error:
        raise MsfpError(
            f"no folder for temporary files can be written ({error.strerror or error}); free some space, or name "
            "another one in the variable TMPDIR"
        ) from error
    with place as name:
        yield name


def _message(error: Any) -> str:
    """What a cell raised; the message alone where it was written for a person."""
    own = ("MsfpError", "InputError", "NotComputable", "CellsFailed")
    return str(error.evalue) if error.ename in own and error.evalue else f"{error.ename}: {error.evalue}"


@contextmanager
def _watched(file: Path, name: str, bar: bars.Bar | None) -> Iterator[None]:
    """Show beside the bar what the stages inside a kernel report."""
    stop = threading.Event()

    def watch() -> None:
        while bar is not None and not stop.wait(0.3):
            found = bars.read(file)
            bar.note(f"{name}: {found.label} {found.done}/{found.total or '?'}" if found else name)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _tell(executed: Executed, bar: bars.Bar | None) -> None:
    if bar is None:
        return
    bar.update()
    if not bars.shown():
        how = "unchanged" if executed.skipped else f"{executed.seconds:.1f} s"
        print(f"{executed.name}: {how}", file=sys.stderr, flush=True)


def _find(notebooks: Sequence[Path], wanted: Number, option: str) -> Path:
    text = str(wanted).removesuffix(".ipynb")
    for notebook in notebooks:
        number = notebook.stem[:2]
        if text in (notebook.stem, number, str(int(number))):
            return notebook
    there = ", ".join(notebook.stem for notebook in notebooks)
    raise InputError(f"{option} {wanted}: no such notebook (there are: {there})")


def _stamp(path: Path) -> Path:
    return path.with_name(f".{path.stem}.stamp.json")


def _read_stamp(path: Path) -> dict[str, Any]:
    """The stamp of an executed notebook; empty where there is none to read."""
    try:
        found = json.loads(_stamp(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    kinds = {"key": str, "notebook": str, "outputs": list}
    return found if isinstance(found, dict) and all(isinstance(found.get(k), v) for k, v in kinds.items()) else {}


def _is_whole(path: Path) -> bool:
    kept = _read_stamp(path).get("notebook")
    return kept is not None and path.is_file() and file_digest(path) == kept


def _is_current(path: Path, key: str, intact: Callable[[Path], bool]) -> bool:
    stamp = _read_stamp(path)
    return stamp.get("key") == key and _is_whole(path) and all(intact(Path(str(one))) for one in stamp["outputs"])


def _declared(file: Path) -> list[str]:
    """The files a notebook said it wrote."""
    try:
        return sorted({json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()})
    except (OSError, ValueError):
        return []


def _package_digest() -> str:
    """Code of the package and the data it ships: reference numbers, templates, weights."""
    package = Path(__file__).resolve().parents[1]
    data = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    others = {str(p.relative_to(package)): file_digest(p) for p in sorted(data) if p.suffix not in (".py", ".pyc")}
    return digest([code_digest("msfp"), others])
