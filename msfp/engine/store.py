"""Content-addressed store: a stage's result is kept under a hash of its inputs and of the code it ran.

An entry is a manifest, `<root>/<stage>/<key>.jsonl`, and the payloads it names with their checksums. Payloads are
written first and the manifest last, each atomically, so an entry is whole or absent whenever a run is killed. Payloads
are named by their content; two runs that write one entry write the same files.
"""

import contextlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

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
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something about the store worth telling: a damaged entry that was made anew, or a wait for another run.

    Attributes:
        kind: `damaged` or `waited`.
        stage, key: the entry.
        message: one line for a person.
    """

    kind: Literal["damaged", "waited"]
    stage: str
    key: str
    message: str


class Damaged(Exception):
    """An entry is there but cannot be trusted; never leaves the store."""


class Store:
    """Results by content, shared by any number of processes.

    Attributes:
        root: folder of the store, made on first writing.
        hits, misses: how often a stage's result was found or had to be computed, by stage.
        events: damaged entries and waits, in order.
        memo: digests of input files, remembered in the store.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self.events: list[Event] = []
        self.memo = FileMemo(self.root / FILES)
        self._swept: set[Path] = set()
        self._unsaved: dict[tuple[str, str], Any] = {}

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
        with contextlib.suppress(KeyError, Damaged):
            return cast(T, self._hit(stage, key))

        def waiting() -> None:
            self._report("waited", stage, key, f"{stage} {key[:12]}: another run computes this; waiting for it")

        with files.locked(self.root / LOCKS / f"{key}.lock", waiting):
            try:
                return cast(T, self._hit(stage, key))
            except KeyError:
                pass
            except Damaged as error:
                place = self._manifest(stage, key)
                self._report("damaged", stage, key, f"{place}: damaged entry ({error}); computed anew")
            value = self._unsaved[stage, key] if (stage, key) in self._unsaved else compute()
            tree, payloads = encode(value)
            self.misses[stage] += 1
            self._unsaved[stage, key] = value
            self._write(stage, key, tree, payloads)
            del self._unsaved[stage, key]
            # Arrays are views of the payloads, and bytes could not be written to.
            return cast(T, decode(tree, {suffix: bytearray(data) for suffix, data in payloads.items()}))

    def contains(self, stage: str, key: str) -> bool:
        """Whether an entry is there; its payloads are not read."""
        return self._manifest(stage, key).is_file()

    def file_digest(self, path: str | Path) -> str:
        """Digest of a file's bytes for use as an input; read again only when size, mtime or inode changed."""
        return self.memo.file_digest(path)

    def folder_digest(self, path: str | Path) -> str:
        """Digest of all names and contents below a folder; each file is read again only when it changed."""
        return self.memo.folder_digest(path)

    def _manifest(self, stage: str, key: str) -> Path:
        return self.root / stage / f"{key}{MANIFEST}"

    def _hit(self, stage: str, key: str) -> Any:
        """The stored value, counted; KeyError where there is none."""
        value = self._read(stage, key)
        self.hits[stage] += 1
        return value

    def _read(self, stage: str, key: str) -> Any:
        path = self._manifest(stage, key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise KeyError(key) from None
        except OSError as error:
            raise Damaged(f"manifest cannot be read: {error.strerror}") from None
        body, _, tail = data.partition(b"\n")
        if tail != _seal(body):
            raise Damaged("manifest does not match its checksum")
        manifest = json.loads(body)
        if manifest["key"] != key or manifest["stage"] != stage:
            raise Damaged("manifest is that of another entry")
        payloads = {}
        for suffix, kept in manifest["payloads"].items():
            try:
                payloads[suffix], own = files.read_with_checksum(path.with_name(kept["name"]))
            except OSError as error:
                raise Damaged(f"{kept['name']} cannot be read: {error.strerror}") from None
            if own != kept["sha256"]:
                raise Damaged(f"{kept['name']} does not match its checksum")
        try:
            return decode(manifest["value"], payloads)
        except ValueError as error:
            raise Damaged(str(error)) from None

    def _write(self, stage: str, key: str, tree: Any, payloads: Mapping[str, bytes]) -> None:
        path = self._manifest(stage, key)
        if path.parent not in self._swept:
            files.remove_stale(path.parent)
            self._swept.add(path.parent)
        kept = {}  # checksums make waiting for the disk needless: what a power cut spoils is found and computed anew
        for suffix, data in payloads.items():
            own = files.checksum(data)
            name = f"{key}-{own[:12]}.{suffix}"
            kept[suffix] = {"name": name, "bytes": len(data), "sha256": own}
            files.atomic_write(path.with_name(name), data, durable=False)
        manifest = {"stage": stage, "key": key, "payloads": kept, "value": tree}
        body = json.dumps(manifest, allow_nan=False, separators=(",", ":")).encode()
        files.atomic_write(path, body + b"\n" + _seal(body), durable=False)

    def _report(self, kind: Literal["damaged", "waited"], stage: str, key: str, message: str) -> None:
        self.events.append(Event(kind, stage, key, message))
        log.log(logging.WARNING if kind == "damaged" else logging.INFO, "%s", message)


def _seal(body: bytes) -> bytes:
    """The manifest's second line, which vouches for its first."""
    return json.dumps({"sha256": files.checksum(body)}).encode() + b"\n"
