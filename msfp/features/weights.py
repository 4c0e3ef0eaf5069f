"""Weights files: found, read without executing anything, loaded strictly, batch normalisation folded."""

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from msfp.errors import InputError
from msfp.features.checkpoint import read_checkpoint
from msfp.features.ultralytics_model import SCALES, build, cache_folder, is_known, prepare_environment

FIRST_WIDTH = dict(zip((16, 32, 48, 64, 80), SCALES, strict=True))  # of YOLOv8's first convolution
SUMS = "SHA256SUMS"  # checksums of the weights in a folder, as `sha256sum` writes them
State = dict[str, torch.Tensor]


def embedded_path(file: str) -> Path:
    """Path of a weights file shipped inside the package.

    Raises InputError: no such file is shipped, or it is not as it was shipped.
    """
    path = Path(str(resources.files("msfp.features") / "weights" / file))
    if not file or not path.is_file():
        raise InputError(
            f"no embedded weights {file or 'for this preset'}; name a .safetensors or .pt file, or use 'random-init'"
        )
    found = path.stat()
    if not _as_listed(path, (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)):
        raise InputError(
            f"{path}: not the weights that were shipped ({SUMS} beside it says otherwise); install msfp again, or name "
            "another file with --weights"
        )
    return path


@lru_cache(maxsize=64)
def _as_listed(path: Path, _stamp: tuple[int, ...]) -> bool:
    """True where a weights file is the one its folder's checksums tell of; read again only when it changed."""
    return listed_sums(path.parent).get(path.name) == hashlib.sha256(path.read_bytes()).hexdigest()


def listed_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 as a folder's `SHA256SUMS` lists them; what cannot be read lists nothing."""
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def list_sum(path: Path) -> None:
    """Put a file's SHA-256 into the `SHA256SUMS` of its folder, in place of an older one."""
    sums = listed_sums(path.parent) | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    (path.parent / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), "ascii")


def find(weights: str | Path, embedded: str = "") -> Path:
    """The file meant by `weights`: `embedded`, a path, or a bare ultralytics name (`yolov8m.pt`), downloaded if absent.

    Raises InputError: nothing was named, the file is not there, or it could not be downloaded.
    """
    if not str(weights):
        raise InputError("no weights named: use 'embedded', a .safetensors or .pt file, or the control 'random-init'")
    if str(weights) == "embedded":
        return embedded_path(embedded)
    path = Path(weights)
    if path.is_file():
        return path
    if path.suffix == ".pt" and path.parent == Path() and is_known(path.stem):
        return _download(path.name)
    raise InputError(f"weights {weights}: file not found; name a .safetensors or .pt file, or use 'embedded'")


def _download(name: str) -> Path:
    prepare_environment()
    from ultralytics.utils.downloads import attempt_download_asset

    try:
        path = Path(attempt_download_asset(cache_folder() / name))
    except Exception as error:
        raise InputError(f"weights {name}: not here and could not be downloaded ({_first_line(error)})") from None
    if not path.is_file():
        raise InputError(f"weights {name}: not here and could not be downloaded; fetch the file and name its path")
    return path


def read_state(path: Path) -> State:
    """Tensors of a `.safetensors` or `.pt` file in float32, batch normalisation not yet folded.

    Raises InputError: unknown suffix, missing or corrupt file, or a pickle with foreign names.
    """
    if path.suffix == ".pt":
        state = read_checkpoint(path)
    elif path.suffix == ".safetensors":
        try:
            with safe_open(str(path), "pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (a safetensors handle)
        except FileNotFoundError:
            raise InputError(f"{path}: weights file not found") from None
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable safetensors file ({_first_line(error)})") from None
    else:
        raise InputError(f"{path}: weights are .safetensors or .pt files, not {path.suffix or 'without suffix'!r}")
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: tensor {key} holds values that are not finite; the file is damaged")
    return state


def architecture_of(state: State) -> str | None:
    """The YOLOv8 that these tensors belong to, from their shapes; None where they are something else."""
    first, head = state.get("model.0.conv.weight"), state.get("model.22.cv3.0.2.weight")
    if first is None or head is None:
        return None
    scale = FIRST_WIDTH.get(first.shape[0])
    return f"yolov8{scale}" if scale else None


def class_count(state: State, default: int = 80) -> int:
    """Number of classes of a detection head, read from its last convolution."""
    last = [key for key in state if key.endswith((".cv3.0.2.bias", ".enc_score_head.bias"))]
    return len(state[last[0]]) if last else default


def load_detector(architecture: str, weights: str | Path, embedded: str = "", seed: int = 0) -> Any:
    """A fused ultralytics detector with these weights, in evaluation mode, frozen.

    `architecture`: `yolov8n`, ... `weights`: path, `embedded`, a bare ultralytics name, or `random-init`, the named
    control. `embedded`: file meant by `embedded`.
    Raises InputError: weights missing, unreadable, or not this architecture's.
    """
    if str(weights) == "random-init":
        model = random_detector(architecture, seed)
    else:
        path = find(weights, embedded)
        state = read_state(path)
        # Training checkpoints keep batch normalisation apart from the convolutions; what we ship has it folded in.
        apart = any(key.endswith(".bn.running_var") for key in state)
        model = build(architecture, class_count(state), fused=not apart)
        load_strict(model, state, path, architecture)
        if apart:
            model = model.eval().fuse(verbose=False)
    return model.eval().requires_grad_(False)


def random_detector(architecture: str, seed: int = 0) -> Any:
    """The named control: seeded random weights, batch normalisation measured on seeded random images.

    Without that measurement a fresh network's activations shrink from layer to layer, below what fp16 can hold.
    """
    model = build(architecture, seed=seed, fused=False).eval()
    generator = torch.Generator().manual_seed(seed)
    # Blots of all sizes, so that neighbouring pixels are alike as in photographs.
    grids = [torch.rand(4, 3, side, side, generator=generator) for side in (2, 8, 32, 128)]
    images = torch.stack([nn.functional.interpolate(grid, size=(128, 128)) for grid in grids]).mean(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.momentum = None
    with torch.no_grad():
        model(images)
    return model.eval().fuse(verbose=False)


def load_strict(model: nn.Module, state: State, path: Path, architecture: str) -> None:
    """Load exactly these tensors, or say in one line why they do not fit.

    Raises InputError: missing, surplus or differently shaped tensors.
    """
    wanted = model.state_dict()
    wrong = {
        "missing": [key for key in wanted if key not in state],
        "surplus": [key for key in state if key not in wanted],
        "of another shape": [key for key in wanted if key in state and wanted[key].shape != state[key].shape],
    }
    if any(wrong.values()):
        found = architecture_of(state)
        whose = ", ".join(f"{len(keys)} tensors {what} ({keys[0]}, ...)" for what, keys in wrong.items() if keys)
        if found and found != architecture:
            whose = f"these are {found} weights"
        raise InputError(f"{path}: weights do not fit {architecture}: {whose}; choose the preset that matches the file")
    model.load_state_dict(state, strict=True)


def _first_line(error: Exception) -> str:
    text = (str(error) or type(error).__name__).encode("ascii", "ignore").decode()
    return text.strip().splitlines()[0][:200]
