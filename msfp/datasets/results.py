"""Where the result files of a folder lie: in it, or in TrackEval's layout, `NAME/data/SEQUENCE.txt`."""

from collections.abc import Collection
from pathlib import Path

from msfp.errors import InputError


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
