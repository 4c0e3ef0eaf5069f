"""Content-addressed store: a stage's result is kept under a hash of its inputs and of the code it ran.

An entry is a manifest, `<root>/<stage>/<key>.jsonl`, and the payloads it names with their checksums. Payloads are
written first and the manifest last, each atomically, so an entry is whole or absent whenever a run is killed. Payloads
are named by their content; two runs that write one entry write the same files.
"""

import dataclasses
import importlib
import io
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from safetensors.numpy import save as save_tensors

from msfp.engine import files
from msfp.engine.code import code_digest
from msfp.engine.files import FileMemo, digest
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


T = TypeVar("T")
Code = str | Iterable[str]
FORMAT = 1
MANIFEST = ".jsonl"
LOCKS = "locks"
FILES = "files"
MISSING = object()
log = logging.getLogger(__name__)


class Store:
    """Results by content, shared by any number of processes.

    Attributes:
        root: folder of the store, made on first writing.
        hits, misses: how often a stage's result was found or had to be computed, by stage.
        events: damaged entries that were made anew, and waits for another run, a line each.
        memo: digests of input files, remembered in the store.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self.events: list[str] = []
        self.memo = FileMemo(self.root / FILES)
        self.file_digest = self.memo.file_digest
        self.folder_digest = self.memo.folder_digest
        self._swept: set[Path] = set()
        self._unsaved: dict[Path, Any] = {}

    def key(self, stage: str, inputs: Mapping[str, Any], code: Code = ()) -> str:
        """Hex key of a result.

        Args:
            stage: name of the stage, letters, digits, `-`, `_` and `.`.
            inputs: all that the result depends on; see `files.digest`. A file is given by `self.file_digest(path)`.
            code: modules that the result depends on, or a `code_digest`.

        Raises:
            MsfpError: an input without defined content, such as a path.
        """
        if not re.fullmatch(r"\w[\w.-]*", stage) or stage in (LOCKS, FILES):
            raise MsfpError(f"stage name {stage!r}: use letters, digits, '-', '_' and '.'")
        names = (code,) if isinstance(code, str) else tuple(code)
        return digest([FORMAT, stage, dict(inputs), code_digest(*names)])

    def contains(self, stage: str, key: str) -> bool:
        """Whether an entry is there; its payloads are not read."""
        return (self.root / stage / f"{key}{MANIFEST}").is_file()

    def get_or_compute(self, stage: str, inputs: Mapping[str, Any], compute: Callable[[], T], code: Code) -> T:
        """The stored result, or the one that `compute` gives, stored.

        A result comes back as it is read from the store also when it was just computed, so first and later runs see
        the same arrays. A second process that asks for a result being computed waits for it.

        Args:
            stage, inputs, code: see `key`.
            compute: makes the value; what `encode` takes.

        Raises:
            MsfpError: the entry cannot be written; the value is kept in memory and a second call writes it without
                computing it again. Whatever `compute` raises passes through, and nothing is stored.
        """
        key = self.key(stage, inputs, code)
        place = self.root / stage / f"{key}{MANIFEST}"

        def waiting() -> None:
            self._report(logging.INFO, f"{stage} {key[:12]}: another run computes this; waiting for it")

        value, _ = _read(place)
        if value is MISSING:
            with files.locked(self.root / LOCKS / f"{key}.lock", waiting):
                value, damage = _read(place)
                if damage:
                    self._report(logging.WARNING, f"{place}: damaged entry ({damage}); computed anew")
                if value is MISSING:
                    return cast(T, self._compute(place, compute))
        self.hits[stage] += 1
        return cast(T, value)

    def _compute(self, place: Path, compute: Callable[[], Any]) -> Any:
        value = self._unsaved[place] if place in self._unsaved else compute()
        tree, payloads = encode(value)
        self.misses[place.parent.name] += 1
        self._unsaved[place] = value
        if place.parent not in self._swept:
            files.remove_stale(place.parent)
            self._swept.add(place.parent)
        kept: dict[str, dict[str, Any]] = {}
        # Checksums make waiting for the disk needless: what a power cut spoils is found and computed anew
        for suffix, data in payloads.items():
            own = files.checksum(data)
            kept[suffix] = {"name": f"{place.stem}-{own[:12]}.{suffix}", "bytes": len(data), "sha256": own}
            files.atomic_write(place.with_name(kept[suffix]["name"]), data, durable=False)
        manifest = {"stage": place.parent.name, "key": place.stem, "payloads": kept, "value": tree}
        body = json.dumps(manifest, allow_nan=False, separators=(",", ":")).encode()
        files.atomic_write(place, body + b"\n" + _seal(body), durable=False)
        del self._unsaved[place]
        # Arrays are views of the payloads, and bytes could not be written to.
        return decode(tree, {suffix: bytearray(data) for suffix, data in payloads.items()})

    def _report(self, level: int, message: str) -> None:
        self.events.append(message)
        log.log(level, "%s", message)


def _read(place: Path) -> tuple[Any, str]:
    """An entry's value, `MISSING` where there is none to be trusted, and what is wrong with one that is there."""
    try:
        data = place.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING, ""
    except OSError as error:
        return MISSING, f"manifest cannot be read: {error.strerror}"
    body, _, tail = data.partition(b"\n")
    if tail != _seal(body):
        return MISSING, "manifest does not match its checksum"
    manifest = json.loads(body)
    if (manifest["stage"], manifest["key"]) != (place.parent.name, place.stem):
        return MISSING, "manifest is that of another entry"
    payloads = {}
    for suffix, kept in manifest["payloads"].items():
        try:
            payloads[suffix], own = files.read_with_checksum(place.with_name(kept["name"]))
        except OSError as error:
            return MISSING, f"{kept['name']} cannot be read: {error.strerror}"
        if own != kept["sha256"]:
            return MISSING, f"{kept['name']} does not match its checksum"
    try:
        return decode(manifest["value"], payloads), ""
    except ValueError as error:
        return MISSING, str(error)


def _seal(body: bytes) -> bytes:
    """The manifest's second line, which vouches for its first."""
    return json.dumps({"sha256": files.checksum(body)}).encode() + b"\n"
