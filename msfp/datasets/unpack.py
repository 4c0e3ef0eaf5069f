"""Unpacking an archive that came from elsewhere: nothing leaves the folder, nothing grows beyond what was announced."""

import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from msfp.errors import InputError, MsfpError

Place = Callable[[PurePosixPath], PurePosixPath]
Progress = Callable[[int], None]
# Images and videos hardly shrink; an archive that would grow more than this is no data set.
GROWTH = 50
ALLOWANCE = 64 << 20
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")


def unpack(
    archive: Path,
    target: Path,
    place: Place = lambda name: name,
    most: int | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Unpack a zip file below a folder; an archive with one bad entry leaves nothing behind.

    Args:
        archive: the zip file.
        target: the folder.
        place: where an entry goes, relative to the folder, from its name in the archive.
        most: bytes it may grow to; None: `GROWTH` times its own size.
        progress: called with bytes as they are written.

    Returns:
        The files written, in the archive's order.

    Raises:
        InputError: not a zip file, damaged, encrypted, entries that leave the folder or are no files, or more bytes
            than allowed.
        MsfpError: the disk is full or the folder cannot be written.
    """
    limit = GROWTH * archive.stat().st_size + ALLOWANCE if most is None else most
    staging = target / f".unpacking-{archive.name}"
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [(e, _checked(e, archive, place)) for e in opened.infolist() if _wanted(e)]
            total = sum(entry.file_size for entry, _ in entries)
            if total > limit:
                raise InputError(
                    f"{archive}: would grow to {total:,} bytes, at most {limit:,} are allowed; not unpacked"
                )
            _twice(archive, [name for _, name in entries])
            shutil.rmtree(staging, ignore_errors=True)
            for entry, name in entries:
                _write(opened, entry, staging / name, progress)
            return [_settle(staging / name, target / name) for _, name in entries]
    except (MsfpError, MemoryError):
        raise
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for encrypted and for rarely packed entries
        raise InputError(f"{archive}: {error}; unpack it by hand") from None
    except OSError as error:
        if error.errno is None:  # bz2's word for damage
            raise _damaged(archive, error) from None
        raise MsfpError(
            f"{error.filename or target}: cannot be written ({error.strerror}); free some space or choose another "
            "folder"
        ) from error
    except Exception as error:  # a damaged archive can fail anywhere inside zipfile, zlib or lzma
        raise _damaged(archive, error) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def grown_too_far(entries: Iterable[zipfile.ZipInfo], size: int) -> str:
    """Why entries are no honest content of an archive of `size` bytes; empty where they can be."""
    total, limit = sum(entry.file_size for entry in entries), GROWTH * size + ALLOWANCE
    return f"would grow to {total:,} bytes, at most {limit:,} are allowed" if total > limit else ""


def _damaged(archive: Path, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    return InputError(f"{archive}: not a whole zip file ({reason}); delete it and fetch it again")


def _wanted(entry: zipfile.ZipInfo) -> bool:
    return not entry.is_dir() and not any(part in JUNK for part in PurePosixPath(entry.filename).parts)


def _checked(entry: zipfile.ZipInfo, archive: Path, place: Place) -> PurePosixPath:
    """Where an entry goes, or an error for one that would go astray."""
    raw = entry.filename
    name = PurePosixPath(raw)
    mode = entry.external_attr >> 16
    if (
        not name.parts
        or name.is_absolute()
        or ".." in name.parts
        or "\\" in raw
        or ":" in name.parts[0]
        or not raw.isprintable()
    ):
        raise InputError(f"{archive}: its entry {raw!r} would leave the folder; not unpacked")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise InputError(f"{archive}: its entry {raw!r} is a link or a device, not a file; not unpacked")
    return place(name)


def _twice(archive: Path, names: list[PurePosixPath]) -> None:
    seen: set[PurePosixPath] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{archive}: holds {str(name)!r} twice; not unpacked")
        seen.add(name)


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, progress: Progress | None) -> None:
    """Write one entry; zipfile stops at the announced size and checks the entry's CRC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, path.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if progress:
        progress(entry.file_size)


def _settle(staged: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(path)
    return path
