"""Result files of a folder, and the zip that a benchmark's server takes."""

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from msfp.data.download import grown_too_far
from msfp.data.motchallenge import format_tracks, parse_tracks, write_whole
from msfp.data.sequences import DATASETS
from msfp.errors import InputError
from msfp.types import Tracks


def result_folder(folder: Path, names: Collection[str]) -> Path:
    """The folder that holds files of these sequences: itself, or `data`, `NAME` or `NAME/data` in it; itself if none.

    Raises:
        InputError: not a folder, or results of several trackers, of which one has to be named.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of result files")
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [
        place
        for place in (folder, *inner, *(p / "data" for p in inner))
        if any((place / f"{name}.txt").is_file() for name in names)
    ]
    if len(found) > 1 and found[0] != folder:
        listed = ", ".join(str(p.relative_to(folder)) for p in found[:8])
        raise InputError(f"{folder}: holds several folders of result files ({listed}); name one of them")
    return found[0] if found else folder


# A zip states a time for each file; a fixed one keeps equal results equal, byte for byte.
EPOCH = (1980, 1, 1, 0, 0, 0)
COLUMNS = 10
ENCRYPTED = 1  # a zip entry's flag
LARGEST_FILE = 512 * 1024 * 1024


def write_submission(path: Path, tracks: Mapping[str, Tracks], dataset: str, split: str = "test") -> None:
    """Write the zip, whole or not at all, after checking it against the rules.

    Args:
        tracks: sequence name -> its tracks.
        dataset: name in the catalog whose sequences are asked for.

    Raises:
        InputError: the first broken rule, or the file cannot be written.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(tracks):
            entry = zipfile.ZipInfo(f"{name}.txt", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, format_tracks(tracks[name]))
    data = buffer.getvalue()
    problems = _problems(data, str(path), expected(dataset, split))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
    write_whole(Path(path), data)


def check_submission(path: Path, dataset: str, split: str = "test") -> tuple[str, ...]:
    """Every rule that a zip breaks, one sentence each; empty when the server would take it.

    Raises:
        InputError: no such file, or a data set without a server.
    """
    wanted = expected(dataset, split)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name the zip to be checked") from error
    return tuple(_problems(data, str(path), wanted))


def expected(dataset: str, split: str) -> dict[str, int | None]:
    """Sequence folders that the server asks for -> number of frames, None where not recorded.

    Raises:
        InputError: a data set without a server.
    """
    entry = DATASETS.get(dataset)
    if entry is None or not entry.folders(split) or "motchallenge.net" not in entry.homepage:
        names = ", ".join(d.name for d in DATASETS.values() if "motchallenge.net" in d.homepage)
        raise InputError(f"dataset={dataset!r}, split={split!r}: MOTChallenge serves train and test of {names}")
    return entry.lengths(split)


def _problems(data: bytes, where: str, expected: Mapping[str, int | None]) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if problem := grown_too_far(entries, len(data)):
                return [f"{where}: {problem}; result files are far smaller: make it again"]
            out = _name_problems([e.filename for e in entries], where, expected)
            for entry in {e.filename: e for e in entries}.values():
                stem = entry.filename.removesuffix(".txt")
                if stem in expected and entry.filename == f"{stem}.txt":
                    out += _entry_problems(archive, entry, f"{where}:{entry.filename}", expected[stem])
    except MemoryError:
        raise
    except Exception:  # a damaged file can fail anywhere inside zipfile, zlib or lzma
        return [f"{where}: not a zip file, or a damaged one; make it again"]
    return out


def _name_problems(names: list[str], where: str, expected: Mapping[str, int | None]) -> list[str]:
    out = []
    for name in dict.fromkeys(names):
        if "/" in name or "\\" in name:
            out.append(f"{where}: {name} lies in a folder; result files lie in the archive's root")
        elif name.removesuffix(".txt") not in expected or not name.endswith(".txt"):
            out.append(f"{where}: {name} is no result file of the data set; remove it")
        if names.count(name) > 1:
            out.append(f"{where}: {name} is there {names.count(name)} times; keep one")
    lacking = [name for name in expected if f"{name}.txt" not in names]
    if lacking:
        out.append(f"{where}: {len(lacking)} of {len(expected)} sequences are missing: {', '.join(lacking)}; add them")
    return out


def _entry_problems(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str, length: int | None) -> list[str]:
    if entry.flag_bits & ENCRYPTED:
        return [f"{where}: is encrypted; make the zip again without a password"]
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return [f"{where}: is packed as few programs can unpack; make the zip again with the usual method, deflate"]
    if entry.file_size > LARGEST_FILE:
        return [f"{where}: {entry.file_size:,} bytes; a result file is far smaller"]
    data = archive.read(entry)
    try:
        tracks = parse_tracks(data, where)
    except InputError as error:
        return [str(error)]
    out = []
    columns = next((line for line in data.splitlines() if line.strip()), b"," * (COLUMNS - 1)).count(b",") + 1
    if columns != COLUMNS:
        out.append(f"{where}: rows of {columns} columns; the server asks for {COLUMNS}: fill up with -1")
    if length is not None and np.any(tracks.frame > length):
        out.append(f"{where}: frame {tracks.frame.max()} of a sequence of {length} frames; remove rows beyond it")
    if np.any(tracks.id < 1):
        out.append(f"{where}: id {tracks.id.min()}; the server's ids count from 1: add 1 to every id")
    return out
