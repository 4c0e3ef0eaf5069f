"""Execution of the numbered notebooks in order: parameters checked first, unchanged ones skipped, partial ones kept."""

import ast
import asyncio
import json
import logging
import os
import signal
import tempfile
import threading
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from msfp.engine import parallel as bars
from msfp.engine.code import code_digest
from msfp.engine.files import atomic_write, digest, file_digest, write_error
from msfp.errors import InputError, MsfpError, hint

# The first silences a remark of the debugger; the second makes two runs go through sets in the same order.
ENVIRONMENT = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONHASHSEED": "0"}
# A busy machine may take minutes for what takes a second otherwise; a kernel that died is noticed at once all the same.
PATIENCE = 900
LONGEST_SOCKET = 100  # characters of a Unix socket's path that every system takes
GRACE = 10.0  # seconds in which a thread notices that what it waits for is gone
TICK = 0.3


def execute(
    source: str,
    target: str,
    parameters: Mapping[str, Any],
    folder: Path,
    environment: Mapping[str, str],
    tick: Callable[[], object],
) -> None:
    """Execute a notebook with papermill; the kernel's files, `kernel.log` among them, lie in `folder`.

    Kernel and client talk through sockets there: they need no network, and no port that another program may take
    between its choice and its use. Raises PapermillExecutionError (a cell failed), DeadKernelError, or RuntimeError
    (the kernel did not start).
    """
    import papermill  # here: what a notebook's kernel needs of this file should not wait for seconds

    variables = {**os.environ, **ENVIRONMENT, "IPYTHONDIR": str(folder / "ipython"), **environment}
    cut = threading.Event()
    started: list[int] = []

    def end() -> None:
        """End the kernel, now or as soon as it starts."""
        cut.set()  # before the process is looked at: a kernel that starts looks in the other order
        for process in started:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def begun(process: int | None) -> None:
        started.extend(filter(None, [process]))
        if cut.is_set():
            end()

    work = partial(
        papermill.execute_notebook,
        *(source, target, parameters),
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=PATIENCE,
        iopub_timeout=PATIENCE,  # what a cell shows may arrive long after it has ended
        cwd=os.path.dirname(source),
        kernel_manager_class=_manager(folder, variables, begun),
        shutdown_kernel="immediate",  # all is written; asked to leave, a kernel often takes seconds
    )
    in_thread(work, end, tick)


