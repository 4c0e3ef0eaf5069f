"""A folder of files that is replaced whole."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from msfp.engine.files import TEMPORARY, locked, remove_stale, sync_folder, write_error


def replace_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder whole: a kill while its files are written leaves the old folder, never a mixture of both.

    The files go to a folder beside it, which then takes its name. Only between two renames is there no folder of that
    name; whoever writes next mends that.

    Args:
        folder: where to; what lay there is gone afterwards.
        contents: path within the folder, with `/`, -> bytes.

    Raises:
        MsfpError: full disk, no permission or the like; an old folder is left as it was.
    """
    mark = f"{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
    new, old = folder.with_name(f".{folder.name}.{mark}"), folder.with_name(f".{folder.name}.old-{mark}")
    try:
        for name, data in contents.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(data)
        for name in contents:  # all are written before the first wait for the disk, so that one serves all
            with (new / name).open("rb") as file:
                os.fsync(file.fileno())
        with locked(folder.with_name(f".{folder.name}.lock")):
            with contextlib.suppress(FileNotFoundError):
                os.rename(folder, old)
            try:
                os.rename(new, folder)
            except OSError:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(old, folder)
                raise
            sync_folder(folder.parent)
    except OSError as error:
        raise write_error(folder, error, sum(map(len, contents.values()))) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    remove_stale(folder.parent, f".{folder.name}.*{TEMPORARY}")
