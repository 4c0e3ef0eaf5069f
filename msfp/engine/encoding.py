"""Values as files without pickle: a JSON tree, arrays as safetensors, tables as Parquet.

A value is any nesting of None, bool, int, float, str, bytes, list, tuple, dict, NumPy arrays and scalars, pandas frames
and dataclasses or named tuples of this package. Only types inside msfp are restored by name, so an entry cannot call
foreign code.
"""

import dataclasses
import importlib
import io
import json
import math
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from msfp.errors import MsfpError

ARRAYS = "safetensors"
TAG = "$"
STORED_KINDS = frozenset("biuf")
Bytes = bytes | bytearray | memoryview


def encode(value: Any) -> tuple[Any, dict[str, bytes]]:
    """A JSON-ready tree and the payloads it refers to, `{suffix: bytes}`.

    Raises:
        MsfpError: a part of the value is of a type that cannot be stored; the message names it.
    """
    arrays: dict[str, np.ndarray] = {}
    payloads: dict[str, bytes] = {}

    def keep(array: np.ndarray, where: str) -> str:
        name = base = where.strip("/") or "value"
        count = 1
        while name in arrays or name == "__metadata__":
            count += 1
            name = f"{base}~{count}"
        arrays[name] = array
        return name

    def node(value: Any, where: str) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {TAG: "float", "value": repr(value)}
        if type(value) is bytes:
            return {TAG: "bytes", "name": keep(np.frombuffer(value, np.uint8), where)}
        if isinstance(value, np.generic):
            return {TAG: "scalar", "array": node(np.asarray(value), where)}
        if isinstance(value, np.ndarray):
            kind = value.dtype
            if kind.kind == "U":
                return {TAG: "text", "dtype": kind.str, "shape": list(value.shape), "items": value.ravel().tolist()}
            if kind.kind not in STORED_KINDS or kind.itemsize > 8:
                raise MsfpError(f"result{where}: an array of {kind} cannot be stored; use numbers, booleans or text")
            # safetensors writes the buffer as it lies: without C order a transposed array would come back scrambled.
            return {TAG: "array", "name": keep(np.asarray(value, kind.newbyteorder("="), order="C"), where)}
        if type(value) in (list, tuple):
            items = [node(item, f"{where}/{index}") for index, item in enumerate(value)]
            return items if type(value) is list else {TAG: "tuple", "items": items}
        if type(value) is dict:
            return {TAG: "dict", "items": [[node(k, where), node(v, f"{where}/{k}")] for k, v in value.items()]}
        if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_parquet"):
            name = f"{len(payloads)}.parquet"
            try:
                payloads[name] = value.to_parquet(None, engine="pyarrow", index=None)
            except (ValueError, TypeError) as error:  # pyarrow's ArrowInvalid and ArrowTypeError among them
                raise MsfpError(f"result{where}: this frame cannot be stored as Parquet ({error})") from error
            return {TAG: "frame", "name": name}
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        if not name.startswith("msfp.") or not _has_fields(value):
            raise MsfpError(
                f"result{where}: {name} cannot be stored; return arrays, frames, JSON values, "
                "or dataclasses of the msfp package made of them"
            )
        fields = value._fields if hasattr(value, "_fields") else [f.name for f in dataclasses.fields(value)]
        return {TAG: "object", "type": name, "fields": {f: node(getattr(value, f), f"{where}/{f}") for f in fields}}

    tree = node(value, "")
    return tree, payloads | ({ARRAYS: save_tensors(arrays)} if arrays else {})


def decode(tree: Any, payloads: Mapping[str, Bytes]) -> Any:
    """The value that `encode` took; its arrays are views of the payloads, writable if they are.

    Raises:
        ValueError: tree and payloads do not belong together, or name a type that is not there.
    """

    def value(node: Any) -> Any:
        if isinstance(node, list):
            return [value(item) for item in node]
        if not isinstance(node, dict):
            return node
        match node[TAG]:
            case "float":
                return float(node["value"])
            case "bytes":
                return arrays[node["name"]].tobytes()
            case "array":
                return arrays[node["name"]]
            case "text":
                return np.array(node["items"], dtype=node["dtype"]).reshape(node["shape"])
            case "scalar":
                return value(node["array"])[()]
            case "tuple":
                return tuple(value(node["items"]))
            case "dict":
                return {value(key): value(item) for key, item in node["items"]}
            case "frame":
                import pandas as pd

                return pd.read_parquet(io.BytesIO(payloads[node["name"]]), engine="pyarrow")
            case "object":
                return _type(node["type"])(**{name: value(item) for name, item in node["fields"].items()})
        raise ValueError(f"unknown tag {node[TAG]!r}")

    try:
        arrays = views(payloads[ARRAYS]) if ARRAYS in payloads else {}
        return value(tree)
    except (KeyError, TypeError, AttributeError, ImportError, OSError) as error:
        raise ValueError(f"entry cannot be decoded: {error!r}") from error


def views(data: Bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file where they lie, since copying a large one takes as long as reading it.

    The format is 8 bytes that hold the length of a JSON header, the header, and the arrays' bytes; the library's writer
    puts wider numbers first, which keeps all of them aligned.

    Raises:
        ValueError: not such a file, or one that ends early.
    """
    begin = 8 + int.from_bytes(bytes(data[:8]), "little")
    if len(data) < begin:
        raise ValueError("the arrays' header is cut")
    found = {}
    for name, about in json.loads(bytes(data[8:begin])).items():
        if name != "__metadata__":
            code, shape, (first, last) = about["dtype"], about["shape"], about["data_offsets"]
            kind = np.dtype("?" if code == "BOOL" else f"{code[0].lower()}{int(code[1:]) // 8}")
            part = np.frombuffer(data, np.uint8)[begin + first : begin + last]
            if part.nbytes != math.prod(shape) * kind.itemsize:
                raise ValueError(f"array {name} has {part.nbytes} bytes, not those of {kind} {shape}")
            found[name] = part.view(kind).reshape(shape)
    return found


def _has_fields(thing: Any) -> bool:
    """Whether a value or type is a dataclass or named tuple."""
    return dataclasses.is_dataclass(thing) or hasattr(thing, "_asdict")


def _type(name: str) -> type:
    module, _, path = name.partition(":")
    if not module.startswith("msfp."):
        raise ValueError(f"type {name!r} is not of this package")
    found = attrgetter(path)(importlib.import_module(module))
    if not isinstance(found, type) or not _has_fields(found):
        raise ValueError(f"type {name!r} is no dataclass")
    return found
