"""Content-addressed store: a stage's result is kept under a hash of its inputs and of the code it ran.

An entry is one file, `<root>/<stage>/<key>.entry`, written atomically: it is whole or absent whenever a run is killed.
A checksum over its place and its bytes stands first. Then come sizes, a pickle of plain values that may name nothing
but the package's own dataclasses, and the arrays' bytes, which are used where they lie.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import logging
import mmap
import os
import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from msfp.engine import files
from msfp.engine.code import code_digest
from msfp.engine.files import FileMemo, digest
from msfp.errors import MsfpError

T = TypeVar("T")
Code = str | Iterable[str]
FORMAT = 2
SUFFIX = ".entry"
LOCKS, FILES = "locks", "files"
MISSING = object()
SEAL = 64  # bytes of the checksum in hex; each part begins at a multiple of it, so that arrays are aligned
MAPPED = 1 << 22  # bytes from which on an entry is mapped, so that processes share its pages and may give them back
AT_ONCE = 1 << 20  # bytes that are still in the processor's cache when their checksum is taken
KINDS = "biufcUSmM"  # of arrays: numbers, text, times
PLAIN = (bool, int, float, str, bytes, list, tuple, dict, pickle.PickleBuffer)
log = logging.getLogger(__name__)


class _Writer(pickle.Pickler):
    """Pickles JSON values and tuples; all else is told to `_Reader` as a tuple: what it is, then plain values."""

    def persistent_id(self, value: Any) -> Any:
        """The tuple of an array, NumPy number, frame or one of the package's dataclasses; None for a plain value."""
        kind = type(value)
        if value is None or kind in PLAIN:
            return None
        name = f"{kind.__module__}:{kind.__qualname__}"
        if kind in (np.ndarray, np.memmap) and value.dtype.kind in KINDS:
            # An array comes back as the next run reads it: in C order, its bytes in this machine's order, writable.
            whole = np.require(value, value.dtype.newbyteorder("="), ["C", "W", "A"])
            raw = whole.reshape(-1).view(np.uint8) if whole.nbytes else np.zeros(0, np.uint8)
            return "array", whole.dtype.str, whole.shape, pickle.PickleBuffer(raw.data)
        if isinstance(value, np.generic) and value.dtype.kind in KINDS:
            return "scalar", value.dtype.newbyteorder("=").str, value.tobytes()
        if name.startswith("pandas") and hasattr(value, "to_parquet"):
            try:
                return "frame", value.to_parquet(None, engine="pyarrow", index=None)
            except (ValueError, TypeError) as error:  # pyarrow's ArrowInvalid and ArrowTypeError among them
                raise MsfpError(f"result: this frame cannot be stored as Parquet ({error})") from error
        if not _is_ours(kind):
            raise MsfpError(
                f"result: {name} cannot be stored; return arrays of numbers or text, frames, JSON values, "
                "or dataclasses of the msfp package made of them"
            )
        names = value._fields if hasattr(value, "_fields") else [f.name for f in dataclasses.fields(value)]
        return "object", name, {name: getattr(value, name) for name in names}


class _Reader(pickle.Unpickler):
    """Reads what `_Writer` writes. No name is looked up but those of the package's dataclasses, so nothing is run."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        match pid:
            case "array", str(code), tuple(shape), data if np.dtype(code).kind in KINDS:
                return np.frombuffer(data, code).reshape(shape) if len(data) else np.zeros(shape, code)
            case "scalar", str(code), bytes(data) if np.dtype(code).kind in KINDS:
                return np.frombuffer(data, code)[0]
            case "frame", bytes(data):
                import pandas as pd

                return pd.read_parquet(io.BytesIO(data), engine="pyarrow")
            case "object", str(name), dict(fields) if name.startswith("msfp."):
                module, _, path = name.partition(":")
                kind = attrgetter(path)(importlib.import_module(module))
                if _is_ours(kind):
                    return kind(**fields)
        raise pickle.UnpicklingError("it holds something unknown")


def _is_ours(kind: Any) -> bool:
    """True for a dataclass or named tuple of the package."""
    if not isinstance(kind, type) or not kind.__module__.startswith("msfp."):
        return False
    return dataclasses.is_dataclass(kind) or hasattr(kind, "_asdict")


def encode(value: Any) -> bytearray:
    """The bytes of a value. Equal values have equal bytes.

    Raises:
        MsfpError: a part of the value is of a type that cannot be stored; the message names it.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    writer = _Writer(stream, protocol=5, buffer_callback=buffers.append)
    writer.fast = True  # no references to what came before, which differ between processes
    writer.dump(value)
    parts: list[memoryview] = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    sizes = np.array([len(parts), *(part.nbytes for part in parts)], "<i8").tobytes()
    out = bytearray()
    for part in (memoryview(sizes), *parts):
        out += part
        out += bytes(-len(out) % SEAL)
    return out


