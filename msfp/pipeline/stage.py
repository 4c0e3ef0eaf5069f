"""`@stage`: a function of a run computes each result once, and reads it from the run's store from then on.

Where frames, boxes or labels are missing, every function of a run raises NotComputable, which says what is missing.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache, partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from msfp.engine.code import code_digest
from msfp.engine.progress import Bar
from msfp.errors import NotComputable
from msfp.pipeline.one_look import one_look
from msfp.pipeline.run import Job, Run, cell_name
from msfp.threads import one_thread
from msfp.types import Sequence

if TYPE_CHECKING:
    from msfp.datasets.frames import FrameReader

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Inputs = Mapping[str, object]


class Stage(Generic[Arguments, Result]):
    """A function whose results are kept under what they depend on: its name, its inputs and its code."""

    def __init__(
        self,
        name: str,
        function: Callable[Concatenate[Run, Arguments], Result],
        inputs: Callable[Concatenate[Run, Arguments], Inputs],
        code: Iterable[str],
        memory: int,
        network: bool,
    ) -> None:
        update_wrapper(self, function)
        self.name, self.function, self.inputs, self.network = name, function, inputs, network
        self._code = tuple(code)
        self._recall = lru_cache(memory)(self._read) if memory else self._read

    def __reduce__(self) -> str:
        # A worker finds it by its name, as it finds a function.
        return str(self.function.__qualname__)

    def __call__(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        """The stored result, or the function's, which is then stored; nothing is where the function raises."""
        return self._recall(run, *arguments, **options)

    def _read(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        return self.keep(run, partial(self.function, run, *arguments, **options), *arguments, **options)

    def keep(
        self, run: Run, compute: Callable[[], Result], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Give the stored result of these arguments, or what `compute` gives in the function's place, stored."""
        inputs = self.inputs(run, *arguments, **options)
        return run.store.get_or_compute(self.name, inputs, compute, code=self.code)

    @cached_property
    def code(self) -> str:
        return code_digest(*self._code)

    def key(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> str:
        """Name the result by content: an input of whatever is computed from it."""
        return run.store.key(self.name, self.inputs(run, *arguments, **options), code=self.code)

    def is_stored(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> bool:
        return run.store.contains(self.name, self.key(run, *arguments, **options))

    def jobs(self: "Stage[..., Any]", run: Run, cells: Iterable[tuple[Any, ...]]) -> list[Job]:
        """To compute what the store lacks, in the order of `cells`, the arguments after the run.

        Equal ones count once; what cannot be computed is left out: whoever needs it says why in its own cells.
        """
        found = []
        for arguments in dict.fromkeys(cells):
            with contextlib.suppress(NotComputable), one_look():
                if not self.is_stored(run, *arguments):
                    name = cell_name((self.name, *filter(None, arguments)))
                    found.append(Job(partial(attempt, arguments, self, run), name, self.network))
        return found

    def cache_clear(self) -> None:
        """Forget what this process holds in memory."""
        getattr(self._recall, "cache_clear", lambda: None)()


def stage(
    name: str,
    inputs: Callable[Concatenate[Run, Arguments], Inputs],
    code: Iterable[str],
    *,
    memory: int = 0,
    network: bool = False,
) -> Callable[[Callable[Concatenate[Run, Arguments], Result]], Stage[Arguments, Result]]:
    """Keep a function's results; a decorator.

    Args:
        name: of the store's folder.
        inputs: takes what the function takes and gives all that the result depends on, by content: digests of files,
            settings, keys of other stages. What is left out is shared between arguments that differ in it.
        code: modules that the result depends on, as `code_digest` takes them.
        memory: how many results a process holds beside the store; their arguments must then be hashable.
        network: whether the function passes frames through a network, on the run's device.
    """
    return lambda function: Stage(name, function, inputs, code, memory, network)


def attempt(arguments: tuple[Any, ...], function: Callable[..., object], run: Run) -> None:
    """Call a function whose results go to the store; what cannot be computed says why in the cells that need it."""
    with contextlib.suppress(NotComputable):
        function(run, *arguments)


@contextlib.contextmanager
def frames_of(
    pixels: Sequence, label: str, frames: Iterable[int] | None = None, decoders: int = 1
) -> "Iterator[tuple[FrameReader, Callable[[int], None]]]":
    """A scene's frames (all that are present), computed on one thread, and what moves the progress bar."""
    from msfp.datasets.frames import FrameReader

    with (
        one_thread(),
        FrameReader(pixels, frames, decoders) as reader,
        Bar(len(reader.frames), f"{label} of {pixels.scene}") as progress,
    ):
        yield reader, progress.update
