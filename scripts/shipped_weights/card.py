"""Saving trained weights: fp16 safetensors with a model card beside them, generated from what was measured."""

import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from msfp import __version__
from msfp.features.weights import SUMS, listed_sums


def save_weights(path: Path, state: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write floating tensors as fp16, whole or not at all, and list their checksum beside them.

    Args:
        path: the .safetensors file.
        state: tensors by name.
        metadata: text kept in the file's header.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: (v.half() if v.is_floating_point() else v).contiguous().clone() for k, v in state.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, dict(metadata))
    partial.chmod(0o644)  # safetensors keeps files to their owner, and these are shipped
    partial.replace(path)
    sums = listed_sums(path.parent) | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    (path.parent / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), "ascii")


def write_card(
    path: Path,
    title: str,
    summary: str,
    measured: Mapping[str, str],
    data: Mapping[str, str],
    recipe: Mapping[str, str],
    command: str,
) -> None:
    """Write the model card of a weights file.

    Args:
        path: the Markdown file.
        title: name of the weights.
        summary: what they are and what they are for.
        measured: held-out figures with how they were measured.
        data: what they were trained on.
        recipe: settings of the training.
        command: what makes them again.
    """
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [f"# {title}", "", summary, "", f"Made {today} by msfp {__version__}, torch {torch.__version__}.", ""]
    for head, entries in (("Held out", measured), ("Data", data), ("Recipe", recipe)):
        lines += [f"## {head}", "", "| | |", "|---|---|"]
        lines += [f"| {_in_cell(key)} | {_in_cell(value)} |" for key, value in entries.items()] + [""]
    lines += ["## Made again with", "", f"    {command}", "", "## Licence", "", "AGPL-3.0-only, as the package.", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _in_cell(text: str) -> str:
    """A text on one line that does not end its cell."""
    return " ".join(text.splitlines()).replace("|", "\\|")
