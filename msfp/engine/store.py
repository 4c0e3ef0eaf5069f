"""Content-addressed store: a stage's result is kept under a hash of its inputs and of the code it ran.

An entry is a manifest, `<root>/<stage>/<key>.jsonl`, and the payloads it names with their checksums. Payloads are
written first and the manifest last, each atomically, so an entry is whole or absent whenever a run is killed. Payloads
are named by their content; two runs that write one entry write the same files.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from msfp.engine import files
from msfp.engine.code import code_digest
from msfp.engine.encoding import decode, encode
from msfp.engine.filememo import FileMemo
from msfp.engine.hashing import digest
from msfp.errors import MsfpError

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
            inputs: all that the result depends on; see `hashing.digest`. A file is given by `self.file_digest(path)`.
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
            compute: makes the value; what `encoding.encode` takes.

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
