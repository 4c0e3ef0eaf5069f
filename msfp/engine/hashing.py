"""Digests of content: equal content gives an equal key, any change another one, whatever process or folder it is in."""

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Mapping, Set
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pydantic import BaseModel

from msfp.errors import InputError, MsfpError

DIGEST_BYTES = 20


def digest(value: Any) -> str:
    """Hex digest of a value's content.

    Numbers are told apart by kind (1, 1.0 and True differ, so do 0.0 and -0.0; all NaN are one), a NumPy scalar of
    Python's own precision counts as the Python number. Lists and tuples with equal items are equal, as JSON cannot
    tell them apart. Dicts and sets ignore order. Arrays count by dtype, shape and bytes; frames by column.
    Dataclasses and pydantic models count by type and fields.

    Raises:
        MsfpError: a path (give `file_digest(path)`: content, not place) or an object with no defined content.
    """
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    _add(state.update, value, "inputs")
    return state.hexdigest()


def file_digest(path: str | PurePath) -> str:
    """Hex digest of a file's bytes.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check that the file is there") from error


def _add(add: Callable[[bytes], object], value: Any, where: str) -> None:
    """Add pieces of bytes that say where they end, so that no two values run into the same stream."""
    if value is None:
        add(b"N;")
    elif isinstance(value, bool | np.bool_):
        add(b"T;" if value else b"F;")
    elif isinstance(value, Enum):
        add(_tagged(b"E", _kind(value).encode()))
        _add(add, value.value, where)
    elif isinstance(value, int | np.integer):
        add(_tagged(b"I", str(int(value)).encode()))
    elif isinstance(value, float):
        add(b"D" + struct.pack(">d", value if value == value else float("nan")))
    elif isinstance(value, str):
        add(_tagged(b"S", value.encode("utf-8", "surrogatepass")))
    elif isinstance(value, bytes | bytearray):
        add(_tagged(b"B", bytes(value)))
    elif isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise MsfpError(
                f"{where}: an array of Python objects has no bytes to hash; give it a numeric or text dtype"
            )
        add(_tagged(b"A", f"{np.lib.format.dtype_to_descr(value.dtype)}{value.shape}".encode()))
        add(value.tobytes())
    elif isinstance(value, Mapping):
        add(f"M{len(value)}:".encode())
        for name, key in sorted(((digest(key), key) for key in value), key=lambda pair: pair[0]):
            add(name.encode())
            _add(add, value[key], f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        add(f"L{len(value)}:".encode())
        for index, item in enumerate(value):
            _add(add, item, f"{where}[{index}]")
    elif isinstance(value, Set):
        add(_tagged(b"U", "".join(sorted(digest(item) for item in value)).encode()))
    elif isinstance(value, PurePath):
        raise MsfpError(f"{where}: {value} is a place, not content; give file_digest(path) as the input instead")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        add(_tagged(b"O", _kind(value).encode()))
        _add(add, {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.compare}, where)
    elif isinstance(value, BaseModel):
        add(_tagged(b"O", _kind(value).encode()))
        _add(add, {name: getattr(value, name) for name in type(value).model_fields}, where)
    elif hasattr(value, "columns") and hasattr(value, "to_parquet"):
        add(f"P{len(value.columns)}:".encode())
        columns = [(name, value.iloc[:, number]) for number, name in enumerate(value.columns)]
        for name, column in [("index", value.index), *columns]:
            _add(add, name, where)
            add(_tagged(b"d", str(column.dtype).encode()))
            array = column.to_numpy()
            _add(add, array.tolist() if array.dtype.hasobject else array, f"{where}[{name!r}]")
    else:
        raise MsfpError(
            f"{where}: {_kind(value).replace(':', '.')} has no content to hash; "
            "inputs are numbers, text, arrays, frames, dataclasses and settings (code goes into `code=`)"
        )


def _tagged(tag: bytes, data: bytes) -> bytes:
    return tag + str(len(data)).encode() + b":" + data


def _kind(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"
