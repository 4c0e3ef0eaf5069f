"""Tensors out of a PyTorch `.pt` file without executing anything that the file names.

A `.pt` file is a zip with one pickle and the raw bytes of each storage. A pickle may name any function and have it
called, so here every name is looked up in a short list and stands for an inert object of ours; so do rebuilt tensors.
Nothing that the file names is ever imported.

A file may cost no more than its size lets expect: `torch.save` compresses nothing, so compressed entries, and entries
larger than the file, are refused; so are pickles of millions of steps, and tensors with more elements than their
storage.
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
    ("__builtin__", "set"),
    ("builtins", "set"),
    ("builtins", "object"),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib._local", "PosixPath"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch", "dtype"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}
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

    def __setitem__(self, key: Any, value: Any) -> None:
        """Pickles of dict subclasses set items; they matter only where OrderedDict is named."""

    def __hash__(self) -> int:
        return id(self)

    def append(self, value: Any) -> None:
        """Pickles of list subclasses append."""

    def extend(self, values: Any) -> None:
        """Pickles of list subclasses extend."""


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
    """The tensor over a flat storage; torch refuses views beyond its end.

    Raises:
        Refused: it has more elements than its storage, as strides of 0 give.
    """
    if math.prod(size) > storage.numel():
        raise too_costly(f"a tensor of {math.prod(size):,} elements over a storage of {storage.numel():,}")
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    ("torch", "FloatStorage"): torch.float32,
    ("torch", "HalfStorage"): torch.float16,
    ("torch", "BFloat16Storage"): torch.bfloat16,
    ("torch", "DoubleStorage"): torch.float64,
    ("torch", "LongStorage"): torch.int64,
    ("torch", "IntStorage"): torch.int32,
    ("torch", "ShortStorage"): torch.int16,
    ("torch", "CharStorage"): torch.int8,
    ("torch", "ByteStorage"): torch.uint8,
    ("torch", "BoolStorage"): torch.bool,
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

    Raises:
        InputError: not a zip checkpoint, corrupt, names that are not on the list, costs more than weights do, or no
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
    """Hold an archive's entries to what lies in the file.

    Raises:
        Refused: a compressed entry, or more bytes than the file has.
    """
    entries = archive.infolist()
    packed = next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise too_costly(f"its entry {packed.filename[:80]!r} is compressed, {packed.file_size:,} bytes unpacked")
    if sum(entry.file_size for entry in entries) > size:
        raise too_costly(f"its entries hold more bytes than the file's {size:,}")


def _refuse_endless(data: bytes) -> None:
    """Hold a pickle to as many steps as weights need, and to places of its memory that its steps could fill.

    Raises:
        Refused: too long, too many steps, or a place far beyond.
    """
    if len(data) > MOST_PICKLED:
        raise too_costly(f"its pickle has {len(data):,} bytes")
    for steps, (code, argument, _) in enumerate(pickletools.genops(data)):
        if steps > MOST_STEPS:
            raise too_costly(f"its pickle has more than {MOST_STEPS:,} steps")
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > MOST_STEPS:
            raise too_costly(f"its pickle fills place {argument:,} of its memory")


def _state_of(content: Any, depth: int = 0) -> dict[str, torch.Tensor]:
    """Name -> tensor of what a checkpoint holds.

    Raises:
        Refused: it contains itself, or its tensors together are many times what the file holds.
    """
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
