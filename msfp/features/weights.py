"""Weights files: found, read without executing anything, loaded strictly, batch normalisation folded."""

import hashlib
import io
import math
import os
import pickle
import pickletools
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from msfp.errors import InputError

# Names that checkpoints of ultralytics and of torch carry beside tensors. They become inert records, whatever they are.
INERT_MODULES = ("torch.nn.modules.", "ultralytics.")
INERT_NAMES = {
    "builtins.set", "builtins.object", "__builtin__.set", "__builtin__.object", "copyreg._reconstructor",
    "copy_reg._reconstructor", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath",
    "pathlib._local.PosixPath", "torch.Size", "torch.device", "torch.dtype", "numpy.dtype", "numpy.ndarray",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "_codecs.encode",
}  # fmt: skip
STORAGES = {
    "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16, "Double": torch.float64,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}  # fmt: skip
MOST_PICKLED = 1 << 24  # bytes of the pickle; ultralytics' largest checkpoint has less than one million
MOST_STEPS = 2_000_000
MOST_MODULES = 100_000
DEEPEST = 64  # modules within modules
SHARED = 8  # times that tensors may show one storage; tied weights do twice


class Record:
    """Stands for any object of the file: keeps its state, does nothing."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def _ignored(self, *_: Any) -> None:
        """Pickles of subclasses of dict and list set, append and extend; only OrderedDict's matter."""

    __setitem__ = append = extend = _ignored

    def __hash__(self) -> int:
        return id(self)


class Refused(Exception):
    """What no weights need; says what it is and what to do."""


def too_costly(what: str) -> Refused:
    """The file would take more memory or time than any weights do."""
    return Refused(
        f"{what}, which no weights need; nothing was executed. Save it again with torch.save, or convert it to "
        ".safetensors where you trust it"
    )


def rebuild_tensor(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> torch.Tensor:
    """The tensor over a flat storage, beyond whose end torch refuses it; strides of 0 could repeat it without end."""
    if math.prod(size) > storage.numel():
        raise too_costly(f"a tensor of {math.prod(size):,} elements over a storage of {storage.numel():,}")
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    **{("torch", f"{name}Storage"): dtype for name, dtype in STORAGES.items()},
}


class Reader(pickle.Unpickler):
    """Unpickler whose every name is inert; a name stands for nothing that runs."""

    def __init__(self, data: bytes, storage: Callable[[str, torch.dtype], torch.Tensor]) -> None:
        super().__init__(io.BytesIO(data))
        self.storage = cache(storage)

    def find_class(self, module: str, name: str) -> Any:
        """Our stand-in for a name; refuses names that no checkpoint needs."""
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if f"{module}.{name}" in INERT_NAMES or module.startswith(INERT_MODULES):
            return Record
        raise Refused(
            f"this checkpoint names {module}.{name}, which no weights need; nothing was executed. Convert it to "
            ".safetensors where you trust it"
        )

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """A storage: ("storage", dtype, key, device, number of elements)."""
        _, dtype, key = pid[:3]
        return self.storage(str(key), dtype)


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """State dict of a `.pt` file: of an ultralytics checkpoint (its EMA where it has one), a module or a state dict.

    Raises InputError: damaged, names that are not on the list, costs more than weights do, or no tensors in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_costly(archive, path.stat().st_size)
            pickled = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            prefix = pickled.removesuffix("data.pkl")

            def storage(key: str, dtype: torch.dtype) -> torch.Tensor:
                raw = bytearray(archive.read(f"{prefix}data/{key}"))
                return torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)

            data = archive.read(pickled)
            _refuse_endless(data)
            state = _state_of(Reader(data, storage).load())
    except Refused as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: weights file not found") from None
    except Exception as error:  # a damaged file can fail anywhere inside zip or pickle
        raise InputError(f"{path}: not a readable PyTorch checkpoint ({_first_line(error)})") from None
    if not state:
        raise InputError(f"{path}: no weights found in this checkpoint")
    return state


def _refuse_costly(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse compressed entries, and entries that hold more bytes than the file has."""
    entries = archive.infolist()
    packed = next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise too_costly(f"its entry {packed.filename[:80]!r} is compressed, {packed.file_size:,} bytes unpacked")
    if sum(entry.file_size for entry in entries) > size:
        raise too_costly(f"its entries hold more bytes than the file's {size:,}")


def _refuse_endless(data: bytes) -> None:
    """Refuse a pickle of more steps than weights need, and places of its memory that its steps could not fill."""
    if len(data) > MOST_PICKLED:
        raise too_costly(f"its pickle has {len(data):,} bytes")
    for steps, (code, argument, _) in enumerate(pickletools.genops(data)):
        if steps > MOST_STEPS:
            raise too_costly(f"its pickle has more than {MOST_STEPS:,} steps")
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > MOST_STEPS:
            raise too_costly(f"its pickle fills place {argument:,} of its memory")


def _state_of(content: Any, depth: int = 0) -> dict[str, torch.Tensor]:
    """Name -> tensor of what a checkpoint holds; refuses one that contains itself or shows storages again and again."""
    if depth > DEEPEST:
        raise too_costly("it contains itself")
    found: dict[str, torch.Tensor] = {}
    if isinstance(content, dict):
        for key in ("ema", "model", "state_dict"):
            if content.get(key) is not None:
                return _state_of(content[key], depth + 1)
        found = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    elif isinstance(content, Record):
        found = dict(_tensors(content, "", [0]))
    storages = {v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in found.values()}
    if sum(v.numel() * v.element_size() for v in found.values()) > SHARED * sum(storages.values()):
        raise too_costly("its tensors show the same numbers again and again")
    return found


def _tensors(module: Record, prefix: str, count: list[int]) -> list[tuple[str, torch.Tensor]]:
    """(name, tensor) of a pickled nn.Module, as its state_dict() would name them; `count` of the modules met so far."""
    count[0] += 1
    if count[0] > MOST_MODULES or prefix.count(".") > DEEPEST:
        raise too_costly("it has modules within modules without end")
    state = module.state if isinstance(module.state, dict) else {}
    own = (item for group in ("_parameters", "_buffers") for item in (state.get(group) or {}).items())
    found = [(f"{prefix}{name}", value) for name, value in own if isinstance(value, torch.Tensor)]
    for name, child in (state.get("_modules") or {}).items():
        if isinstance(child, Record):
            found.extend(_tensors(child, f"{prefix}{name}.", count))
    return found


# Architecture family -> (yaml below ultralytics/cfg/models, is it an RT-DETR). A YOLO's size letter follows its family.
FAMILIES = {
    "yolov8": ("v8/yolov8.yaml", False),
    "yolo11": ("11/yolo11.yaml", False),
    "rtdetr-l": ("rt-detr/rtdetr-l.yaml", True),
    "rtdetr-resnet50": ("rt-detr/rtdetr-resnet50.yaml", True),
    "rtdetr-resnet101": ("rt-detr/rtdetr-resnet101.yaml", True),
}
SCALES = "nsmlx"


def prepare_environment() -> None:
    """Keep ultralytics from printing, installing, calling out and writing into ~/.config; before its first import."""
    wanted = {"AUTOINSTALL": "false", "OFFLINE": "true", "VERBOSE": "false", "CONFIG_DIR": str(cache_folder())}
    for name, value in wanted.items():
        os.environ.setdefault(f"YOLO_{name}", value)


def cache_folder() -> Path:
    """Where settings of ultralytics and downloaded weights are kept; a temporary folder where home is not writable."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msfp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / "msfp"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(architecture: str, classes: int = 80, seed: int = 0, fused: bool = True) -> Any:
    """An ultralytics detection model (untyped, as ultralytics is) with seeded random weights.

    `fused`: fold batch normalisation into the convolutions (evaluation) or keep it (training).
    Raises InputError: an unknown architecture.
    """
    if not is_known(architecture):
        known = [name if detr else f"{name}[{SCALES}]" for name, (_, detr) in FAMILIES.items()]
        raise InputError(f"architecture {architecture!r} is not known; there are: {', '.join(known)}")
    family, scale = (architecture, "l") if architecture in FAMILIES else (architecture[:-1], architecture[-1])
    yaml, detr = FAMILIES[family]
    options = np.get_printoptions()
    prepare_environment()
    import ultralytics
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
    from ultralytics.utils import YAML

    np.set_printoptions(**options)  # ultralytics changes how arrays print, everywhere
    config: dict[str, Any] = YAML.load(Path(ultralytics.__file__).parent / "cfg" / "models" / yaml)
    config |= {"scale": scale, "yaml_file": yaml}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (RTDETRDetectionModel if detr else DetectionModel)(config, nc=classes, verbose=False)
    return model.eval().fuse(verbose=False) if fused else model


def is_known(architecture: str) -> bool:
    """True for a family's name and a size letter, or an RT-DETR's name."""
    if architecture in FAMILIES:
        return FAMILIES[architecture][1]
    return architecture[-1:] in tuple(SCALES) and not FAMILIES.get(architecture[:-1], ("", True))[1]


FIRST_WIDTH = dict(zip((16, 32, 48, 64, 80), SCALES, strict=True))  # of YOLOv8's first convolution
SUMS = "SHA256SUMS"  # checksums of the weights in a folder, as `sha256sum` writes them
State = dict[str, torch.Tensor]


def embedded_path(file: str) -> Path:
    """Path of a weights file shipped inside the package; InputError: not shipped, or not as it was shipped."""
    path = Path(str(resources.files("msfp.features") / "weights" / file))
    if not file or not path.is_file():
        raise InputError(
            f"no embedded weights {file or 'for this preset'}; name a .safetensors or .pt file, or use 'random-init'"
        )
    found = path.stat()
    if not _as_listed(path, (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)):
        raise InputError(
            f"{path}: not the weights that were shipped ({SUMS} beside it says otherwise); install msfp again, or name "
            "another file with --weights"
        )
    return path


@lru_cache(maxsize=64)
def _as_listed(path: Path, _stamp: tuple[int, ...]) -> bool:
    """True where a weights file is the one its folder's checksums tell of; read again only when it changed."""
    return listed_sums(path.parent).get(path.name) == hashlib.sha256(path.read_bytes()).hexdigest()


def listed_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 as a folder's `SHA256SUMS` lists them; what cannot be read lists nothing."""
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def find(weights: str | Path, embedded: str = "") -> Path:
    """The file meant by `weights`: `embedded`, a path, or a bare ultralytics name (`yolov8m.pt`), downloaded if absent.

    Raises InputError: nothing was named, the file is not there, or it could not be downloaded.
    """
    if not str(weights):
        raise InputError("no weights named: use 'embedded', a .safetensors or .pt file, or the control 'random-init'")
    if str(weights) == "embedded":
        return embedded_path(embedded)
    path = Path(weights)
    if path.is_file():
        return path
    if path.suffix != ".pt" or path.parent != Path() or not is_known(path.stem):
        raise InputError(f"weights {weights}: file not found; name a .safetensors or .pt file, or use 'embedded'")
    prepare_environment()
    from ultralytics.utils.downloads import attempt_download_asset

    try:
        found = Path(attempt_download_asset(cache_folder() / path.name))
        if found.is_file():
            return found
        reason = "fetch the file and name its path"
    except Exception as error:
        reason = _first_line(error)
    raise InputError(f"weights {path.name}: not here and could not be downloaded ({reason})")


def read_state(path: Path) -> State:
    """Tensors of a `.safetensors` or `.pt` file in float32, batch normalisation as it is there.

    Raises InputError: unknown suffix, missing or corrupt file, or a pickle with foreign names.
    """
    if path.suffix == ".pt":
        state = read_checkpoint(path)
    elif path.suffix == ".safetensors":
        try:
            with safe_open(str(path), "pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (a safetensors handle)
        except FileNotFoundError:
            raise InputError(f"{path}: weights file not found") from None
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable safetensors file ({_first_line(error)})") from None
    else:
        raise InputError(f"{path}: weights are .safetensors or .pt files, not {path.suffix or 'without suffix'!r}")
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: tensor {key} holds values that are not finite; the file is damaged")
    return state


def architecture_of(state: State) -> str | None:
    """The YOLOv8 that these tensors belong to, from their shapes; None where they are something else."""
    first, head = state.get("model.0.conv.weight"), state.get("model.22.cv3.0.2.weight")
    if first is None or head is None:
        return None
    scale = FIRST_WIDTH.get(first.shape[0])
    return f"yolov8{scale}" if scale else None


def class_count(state: State, default: int = 80) -> int:
    """Number of classes of a detection head, read from its last convolution."""
    last = [key for key in state if key.endswith((".cv3.0.2.bias", ".enc_score_head.bias"))]
    return len(state[last[0]]) if last else default


def load_detector(architecture: str, weights: str | Path, embedded: str = "", seed: int = 0) -> Any:
    """A fused ultralytics detector, in evaluation mode, frozen.

    `weights`: a .safetensors or .pt file, `embedded`, a bare ultralytics name, or the control `random-init`.
    Raises InputError: weights missing, unreadable, or not this architecture's.
    """
    if str(weights) == "random-init":
        model = random_detector(architecture, seed)
    else:
        path = find(weights, embedded)
        state = read_state(path)
        # Training checkpoints keep batch normalisation apart from the convolutions; what we ship has it folded in.
        apart = any(key.endswith(".bn.running_var") for key in state)
        model = build(architecture, class_count(state), fused=not apart)
        load_strict(model, state, path, architecture)
        if apart:
            model = model.eval().fuse(verbose=False)
    return model.eval().requires_grad_(False)


def random_detector(architecture: str, seed: int = 0) -> Any:
    """The named control: seeded random weights, batch normalisation measured on seeded random images.

    Without that measurement a fresh network's activations shrink from layer to layer, below what fp16 can hold.
    """
    model = build(architecture, seed=seed, fused=False).eval()
    generator = torch.Generator().manual_seed(seed)
    # Blots of all sizes, so that neighbouring pixels are alike as in photographs.
    grids = [torch.rand(4, 3, side, side, generator=generator) for side in (2, 8, 32, 128)]
    images = torch.stack([nn.functional.interpolate(grid, size=(128, 128)) for grid in grids]).mean(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.momentum = None
    with torch.no_grad():
        model(images)
    return model.eval().fuse(verbose=False)


def load_strict(model: nn.Module, state: State, path: Path, architecture: str) -> None:
    """Load exactly these tensors; InputError says in one line why they do not fit."""
    wanted = model.state_dict()
    wrong = {
        "missing": [key for key in wanted if key not in state],
        "surplus": [key for key in state if key not in wanted],
        "of another shape": [key for key in wanted if key in state and wanted[key].shape != state[key].shape],
    }
    if any(wrong.values()):
        found = architecture_of(state)
        whose = ", ".join(f"{len(keys)} tensors {what} ({keys[0]}, ...)" for what, keys in wrong.items() if keys)
        if found and found != architecture:
            whose = f"these are {found} weights"
        raise InputError(f"{path}: weights do not fit {architecture}: {whose}; choose the preset that matches the file")
    model.load_state_dict(state, strict=True)


def _first_line(error: Exception) -> str:
    text = str(error).encode("ascii", "ignore").decode().strip() or type(error).__name__
    return text.splitlines()[0][:200]