def decode(data: memoryview) -> Any:
    """The value that `encode` took; its arrays are views of the bytes.

    Raises:
        ValueError: not such bytes, or they name what is not there.
    """
    try:
        sizes = np.frombuffer(data, "<i8", 1 + int.from_bytes(data[:8], "little"))[1:]
        parts, at = [], -(-8 * (len(sizes) + 1) // SEAL) * SEAL
        for size in sizes.tolist():
            parts.append(data[at : at + size])
            at += -(-size // SEAL) * SEAL
        return _Reader(io.BytesIO(parts[0]), buffers=parts[1:]).load()
    except Exception as error:  # whatever a forged or older entry leads to
        raise ValueError(f"entry cannot be read: {error!r}") from error


class Store:
    """Results by content, shared by any number of processes.

    Attributes:
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
        """True where an entry is there; its bytes are not read."""
        return (self.root / stage / f"{key}{SUFFIX}").is_file()

    def get_or_compute(self, stage: str, inputs: Mapping[str, Any], compute: Callable[[], T], code: Code) -> T:
        """The stored result, or the one that `compute` gives, stored.

        A result comes back as it is read from the store also when it was just computed, so first and later runs see
        the same arrays. A second process that asks for a result being computed waits for it.

        Raises:
            MsfpError: the entry cannot be written; the value is kept in memory and a second call writes it without
                computing it again. Whatever `compute` raises passes through, and nothing is stored.
        """
        key = self.key(stage, inputs, code)
        place = self.root / stage / f"{key}{SUFFIX}"

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
        body = encode(value)
        self.misses[place.parent.name] += 1
        self._unsaved[place] = value
        if place.parent not in self._swept:
            files.remove_stale(place.parent)
            self._swept.add(place.parent)
        seal = _checksum(place)
        seal.update(body)
        # The checksum makes waiting for the disk needless: what a power cut spoils is found and computed anew.
        files.atomic_write(place, seal.hexdigest().encode(), body, durable=False)
        del self._unsaved[place]
        with contextlib.suppress(OSError):  # it went at once: what was computed is at hand
            if len(body) >= MAPPED:
                return decode(_contents(place)[SEAL:])
        return decode(memoryview(body))

    def _report(self, level: int, message: str) -> None:
        self.events.append(message)
        log.log(level, "%s", message)


def _checksum(place: Path) -> Any:
    """SHA-256 that has taken an entry's place: a file under another's name is not taken for it."""
    return hashlib.sha256(f"{place.parent.name}/{place.stem}\n".encode())


def _contents(place: Path) -> memoryview:
    """An entry's bytes, writable; what is written to them stays in this process."""
    with place.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        with contextlib.suppress(OSError):  # too many are open, or the file system maps none: it is read
            if size >= MAPPED:  # files of the store are replaced whole, never cut short under a map
                return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))
        data = np.empty(size, np.uint8).data  # not filled with zeros first, as a bytearray is
        at = 0
        while got := file.readinto(data[at:]):
            at += got
        return data[:at]


def _read(place: Path) -> tuple[Any, str]:
    """An entry's value, `MISSING` where there is none to be trusted, and what is wrong with one that is there."""
    try:
        data = _contents(place)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING, ""
    except OSError as error:
        return MISSING, f"cannot be read: {error.strerror}"
    seal = _checksum(place)
    for at in range(SEAL, len(data), AT_ONCE):
        seal.update(data[at : at + AT_ONCE])
    if data[:SEAL] != seal.hexdigest().encode():
        return MISSING, "it does not match its checksum"
    try:
        return decode(data[SEAL:]), ""
    except ValueError as error:
        return MISSING, str(error)
