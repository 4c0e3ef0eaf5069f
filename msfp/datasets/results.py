"""Where the result files of a folder lie: in it, or in TrackEval's layout, `NAME/data/SEQUENCE.txt`."""

from collections.abc import Collection
from pathlib import Path

from msfp.errors import InputError


def result_folder(folder: Path, names: Collection[str]) -> Path:
    """The folder itself where it holds a file of one of the names, else `data`, `NAME` or `NAME/data` in it.

    Args:
        names: of sequences, without `.txt`.

    Returns:
        The folder itself also where no file is found.

    Raises:
        InputError: not a folder, or results of several trackers, of which one has to be named.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of result files")
    if _holds(folder, names):
        return folder
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [p for p in (*inner, *(p / "data" for p in inner)) if _holds(p, names)]
    if len(found) > 1:
        listed = ", ".join(str(p.relative_to(folder)) for p in found[:8])
        raise InputError(f"{folder}: holds several folders of result files ({listed}); name one of them")
    return found[0] if found else folder


def _holds(folder: Path, names: Collection[str]) -> bool:
    return any((folder / f"{name}.txt").is_file() for name in names)
