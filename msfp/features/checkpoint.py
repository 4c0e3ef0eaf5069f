"""Tensors out of a PyTorch `.pt` file without executing anything that the file names.

A `.pt` file is a zip with one pickle and the raw bytes of each storage. A pickle may name any function and have it
called: here every name is looked up in a short list and stands for an inert object. Nothing that it names is imported.
A file may cost no more than its size lets expect: `torch.save` compresses nothing.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from msfp.errors import InputError

# Names that checkpoints of ultralytics and of torch carry beside tensors. They become inert records, whatever they are.
INERT_MODULES = ("torch.nn.modules.", "ultralytics.")
INERT_NAMES = {
    *((module, name) for module in ("builtins", "__builtin__") for name in ("set", "object")),
    *((module, "_reconstructor") for module in ("copyreg", "copy_reg")),
    *(("pathlib", name) for name in ("PosixPath", "WindowsPath", "PurePosixPath")),
    ("pathlib._local", "PosixPath"),
    *(("torch", name) for name in ("Size", "device", "dtype")),
    *(("numpy", name) for name in ("dtype", "ndarray")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    ("_codecs", "encode"),
}
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
    """Unpickler whose every name is inert; see the module's docstring."""

    def __init__(self, data: bytes, storage: Callable[[str, torch.dtype], torch.Tensor]) -> None:
        super().__init__(io.BytesIO(data))
        self.storage = cache(storage)

    def find_class(self, module: str, name: str) -> Any:
        """Our stand-in for a name; refuses names that no checkpoint needs."""
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if (module, name) in INERT_NAMES or module.startswith(INERT_MODULES):
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

    Raises InputError: not a zip checkpoint, corrupt, names that are not on the list, costs more than weights do, or no
    tensors in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_costly(archive, path.stat().st_size)
            names = archive.namelist()
            pickled = next(name for name in names if name.endswith("data.pkl"))
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
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{path}: not a readable PyTorch checkpoint ({reason})") from None
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
    found = []
    for group in ("_parameters", "_buffers"):
        for name, value in (state.get(group) or {}).items():
            if isinstance(value, torch.Tensor):
                found.append((f"{prefix}{name}", value))
    for name, child in (state.get("_modules") or {}).items():
        if isinstance(child, Record):
            found.extend(_tensors(child, f"{prefix}{name}.", count))
    return found
