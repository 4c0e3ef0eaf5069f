"""Sequence folders made on the spot."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Make = Callable[..., Path]
SEQINFO = {"imDir": "img1", "frameRate": 30, "seqLength": 5, "imWidth": 64, "imHeight": 48, "imExt": ".jpg"}


def picture(t: int, width: int = 64, height: int = 48) -> np.ndarray:
    """RGB image that tells its frame number by its red, and is blue on the right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 20 * t % 256
    image[:, width // 2 :, 2] = 200
    return image


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken transfer is tried again without waiting."""
    monkeypatch.setattr("msfp.data.download.WAIT", 0.0)


def write_jpeg(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    path.write_bytes(data.tobytes())


def write_video(path: Path, count: int, width: int = 64, height: int = 48) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (width, height))
    assert writer.isOpened()
    for t in range(1, count + 1):
        writer.write(cv2.cvtColor(picture(t, width, height), cv2.COLOR_RGB2BGR))
    writer.release()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a sequence folder: `make(name, frames=..., det=text, gt=text, under=folder, seqLength=7, ...)`."""

    def build(  # every key of seqinfo.ini, None to leave it out
        name: str = "MOT17-02-FRCNN",
        frames: tuple[int, ...] = (),
        det: str | None = None,
        gt: str | None = None,
        under: str = "train",
        **keys: object,
    ) -> Path:
        folder = tmp_path / under / name
        folder.mkdir(parents=True)
        values = {"name": name, **SEQINFO, **keys}
        text = "".join(f"{k}={v}\n" for k, v in values.items() if v is not None)
        (folder / "seqinfo.ini").write_text(f"[Sequence]\n{text}")
        for t in frames:
            write_jpeg(folder / "img1" / f"{t:06d}.jpg", picture(t))
        for kind, rows in (("det", det), ("gt", gt)):
            if rows is not None:
                (folder / kind).mkdir()
                (folder / kind / f"{kind}.txt").write_text(rows)
        return folder

    return build


@pytest.fixture
def jpeg() -> Callable[..., None]:
    """`jpeg(path, image)` writes an RGB image."""
    return write_jpeg


@pytest.fixture
def video() -> Callable[..., None]:
    """`video(path, count, width, height)` writes the pictures of frames 1 to count."""
    return write_video