def _manager(folder: Path, variables: Mapping[str, str], begun: Callable[[int | None], None]) -> type:
    """Class of managers of a kernel of this interpreter whose files lie in `folder`; `begun` gets its process."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    short = len(str(folder)) + len("/socket-1") <= LONGEST_SOCKET

    class Manager(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(
                kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # none installed: this interpreter's is left
                connection_file=str(folder / "kernel.json"),
                transport="ipc" if short else "tcp",
                ip=str(folder / "socket") if short else "127.0.0.1",
                **options,
            )

        async def start_kernel(self, **arguments: Any) -> None:  # type: ignore[override]  # wrapped by jupyter_client
            with (folder / "kernel.log").open("w", encoding="utf-8") as log:
                await super().start_kernel(**{**arguments, "env": variables, "stderr": log})
            begun(getattr(self.provisioner, "pid", None))

    return Manager


def in_thread(work: Callable[[], object], stop: Callable[[], None], tick: Callable[[], object]) -> None:
    """Do the work in a thread of its own, so that a signal comes to this one, which calls `tick` meanwhile.

    Raises what `work` raised; or what interrupted this thread, after `stop` and the end of `work`, which is waited for
    as long as `GRACE`.
    """
    future: Future[object] = Future()

    def do() -> None:
        try:
            result = work()
        except BaseException as error:
            result = error
        with suppress(RuntimeError):  # there is none
            asyncio.get_event_loop().close()  # which jupyter_core makes for a thread, and leaves open
        future.set_exception(result) if isinstance(result, BaseException) else future.set_result(result)

    try:
        threading.Thread(target=do, daemon=True).start()
        while wait([future], TICK).not_done:
            tick()
    except BaseException:
        logging.disable()  # remarks that the kernel is gone
        stop()
        wait([future], GRACE)
        logging.disable(logging.NOTSET)
        raise
    future.result()


TAG = "parameters"
NAMED = {"true": True, "false": False, "null": None, "none": None}


class Parameter(NamedTuple):
    """A parameter's type as written, `int`, `str | None`, and its value in the notebook."""

    annotation: str
    default: Any


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """Parameters of a notebook, from the cell tagged `parameters`; InputError: no notebook, or a default no literal."""
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

    InputError: a parameter that no notebook has, or a value of the wrong type.
    """
    declared = {notebook: read_parameters(notebook) for notebook in notebooks}
    known = sorted({name for parameters in declared.values() for name in parameters})
    for name in given:
        if name not in known:
            there = ", ".join(known) or "none"
            raise InputError(f"unknown parameter {name!r}{hint(name, known)} (there are: {there})")
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
    ended: Callable[[Executed, Sequence[str]], str] = lambda done, rest: "",
) -> list[Executed]:
    """Execute `00_….ipynb`, `01_….ipynb`, … with papermill, each in its own kernel of this Python.

    Kernels start in `notebooks_dir`, as in JupyterLab. A notebook is skipped when its source, parameters, inputs, the
    code and the notebooks before it are those of an earlier execution, and that one and what it wrote are as they were.
    A line a notebook goes to stderr, at a terminal with a bar below.

    Args:
        out_dir: takes the executed notebooks, under their names, and a stamp beside each.
        parameters: values for the cells tagged `parameters`; each notebook gets those it declares.
        only, from_: see `select`.
        inputs: what else the notebooks depend on, such as digests of data and weights.
        environment: asked for further variables before a kernel is started.
        intact: whether a file that a notebook wrote is still as it was.
        ended: gets each notebook that has ended and the names of those to come; its words end the notebook's line.

    Raises:
        InputError: before anything runs: no such notebook, unknown parameter, value of the wrong type.
        MsfpError: a cell failed; names notebook, cell, its message, and where the partial notebook lies.
    """
    everything = in_order(notebooks_dir)
    if not everything:
        raise InputError(f"{notebooks_dir}: no notebooks named like 00_data.ipynb; check the folder")
    selected = select(everything, only, from_)
    given = check_parameters(everything, parameters)
    ran_by = digest([_package_digest(), dict(inputs or {})])
    done: list[Executed] = []
    with bars.Bar(len(selected), "notebooks") as bar:
        for at, notebook in enumerate(selected):
            path = out_dir / notebook.name
            before = [_read_stamp(out_dir / other.name).key for other in everything[: everything.index(notebook)]]
            key = digest([file_digest(notebook), given[notebook], ran_by, before])
            stamp = _read_stamp(path)
            current = stamp.key == key and _is_whole(path) and all(intact(Path(one)) for one in stamp.outputs)
            skipped = resume and current
            seconds = 0.0 if skipped else _execute(notebook, path, given[notebook], key, bar, environment())
            done.append(Executed(notebook.stem, path, seconds, skipped))
            bar.update()
            how = "unchanged" if skipped else f"{seconds:.1f} s"
            told = ended(done[-1], [other.stem for other in selected[at + 1 :]])
            bar.line("; ".join(filter(None, (f"{notebook.stem}: {how}", told))))
    return done


def in_order(folder: Path) -> list[Path]:
    """Notebooks in the order in which they run."""
    return sorted(folder.glob(PATTERN), key=lambda path: turn(path.stem))


def turn(name: str) -> tuple[bool, str]:
    """Place of a notebook among others: by number; `NN_report` comes last, as it shows what all others made."""
    return name.endswith("_report"), name


def select(notebooks: Sequence[Path], only: str | None, from_: str | None) -> list[Path]:
    """The one notebook that a number (`3`, `03`) or name (`03_heads`) chooses, or all from one on, in order."""
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


def bring(shipped: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Put notebooks into a folder, and newer ones in place of those that nobody changed since they were put there.

    Returns the names of those written, and of those that differ and were kept.
    """
    record, written, kept = folder / ".brought.json", [], []
    brought: dict[str, str] = {}
    with suppress(OSError, ValueError):
        brought = dict(json.loads(record.read_text(encoding="utf-8")))
    for source in sorted(shipped.glob("*.ipynb")):
        name, target, new = source.name, folder / source.name, file_digest(source)
        there = file_digest(target) if target.is_file() else None
        if there not in (None, new, brought.get(name)):
            kept.append(name)
        elif there != new:
            atomic_write(target, source.read_bytes())
            brought[name] = new
            written.append(name)
    if written:
        atomic_write(record, json.dumps(brought, indent=1).encode())
    return written, kept


def executed(out_dir: Path) -> list[Path]:
    """The notebooks in a folder that ran to their end and are as they were then, in order."""
    return [path for path in in_order(out_dir) if _is_whole(path)]


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
            execute(str(notebook.resolve()), str(path.resolve()), parameters, folder, variables, show_progress)
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
    sign(path)
    stamp = Stamp(key=key, notebook=file_digest(path), outputs=outputs)
    atomic_write(_stamp(path), stamp.model_dump_json(indent=1).encode())
    return seconds


def sign(path: Path) -> None:
    """Tell JupyterLab, as `jupyter trust` does, that this machine made the notebook: its tables keep their style."""
    import nbformat
    from nbformat.sign import NotebookNotary

    with suppress(OSError):  # no place of the user's own can be written
        notary = NotebookNotary()
        with closing(notary.store):
            notary.sign(nbformat.read(path, as_version=4))


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
