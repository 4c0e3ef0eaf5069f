"""Digests of content: equal content gives an equal key, any change another one, whatever process or folder it is in."""

import dataclasses
import hashlib
import struct
from collections.abc import Iterator, Mapping, Set
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
    for piece in _pieces(value, "inputs"):
        state.update(piece)
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


def _pieces(value: Any, where: str) -> Iterator[bytes]:
    """Self-delimiting pieces of bytes, so that no two values run into the same stream."""
    if value is None:
        yield b"N;"
    elif isinstance(value, bool | np.bool_):
        yield b"T;" if value else b"F;"
    elif isinstance(value, Enum):
        yield from _tagged(b"E", _type_name(value))
        yield from _pieces(value.value, where)
    elif isinstance(value, int | np.integer):
        yield from _tagged(b"I", str(int(value)).encode())
    elif isinstance(value, float):
        yield b"D" + struct.pack(">d", value if value == value else float("nan"))
    elif isinstance(value, str):
        yield from _tagged(b"S", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes | bytearray):
        yield from _tagged(b"B", bytes(value))
    elif isinstance(value, np.ndarray | np.generic):
        yield from _array_pieces(np.asarray(value), where)
    elif isinstance(value, Mapping):
        yield from _mapping_pieces(value, where)
    elif isinstance(value, list | tuple):
        yield f"L{len(value)}:".encode()
        for index, item in enumerate(value):
            yield from _pieces(item, f"{where}[{index}]")
    elif isinstance(value, Set):
        yield from _tagged(b"U", "".join(sorted(digest(item) for item in value)).encode())
    else:
        yield from _object_pieces(value, where)


def _object_pieces(value: Any, where: str) -> Iterator[bytes]:
    if isinstance(value, PurePath):
        raise MsfpError(f"{where}: {value} is a place, not content; give file_digest(path) as the input instead")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _tagged(b"O", _type_name(value))
        fields = dataclasses.fields(value)
        yield from _mapping_pieces({f.name: getattr(value, f.name) for f in fields if f.compare}, where)
    elif isinstance(value, BaseModel):
        yield from _tagged(b"O", _type_name(value))
        yield from _mapping_pieces({name: getattr(value, name) for name in type(value).model_fields}, where)
    elif hasattr(value, "columns") and hasattr(value, "to_parquet"):
        yield from _frame_pieces(value, where)
    else:
        raise MsfpError(
            f"{where}: {type(value).__module__}.{type(value).__qualname__} has no content to hash; "
            "inputs are numbers, text, arrays, frames, dataclasses and settings (code goes into `code=`)"
        )


def _array_pieces(array: np.ndarray, where: str) -> Iterator[bytes]:
    if array.dtype.hasobject:
        raise MsfpError(f"{where}: an array of Python objects has no bytes to hash; give it a numeric or text dtype")
    yield from _tagged(b"A", f"{np.lib.format.dtype_to_descr(array.dtype)}{array.shape}".encode())
    data = np.asarray(array, order="C")
    yield data.tobytes()


def _mapping_pieces(value: Mapping[Any, Any], where: str) -> Iterator[bytes]:
    yield f"M{len(value)}:".encode()
    for name, key in sorted(((digest(key), key) for key in value), key=lambda pair: pair[0]):
        yield name.encode()
        yield from _pieces(value[key], f"{where}[{key!r}]")


def _frame_pieces(frame: Any, where: str) -> Iterator[bytes]:
    """A pandas frame: its column names, its index and each column, as arrays where they have bytes."""
    yield f"P{len(frame.columns)}:".encode()
    columns = [(name, frame.iloc[:, number]) for number, name in enumerate(frame.columns)]
    for name, column in [("index", frame.index), *columns]:
        yield from _pieces(name, where)
        yield from _tagged(b"d", str(column.dtype).encode())
        values = column.to_numpy()
        yield from _pieces(values if not values.dtype.hasobject else values.tolist(), f"{where}[{name!r}]")


def _tagged(tag: bytes, data: bytes) -> Iterator[bytes]:
    yield tag + str(len(data)).encode() + b":"
    yield data


def _type_name(value: Any) -> bytes:
    return f"{type(value).__module__}:{type(value).__qualname__}".encode()
