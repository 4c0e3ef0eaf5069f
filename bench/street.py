"""`msfp track` beside ultralytics' trackers on labelled video: same weights, same input, scored by `msfp evaluate`.

    python bench/street.py ROOT WEIGHTS [--imgsz 640] [--out street]

`ROOT`: a folder in the MOTChallenge layout whose sequences lie as videos (`imDir=img1.mp4`); of copies that differ in
public detections only, one is taken. `WEIGHTS`: of a YOLOv8 as ultralytics saves it (.pt), or its fused state
(.safetensors).
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true")
PEERS = {"ByteTrack (ultralytics)": "bytetrack.yaml", "BoT-SORT (ultralytics)": "botsort.yaml"}
OURS = {
    "msfp track": (),
    "msfp track --threshold atl": ("--threshold", "atl"),
    "msfp track --tracker bytetrack": ("--tracker", "bytetrack", "--threshold", "0.25,0.1"),
}


def videos(root: Path) -> dict[str, Path]:
    """Sequence -> video, one of each scene."""
    found: dict[str, Path] = {}
    seen: set[str] = set()
    for folder in sorted((root / "train").iterdir()):
        film = next(iter(sorted(folder.glob("*.mp4"))), None)
        scene = re.sub("-(DPM|FRCNN|SDP)$", "", folder.name)
        if film is not None and scene not in seen:
            seen.add(scene)
            found[folder.name] = film
    return found


def peer(weights: Path) -> Any:
    """A fresh ultralytics model."""
    from ultralytics import YOLO

    if weights.suffix == ".pt":
        return YOLO(weights)
    from safetensors.torch import load_file

    model = YOLO("yolov8n.yaml")
    model.model.fuse()
    state = {name: value.float() for name, value in load_file(weights).items()}
    model.model.load_state_dict(state, strict=True)
    model.model.eval()
    return model


def follow(weights: Path, film: Path, tracker: str, imgsz: int) -> str:
    """MOTChallenge rows of ultralytics' people of a video."""
    rows = []
    options = {"classes": [0], "tracker": tracker, "imgsz": imgsz, "verbose": False, "device": "cpu"}
    for number, found in enumerate(peer(weights).track(str(film), stream=True, **options), 1):
        if found.boxes.id is None:
            continue
        boxes = found.boxes
        for (x1, y1, x2, y2), who, score in zip(
            boxes.xyxy.tolist(), boxes.id.tolist(), boxes.conf.tolist(), strict=True
        ):
            place = f"{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            rows.append(f"{number},{int(who)},{place},{score:.4f},-1,-1,-1\n")
    return "".join(rows)


def main() -> None:
    """Run everybody, and print one table a row."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("root", type=Path)
    asked.add_argument("weights", type=Path)
    asked.add_argument("--imgsz", type=int, default=640)
    asked.add_argument("--out", type=Path, default=Path("street"))
    given = asked.parse_args()
    msfp = Path(sys.executable).with_name("msfp")
    films = videos(given.root)
    view = given.out / "scenes" / "train"  # one copy of each scene, so that each counts once
    view.mkdir(parents=True, exist_ok=True)
    for name, film in films.items():
        if not (view / name).exists():
            (view / name).symlink_to(film.parent.resolve())
    for label in (*PEERS, *OURS):
        folder = given.out / "".join(c if c.isalnum() else "-" for c in label)
        folder.mkdir(exist_ok=True)
        for name, film in films.items():
            result = folder / f"{name}.txt"
            if result.exists():
                continue
            if label in PEERS:
                result.write_text(follow(given.weights, film, PEERS[label], given.imgsz), encoding="utf-8")
                continue
            place = folder / name
            words = ["track", film, "--weights", given.weights, "--imgsz", given.imgsz, "--no-film", "--out", place]
            subprocess.run([str(word) for word in (msfp, *words, *OURS[label])], check=True)
            result.write_bytes((place / f"{film.stem}.txt").read_bytes())
        print(f"\n{label}", flush=True)
        subprocess.run([str(msfp), "evaluate", str(view.parent), str(folder)], check=False)


if __name__ == "__main__":
    main()
