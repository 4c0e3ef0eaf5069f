"""Image files of a sequence by frame number."""

import os
import re
from pathlib import Path

from msfp.errors import InputError


def image_files(folder: Path, ext: str) -> dict[int, Path]:
    """Frame number -> image file, ascending; a name is the frame number in any number of digits (MOTChallenge six,
    DanceTrack eight), and the extension.

    Raises:
        InputError: two files of one frame.
    """
    pattern = re.compile(rf"([0-9]{{1,9}}){re.escape(ext)}", re.IGNORECASE)
    found: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            match = pattern.fullmatch(entry.name)
            if match is None:
                continue
            frame = int(match[1])
            if frame in found:
                raise InputError(f"{entry.path}: frame {frame} is also {found[frame].name}; remove one of the two")
            found[frame] = Path(entry.path)
    return dict(sorted(found.items()))
