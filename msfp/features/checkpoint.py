"""Tensors out of a PyTorch `.pt` file without executing anything that the file names.

A `.pt` file is a zip with one pickle and the raw bytes of each storage. A pickle may name any function and have it
called, so here every name is looked up in a short list and stands for an inert object of ours; so do rebuilt tensors.
Nothing that the file names is ever imported.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from msfp.errors import InputError

STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
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


class Reader(pickle.Unpickler):
    """Unpickler whose every name is inert; see the module's docstring."""

    def __init__(self, data: bytes, storage: Callable[[str, torch.dtype], torch.Tensor]) -> None:
        super().__init__(io.BytesIO(data))
        self.storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Our stand-in for a name; refuses names that no checkpoint needs."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return rebuild_tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return rebuild_parameter
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) in INERT_NAMES or module.startswith(INERT_MODULES):
            return Record
        raise ForeignNameError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """A storage: ("storage", dtype, key, device, number of elements)."""
        _, dtype, key = pid[:3]
        return self.storage(str(key), dtype)


class ForeignNameError(Exception):
    """A name in the pickle that is on no list."""


def rebuild_tensor(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> torch.Tensor:
    """The tensor over a flat storage; torch refuses views beyond its end."""
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


def rebuild_parameter(data: torch.Tensor, *_: Any) -> torch.Tensor:
    """Parameters are their tensors."""
    return data


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """State dict of a `.pt` file: of an ultralytics checkpoint (its EMA where it has one), a module or a state dict.

    Raises:
        InputError: not a zip checkpoint, corrupt, names that are not on the list, or no tensors in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickled = next(name for name in names if name.endswith("data.pkl"))
            prefix = pickled.removesuffix("data.pkl")

            def storage(key: str, dtype: torch.dtype) -> torch.Tensor:
                raw = bytearray(archive.read(f"{prefix}data/{key}"))
                return torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)

            content = Reader(archive.read(pickled), storage).load()
    except ForeignNameError as error:
        raise InputError(
            f"{path}: this checkpoint names {error}, which no weights need; nothing was executed. "
            "Convert it to .safetensors where you trust it"
        ) from None
    except FileNotFoundError:
        raise InputError(f"{path}: weights file not found") from None
    except Exception as error:  # a damaged file can fail anywhere inside zip or pickle
        raise InputError(f"{path}: not a readable PyTorch checkpoint ({error or type(error).__name__})") from None
    state = _state_of(content)
    if not state:
        raise InputError(f"{path}: no weights found in this checkpoint")
    return state


def _state_of(content: Any) -> dict[str, torch.Tensor]:
    if isinstance(content, dict):
        for key in ("ema", "model", "state_dict"):
            if content.get(key) is not None:
                return _state_of(content[key])
        return {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    return dict(_tensors(content, "")) if isinstance(content, Record) else {}


def _tensors(module: Record, prefix: str) -> list[tuple[str, torch.Tensor]]:
    """(name, tensor) of a pickled nn.Module, as its state_dict() would name them."""
    state = module.state if isinstance(module.state, dict) else {}
    found = []
    for group in ("_parameters", "_buffers"):
        for name, value in (state.get(group) or {}).items():
            if isinstance(value, torch.Tensor):
                found.append((f"{prefix}{name}", value))
    for name, child in (state.get("_modules") or {}).items():
        if isinstance(child, Record):
            found.extend(_tensors(child, f"{prefix}{name}."))
    return found
