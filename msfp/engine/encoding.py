"""Values as files without pickle: a JSON tree, arrays as safetensors, tables as Parquet.

A value is any nesting of None, bool, int, float, str, bytes, list, tuple, dict, NumPy arrays and scalars, pandas frames
and dataclasses or named tuples of this package. What comes back has the same types; arrays come back writable and in C
order, as views of the bytes that were read. Only types inside msfp are restored by name, so an entry cannot call
foreign code.
"""

import dataclasses
import importlib
import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from msfp.errors import MsfpError

ARRAYS = "safetensors"
TAG = "$"
STORED_KINDS = frozenset("biuf")
Bytes = bytes | bytearray | memoryview
# Names of the safetensors format.
DTYPES = {"BOOL": np.bool_, "F16": np.float16, "F32": np.float32, "F64": np.float64} | {
    f"{kind}{bits}": np.dtype(f"{name}{bits}")
    for kind, name in (("I", "int"), ("U", "uint"))
    for bits in (8, 16, 32, 64)
}


def encode(value: Any) -> tuple[Any, dict[str, bytes]]:
    """A JSON-ready tree and the payloads it refers to, `{suffix: bytes}`.

    Raises:
        MsfpError: a part of the value is of a type that cannot be stored; the message names it.
    """
    encoder = _Encoder()
    tree = encoder.node(value, "")
    payloads = dict(encoder.frames)
    if encoder.arrays:
        payloads[ARRAYS] = save_tensors(encoder.arrays)
    return tree, payloads


def decode(tree: Any, payloads: Mapping[str, Bytes]) -> Any:
    """The value that `encode` took.

    Args:
        tree: from `encode`.
        payloads: from `encode`; arrays are views of them, writable if they are.

    Raises:
        ValueError: tree and payloads do not belong together, or name a type that is not there.
    """
    try:
        arrays = views(payloads[ARRAYS]) if ARRAYS in payloads else {}
        return _Decoder(arrays, payloads).value(tree)
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
    header = json.loads(bytes(data[8:begin]))
    found = {}
    for name, about in header.items():
        if name != "__metadata__":
            kind, shape, (first, last) = np.dtype(DTYPES[about["dtype"]]), about["shape"], about["data_offsets"]
            part = np.frombuffer(data, np.uint8)[begin + first : begin + last]
            if part.nbytes != math.prod(shape) * kind.itemsize:
                raise ValueError(f"array {name} has {part.nbytes} bytes, not those of {kind} {shape}")
            found[name] = part.view(kind).reshape(shape)
    return found


class _Encoder:
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.frames: dict[str, bytes] = {}

    def node(self, value: Any, where: str) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {TAG: "float", "value": repr(value)}
        if type(value) is bytes:
            return {TAG: "bytes", "name": self._keep(np.frombuffer(value, np.uint8), where)}
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, np.generic):
            return {TAG: "scalar", "array": self._array(np.asarray(value), where)}
        if type(value) is list:
            return self._items(value, where)
        if type(value) is tuple:
            return {TAG: "tuple", "items": self._items(value, where)}
        if type(value) is dict:
            pairs = [[self.node(k, where), self.node(v, f"{where}/{k}")] for k, v in value.items()]
            return {TAG: "dict", "items": pairs}
        return self._object(value, where)

    def _items(self, value: list[Any] | tuple[Any, ...], where: str) -> list[Any]:
        return [self.node(item, f"{where}/{index}") for index, item in enumerate(value)]

    def _object(self, value: Any, where: str) -> Any:
        if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_parquet"):
            return self._frame(value, where)
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        fields: dict[str, Any] | None = None
        if dataclasses.is_dataclass(value):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        elif isinstance(value, tuple) and hasattr(value, "_asdict"):
            fields = value._asdict()
        if fields is None or not name.startswith("msfp."):
            raise MsfpError(
                f"result{where}: {name} cannot be stored; return arrays, frames, JSON values, "
                "or dataclasses of the msfp package made of them"
            )
        return {TAG: "object", "type": name, "fields": {k: self.node(v, f"{where}/{k}") for k, v in fields.items()}}

    def _array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        if array.dtype.kind == "U":
            return {TAG: "text", "dtype": array.dtype.str, "shape": list(array.shape), "items": array.ravel().tolist()}
        if array.dtype.kind not in STORED_KINDS or array.dtype.itemsize > 8:
            raise MsfpError(f"result{where}: an array of {array.dtype} cannot be stored; use numbers, booleans or text")
        # safetensors writes the buffer as it lies: without C order a transposed array would come back scrambled.
        return {TAG: "array", "name": self._keep(np.asarray(array, array.dtype.newbyteorder("="), order="C"), where)}

    def _keep(self, array: np.ndarray, where: str) -> str:
        name = base = where.strip("/") or "value"
        count = 1
        while name in self.arrays or name == "__metadata__":
            count += 1
            name = f"{base}~{count}"
        self.arrays[name] = array
        return name

    def _frame(self, frame: Any, where: str) -> dict[str, Any]:
        name = f"{len(self.frames)}.parquet"
        try:
            self.frames[name] = frame.to_parquet(None, engine="pyarrow", index=None)
        except (ValueError, TypeError) as error:  # pyarrow's ArrowInvalid and ArrowTypeError among them
            raise MsfpError(f"result{where}: this frame cannot be stored as Parquet ({error})") from error
        return {TAG: "frame", "name": name}


class _Decoder:
    def __init__(self, arrays: Mapping[str, np.ndarray], payloads: Mapping[str, Bytes]) -> None:
        self.arrays = arrays
        self.payloads = payloads

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        tag = node[TAG]
        if tag == "float":
            return float(node["value"])
        if tag == "bytes":
            return self.arrays[node["name"]].tobytes()
        if tag == "array":
            return self.arrays[node["name"]]
        if tag == "text":
            return np.array(node["items"], dtype=node["dtype"]).reshape(node["shape"])
        if tag == "scalar":
            return self.value(node["array"])[()]
        if tag == "tuple":
            return tuple(self.value(item) for item in node["items"])
        if tag == "dict":
            return {self.value(key): self.value(item) for key, item in node["items"]}
        if tag == "frame":
            return _read_frame(self.payloads[node["name"]])
        if tag == "object":
            kind = _type(node["type"])
            return kind(**{name: self.value(item) for name, item in node["fields"].items()})
        raise ValueError(f"unknown tag {tag!r}")


def _read_frame(data: Bytes) -> Any:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(data), engine="pyarrow")


def _type(name: str) -> type:
    module, _, path = name.partition(":")
    if not module.startswith("msfp."):
        raise ValueError(f"type {name!r} is not of this package")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or not (dataclasses.is_dataclass(found) or hasattr(found, "_asdict")):
        raise ValueError(f"type {name!r} is no dataclass")
    return found
