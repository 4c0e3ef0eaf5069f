"""Where the results of a video go: a folder is one recording's own, and nothing of others is mixed or replaced."""

import contextlib
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from msfp.engine.files import write_error
from msfp.errors import InputError
from msfp.online.video import Source

PARTS, STATE, LOCK = ".parts", "recording.json", ".msfp-track.lock"
LONGEST_NAME = 200  # bytes; endings and the names of unfinished files are added, and file systems end at 255
ENDINGS = {
    "tracks": ".txt", "film": ".mp4", "thresholds": "-tau.csv", "times": "-times.csv", "about": ".json",
    "labels": "-labels", "crops": "-crops",
}  # fmt: skip


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn what the system refuses into a message for a person."""
    from av.error import FFmpegError

    try:
        yield
    except (OSError, FFmpegError) as error:
        known = error if isinstance(error, OSError) else OSError(getattr(error, "errno", 0), str(error))
        raise write_error(out, known) from error


def places(out: Path, source: Source) -> dict[str, Path]:
    """Where each kind of result of a source goes."""
    return {kind: out / f"{source.name}{ending}" for kind, ending in ENDINGS.items()}


def remove(path: Path) -> None:
    """Delete a file or a folder that may not be there."""
    path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def holder(folder: Path, source: Source, state: dict[str, Any]) -> Literal["nobody", "this", "parts", "other"]:
    """Tell whose results a folder holds: this very recording's, only parts of another one, or others.

    A camera's or stream's recording is never this one: it cannot be made again.
    """
    note, done = folder / PARTS / STATE, read_object(folder / f"{source.name}.json")
    there = any(os.path.lexists(path) for path in places(folder, source).values())
    if not there and not note.exists():
        return "nobody"
    known = read_object(note) if note.exists() else done and done.get("settings")
    if known == plain(state) and not source.endless:
        return "this"
    return "other" if there else "parts"


def free_folder(out: Path, source: Source, state: dict[str, Any]) -> Path:
    """The one of `out`, out-2, out-3, ... in which this recording was stopped or ended; else the first free one."""
    free = None
    for number in itertools.count(1):
        folder = out if number == 1 else out.with_name(f"{out.name}-{number}")
        whose = holder(folder, source, state)
        if whose == "this":
            return folder
        free = free or (folder if whose == "nobody" else None)
        if free and not folder.exists():
            return free
    raise AssertionError("numbers do not end")


def claim(folder: Path, state: dict[str, Any]) -> bool:
    """Make a free folder a recording's own; False where another call did so in the meantime."""
    with writing(folder):
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
        whole = folder / PARTS / f".{os.getpid()}-{secrets.token_hex(4)}"
        whole.write_bytes(readable(state))
        try:
            os.link(whole, folder / PARTS / STATE)  # whole or not at all, and for one call only
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            with contextlib.suppress(FileExistsError), (folder / PARTS / STATE).open("xb") as file:
                file.write(readable(state))
                return True
            return False
        finally:
            whole.unlink()
    return True


def release(folder: Path) -> None:
    """Give back a claimed folder of which nothing is kept, and in which no other call has begun to write."""
    if not any((folder / PARTS).glob("*.npz")) and not (folder / LOCK).exists():
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        with contextlib.suppress(OSError):  # something else is in it
            folder.rmdir()


def earlier(folder: Path, source: Source, state: dict[str, Any], limit: int | None) -> dict[str, Any] | None:
    """The earlier result of this very recording, followed as far; None where it was not."""
    done = read_object(folder / f"{source.name}.json")
    if done is None or done.pop("settings", None) != plain(state) or (folder / PARTS / STATE).exists():
        return None
    frames, whole = done["frames"], done.pop("whole", False)
    if frames != limit and not (whole and (limit is None or limit > frames)):
        return None
    made = {kind: str(path) for kind, path in places(folder, source).items() if kind != "about" and path.exists()}
    asked = state.get("made", {})
    kinds = {"film": asked.get("film"), "labels": asked.get("txt"), "crops": asked.get("crops"), "tracks": True}
    if any(kind not in made for kind, wanted in kinds.items() if wanted):  # somebody took it away
        return None
    return {**done, **made, "frames_per_second": None}


def plain(state: dict[str, Any]) -> Any:
    """As it comes back from a file."""
    return json.loads(json.dumps(state))


def readable(state: dict[str, Any]) -> bytes:
    """For a person, too."""
    return f"{json.dumps(state, indent=1)}\n".encode()


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file; None where it is not there, or not an object."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_room(source: Source, out: Path) -> None:
    """Hold that the results of one source do not replace another's, nor the source itself."""
    if len(os.fsencode(source.name)) > LONGEST_NAME:
        raise InputError(f"{source.name[:40]}...: a name over {LONGEST_NAME} bytes; rename it")
    known = (read_object(out / f"{source.name}.json") or {}).get("source")
    there = [path for path in places(out, source).values() if os.path.lexists(path)]
    if there and known != source.address:
        whose = f"belongs to another source ({known})" if known else "does not say which source it belongs to"
        raise InputError(f"{there[0]}: {whose}; name another folder with --out, or move it away")
