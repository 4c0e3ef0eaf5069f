"""One run: its settings, folders and store; `@stage`, whose results it keeps; files looked at once within a task."""

import contextlib
import functools
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache, partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar

from msfp import config
from msfp.compiled import one_thread
from msfp.data.frames import FrameReader, need_same_pixels, need_unchanged, stamp
from msfp.engine import parallel
from msfp.engine.code import code_digest
from msfp.engine.parallel import Bar
from msfp.engine.store import Store
from msfp.errors import InputError, NotComputable
from msfp.features.presets import preset_named
from msfp.types import Scene, Sequence

if TYPE_CHECKING:
    from msfp.features.backbone import Backbone


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_found: ContextVar[dict[Any, Any] | None] = ContextVar("_found", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """A task, within which `looked_once` functions look at each file once; one within another shares its looks."""
    known = _found.get()
    token = _found.set({} if known is None else known)
    try:
        yield
    finally:
        _found.reset(token)


def looked_once(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function that within `one_look` gives what it gave before for these very arguments; a decorator."""

    @functools.wraps(function)
    def look(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        known = _found.get()
        if known is None:
            return function(*arguments, **options)
        given = (*arguments, *options.values())
        key = (function, *options, *(one if isinstance(one, str) else id(one) for one in given))
        if key not in known:
            known[key] = function(*arguments, **options), given  # kept, so that no other object gets its place
        return known[key][0]

    return look


def task(item: Any, function: Callable[[Any], Result]) -> Result:
    with one_look():
        return function(item)


Item = TypeVar("Item")
Listed = tuple[tuple[Scene, ...], tuple[Sequence, ...], tuple[object, ...]]
SETTING = "input.families"


@dataclass(frozen=True)
class Job:
    """A picklable call whose result goes to the store."""

    call: Callable[[], object]
    name: str  # in messages
    network: bool = False  # whether it runs a network on the run's device

    def __call__(self) -> None:
        self.call()


@dataclass(eq=False)
class Run:
    """Settings, places and counters of one run; a worker has one per settings and home, so that what it read stays."""

    settings: config.Settings
    home: Path  # holds data/, runs/ and figures/
    workers: int = 0  # processes; 0 computes in this one
    cluster: str | None = None  # address of a Dask scheduler, or `slurm:FILE`
    overrides: str = ""  # the dotted settings given, as text, so that a notebook can be given the same
    notes: list[str] = field(default_factory=list)  # remarks that the report prints, in the order they came
    # Benchmark -> scores asked for in this process, and how many of them TrackEval computed too.
    scored: dict[str, tuple[int, int]] = field(default_factory=dict)
    # (data set, split) -> its scenes as this process listed them last, what they came from, and its files' state then.
    listed: dict[tuple[str, str], Listed] = field(default_factory=dict, repr=False)
    # data sets that are rendered here
    embedded_names: ClassVar = ("synth17", "synth20", "synthdance", "synthpp22", "synthlong")

    def __hash__(self) -> int:
        """Of the run and the state of its networks' files: what is remembered by run is found only while these last."""
        return hash((id(self), *map(stamp, self.weights_files)))

    @cached_property
    def weights_files(self) -> tuple[Path, ...]:
        """Weights that settings name; a network that is shipped does not change under a run."""
        chosen = self.settings.input
        return tuple(Path(name) for name in (chosen.weights, chosen.reid_weights, chosen.joint_weights) if "." in name)

    def __reduce__(self) -> tuple[Any, ...]:
        return revive, (self.settings.model_dump_json(), self.home, type(self))

    @property
    def out(self) -> Path:
        """`runs/<profile>`: store, executed notebooks, tables, report."""
        return self.home / "runs" / self.settings.profile

    @property
    def figures(self) -> Path:
        return self.home / "figures" / self.settings.profile

    @cached_property
    def store(self) -> Store:
        return Store(self.out / "store")

    @property
    def embedded_folder(self) -> Path:
        """Where the embedded data sets of the run's size and length lie."""
        data = self.settings.data
        return self.home / "data" / "{}x{}-{}x{}".format(*data.frame_size, data.frames, data.train_times)

    def dataset_root(self, dataset: str) -> Path:
        """Folder of a data set, rendered if embedded and absent; InputError for a real one without --root."""
        chosen = self.settings.data
        if dataset not in self.embedded_names:
            if chosen.root is not None:
                return chosen.root
            raise InputError(
                f"profile {self.settings.profile!r} reads real data: name its folder with --root "
                "(data/README.md says where it is had), or use --profile demo, which needs none"
            )
        from msfp import worlds

        return worlds.generate(
            dataset,
            self.embedded_folder,
            **chosen.model_dump(include={"seed", "frames", "train_times"}),
            size=chosen.frame_size,
            map=lambda function, items: self.map(function, items, f"rendering {dataset}"),
            digests=self.store.memo.folder_digests,
        )

    @looked_once
    def weights_digest(self, weights: str = "") -> str:
        """Detector weights by content; empty: the run's."""
        from msfp.features.weights import find

        chosen = weights or self.settings.input.weights
        if chosen == "random-init":
            return chosen
        return self.store.file_digest(find(chosen, preset_named(self.settings.input.preset).embedded))

    def backbone(self, weights: str = "", further: bool = False, also: tuple[int, ...] = ()) -> "Backbone":
        """The frozen detector (`weights` empty: the run's), cut after its deepest tapped, `further` or `also` layer."""
        return self._backbone(weights or self.settings.input.weights, further, also)

    @cache  # noqa: B019  a run lives as long as its process
    def _backbone(self, weights: str, further: bool, also: tuple[int, ...]) -> "Backbone":
        from msfp.features.backbone import load_backbone

        preset = preset_named(self.settings.input.preset)
        chosen = preset.extended() if further else preset
        more = tuple(layer for layer in also if layer not in chosen.layers)
        return load_backbone(replace(chosen, layers=(*chosen.layers, *more)), weights, self.settings.device)

    @cache  # noqa: B019
    def pixels_digest(self, scene: Scene) -> str:
        """The scene's frames by content; InputError where they changed since the scene was listed."""
        images = scene.pixels.images
        if images is None:
            return ""
        found = self.store.folder_digest(images) if images.is_dir() else self.store.file_digest(images)
        need_same_pixels(scene.pixels)
        return found

    def file_digest(self, path: Path | None) -> str:
        return "" if path is None else self.store.file_digest(path)

    def boxes_digest(self, scene: Scene) -> dict[str, str]:
        """Labels and detections of a scene by content; a test split's labels stay closed."""
        return {"gt": self.labels_digest(scene), **{s.detector: self.detections_digest(s) for s in scene.sequences}}

    @looked_once
    def labels_digest(self, scene: Scene) -> str:
        """Labels for training by content, empty for none; InputError where they changed since listed."""
        need_unchanged(scene.pixels)
        return self.file_digest(scene.pixels.gt_path)

    @looked_once
    def detections_digest(self, sequence: Sequence) -> str:
        """Detections by content, empty for none; InputError where they changed since listed."""
        need_unchanged(sequence)
        return self.file_digest(sequence.det_path)

    def variant(self, **changes: Any) -> "Run":
        """The run with other top-level settings, `detections="detector"`, in the same store; one object per changes."""
        key = repr(sorted(changes.items()))
        if key not in self._variants:
            changed = config.Settings.model_validate(self.settings.model_copy(update=changes).model_dump())
            self._variants[key] = replace(self, settings=changed, listed={})
        return self._variants[key]

    @cached_property
    def _variants(self) -> "dict[str, Run]":
        return {}

    def note(self, text: str) -> None:
        """Keep a remark for the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], label: str, *, network: bool = False
    ) -> list[Result]:
        """Fan out over items, which pass a `network` or not; results in order, which should be small."""
        return parallel.map(
            partial(task, function=function),
            items,
            workers=self.workers,
            cluster=self.cluster,
            gpu=network and self.settings.device.startswith("cuda"),
            store=self.store.root,
            label=label,
            name=cell_name,
        )

    def do(self, jobs: Iterable[Job], label: str) -> None:
        """Fan out jobs, started in their order; jobs for a GPU go first and alone."""
        todo, cuda = list(jobs), self.settings.device.startswith("cuda")
        for on_gpu in (True, False):
            if chosen := [job for job in todo if (job.network and cuda) == on_gpu]:
                self.map(Job.__call__, chosen, label, network=on_gpu)


def cell_name(item: object) -> str:
    """What a message calls a cell: the names of its parts, `MSFP-Track, MOT17-02 frames 301-600, MOT17-02-SDP`."""
    if isinstance(item, tuple):
        return ", ".join(dict.fromkeys(cell_name(one) for one in item))
    named = (getattr(item, attribute, None) for attribute in ("label", "name", "strategy"))
    if found := next((name for name in named if isinstance(name, str)), ""):
        return found
    text = str(item)
    return text if len(text) <= 80 else f"{text[:80]}..."


@cache
def revive(settings: str, home: Path, kind: type[Run] = Run) -> Run:
    """The run in a worker process: it computes, it does not fan out."""
    return kind(config.Settings.model_validate_json(settings), home)


def open_run(
    profile: str = "demo",
    *,
    root: str | Path = "",
    weights: str | Path = "",
    device: str = "",
    workers: int = 0,
    cluster: str = "",
    home: str | Path = ".",
    overrides: str | Mapping[str, Any] = "",
) -> Run:
    """A run of the profile `smoke`, `demo`, `mot17` or `full`.

    `root` holds real data in the MOTChallenge layout, `home` data/, runs/ and figures/. `weights`: `embedded`,
    `random-init`, or a .safetensors or .pt file. `workers`: processes to fan out over; `cluster`: in place of them
    `tcp://HOST:PORT` of a Dask scheduler or `slurm:FILE`. `overrides`: dotted settings, `"atl.beta=0.7 split=loso"`.
    InputError: unknown profile or setting, or a folder or file that is not there.
    """
    given = dict(parse_overrides(overrides) if isinstance(overrides, str) else overrides)
    text = overrides if isinstance(overrides, str) else " ".join(f"{key}={value}" for key, value in given.items())
    if root:
        if not Path(root).is_dir():
            raise InputError(f"{root}: there is no such folder of data")
        given["data.root"] = Path(root).resolve()
    if weights:
        given["input.weights"] = str(Path(weights).resolve()) if Path(weights).is_file() else str(weights)
    if device:
        given["device"] = device
    if named := given.get(SETTING):  # weights by their full paths, as a notebook runs in another folder
        full = pairs([named] if isinstance(named, str) else named)
        given[SETTING] = tuple(f"{preset}={path}" for preset, path in full.items())
        words = [w for w in shlex.split(text) if not w.startswith(f"{SETTING}=")]
        text = shlex.join([*words, f"{SETTING}={','.join(given[SETTING])}"])
    kind, colon, place = cluster.partition(":")
    if kind == "slurm":  # notebooks run in other folders
        cluster = f"{kind}{colon}{Path(place).resolve()}"
    return Run(config.settings(profile, given), Path(home).resolve(), workers, cluster or None, overrides=text)


def pairs(families: Iterable[str]) -> dict[str, str]:
    """`["yolov8s-paper=yolov8s.pt"]` -> preset -> weights; InputError for what is wrong with it."""
    from msfp.features.weights import find

    found: dict[str, str] = {}
    for text in families:
        name, equals, weights = text.partition("=")
        if not equals or not weights:
            raise InputError(f"{SETTING} {text}: write PRESET=WEIGHTS, several separated by commas")
        preset = preset_named(name)
        if name in found:
            raise InputError(f"{SETTING}: {name} is named twice")
        found[name] = weights if weights == "random-init" else str(find(weights, preset.embedded).resolve())
    return found


def parse_overrides(text: str) -> dict[str, Any]:
    """`"atl.beta=0.7 data.scenes=2"` -> {"atl.beta": 0.7, "data.scenes": 2}; lists as `0,1,2`, `[0,1,2]` or `0,`."""
    found: dict[str, Any] = {}
    for word in shlex.split(text):
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"setting {word!r}: write it as name=value")
        inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        several = "," in value or inner != value
        found[key] = [literal(v.strip()) for v in inner.removesuffix(",").split(",")] if several else literal(value)
    return found


def literal(value: str) -> Any:
    """A number, true, false or none where the text is one, else the text."""
    words = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    return value


Inputs = Mapping[str, object]


@dataclass(eq=False)
class Stage(Generic[Arguments, Result]):
    """A function whose results are kept under what they depend on: its name, its inputs and its code."""

    name: str
    function: Callable[Concatenate[Run, Arguments], Result]
    inputs: Callable[Concatenate[Run, Arguments], Inputs]
    modules: Iterable[str]
    memory: int
    network: bool

    def __post_init__(self) -> None:
        update_wrapper(self, self.function)
        self._recall = lru_cache(self.memory)(self._read) if self.memory else self._read

    def __reduce__(self) -> str:
        return self.function.__qualname__  # by which a worker finds it, as it finds a function

    def __call__(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        """The stored result, or the function's, which is then stored."""
        return self._recall(run, *arguments, **options)

    def _read(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        return self.keep(run, partial(self.function, run, *arguments, **options), *arguments, **options)

    def keep(
        self, run: Run, compute: Callable[[], Result], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """The stored result of these arguments, or what `compute` gives in the function's place, then stored."""
        return run.store.get_or_compute(self.name, self.inputs(run, *arguments, **options), compute, code=self.code)

    @cached_property
    def code(self) -> str:
        return code_digest(*self.modules)

    def key(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> str:
        """Name of the result by content: an input of whatever is computed from it."""
        return run.store.key(self.name, self.inputs(run, *arguments, **options), code=self.code)

    def is_stored(self, run: Run, *arguments: Arguments.args, **options: Arguments.kwargs) -> bool:
        return run.store.contains(self.name, self.key(run, *arguments, **options))

    def cache_clear(self) -> None:
        getattr(self._recall, "cache_clear", lambda: None)()

    def jobs(self: "Stage[..., Any]", run: Run, cells: Iterable[tuple[Any, ...]]) -> list[Job]:
        """What the store lacks of `cells` (arguments after the run), each once; what cannot be computed is left out."""
        found = []
        for arguments in dict.fromkeys(cells):
            with contextlib.suppress(NotComputable), one_look():
                if not self.is_stored(run, *arguments):
                    name = cell_name((self.name, *filter(None, arguments)))
                    found.append(Job(partial(attempt, arguments, self, run), name, self.network))
        return found


def stage(
    name: str,
    inputs: Callable[Concatenate[Run, Arguments], Inputs],
    code: Iterable[str],
    *,
    memory: int = 0,
    network: bool = False,
) -> Callable[[Callable[Concatenate[Run, Arguments], Result]], Stage[Arguments, Result]]:
    """Keep a function's results in the store's folder `name`; a decorator.

    `inputs` takes what the function takes and gives all that the result depends on, by content: digests of files,
    settings, keys of other stages. `code` are modules that it depends on, as `code_digest` takes them. `memory`: how
    many results a process holds, whose arguments must then be hashable. `network`: whether it runs a network.
    """
    return lambda function: Stage(name, function, inputs, code, memory, network)


def attempt(arguments: tuple[Any, ...], function: Callable[..., object], run: Run) -> None:
    """Call a function whose results go to the store; what cannot be computed says why in the cells that need it."""
    with contextlib.suppress(NotComputable):
        function(run, *arguments)


@contextlib.contextmanager
def frames_of(
    pixels: Sequence, label: str, frames: Iterable[int] | None = None, decoders: int = 1
) -> Iterator[tuple[FrameReader, Callable[[int], None]]]:
    """A scene's frames (all that are present), computed on one thread, and what moves the progress bar."""
    with (
        one_thread(),
        FrameReader(pixels, frames, decoders) as reader,
        Bar(len(reader.frames), f"{label} of {pixels.scene}") as progress,
    ):
        yield reader, progress.update
