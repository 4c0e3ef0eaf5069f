"""Unpacking an archive that came from elsewhere: nothing leaves the folder, nothing grows beyond what was announced."""

import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from msfp.errors import InputError, MsfpError

Place = Callable[[PurePosixPath], PurePosixPath]
# Images and videos hardly shrink; an archive that would grow more than this is no data set.
GROWTH = 50
ALLOWANCE = 64 << 20
JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db"}


def unpack(
    archive: Path,
    target: Path,
    place: Place = lambda name: name,
    progress: Callable[[int], None] = lambda count: None,
) -> list[Path]:
    """Unpack a zip file below a folder; an archive with one bad entry leaves nothing behind.

    Args:
        place: gives the place below `target` from an entry's name in the archive.
        progress: called with bytes as they are written.

    Returns:
        The files written, in the archive's order.

    Raises:
        InputError: not a zip file, damaged, encrypted, entries that leave the folder or are no files, or more bytes
            than allowed.
        MsfpError: the disk is full or the folder cannot be written.
    """
    staging = target / f".unpacking-{archive.name}"
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [e for e in opened.infolist() if not e.is_dir() and not JUNK & {*PurePosixPath(e.filename).parts}]
            names = [_place_of(e, archive, place) for e in entries]
            if problem := grown_too_far(entries, archive.stat().st_size):
                raise InputError(f"{archive}: {problem}; not unpacked")
            if len(set(names)) < len(names):
                twice = next(name for k, name in enumerate(names) if names.index(name) < k)
                raise InputError(f"{archive}: holds {str(twice)!r} twice; not unpacked")
            shutil.rmtree(staging, ignore_errors=True)
            for entry, name in zip(entries, names, strict=True):
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                # zipfile stops at the announced size and checks the entry's CRC.
                with opened.open(entry) as source, (staging / name).open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                progress(entry.file_size)
            for name in names:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(target / name)
            return [target / name for name in names]
    except (MsfpError, MemoryError):
        raise
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for encrypted and for rarely packed entries
        raise InputError(f"{archive}: {error}; unpack it by hand") from None
    except Exception as error:  # a damaged archive can fail anywhere inside zipfile, zlib, bz2 or lzma
        if isinstance(error, OSError) and error.errno is not None:
            raise MsfpError(
                f"{error.filename or target}: cannot be written ({error.strerror}); free some space or choose another "
                "folder"
            ) from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{archive}: not a whole zip file ({reason}); delete it and fetch it again") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def grown_too_far(entries: Iterable[zipfile.ZipInfo], size: int) -> str:
    """Why entries are no honest content of an archive of `size` bytes; empty where they can be."""
    total, limit = sum(entry.file_size for entry in entries), GROWTH * size + ALLOWANCE
    return f"would grow to {total:,} bytes, at most {limit:,} are allowed" if total > limit else ""


def _place_of(entry: zipfile.ZipInfo, archive: Path, place: Place) -> PurePosixPath:
    """Where an entry goes.

    Raises:
        InputError: it would leave the folder, or is no file.
    """
    raw = entry.filename
    name = PurePosixPath(raw)
    inside = name.parts and not name.is_absolute() and ".." not in name.parts and ":" not in name.parts[0]
    if not inside or "\\" in raw or not raw.isprintable():
        raise InputError(f"{archive}: its entry {raw!r} would leave the folder; not unpacked")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise InputError(f"{archive}: its entry {raw!r} is a link or a device, not a file; not unpacked")
    return place(name)
