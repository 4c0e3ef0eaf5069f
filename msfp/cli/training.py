"""`msfp train-backbone`, `train-reid`, `train-joint`: the shipped weights made again; `bench`: the hot paths timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msfp.cli.app import app
from msfp.cli.completion import offering
from msfp.cli.options import Json, Workers
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.pipeline.training import Made

# Not where the package's own lie: weights that ship are replaced by hand, once they were looked at.
Out = Annotated[Path, typer.Option("--out", help="folder for weights, card and checkpoint")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", min=0, help="most wall minutes; default: the recipe's work")
]
Scale = Annotated[float, typer.Option("--scale", min=0, help="share of the shipped weights' worlds to render")]
Seed = Annotated[int, typer.Option("--seed", help="of the training worlds, 1000 to 1999")]
Fresh = Annotated[bool, typer.Option("--fresh", help="replace weights that are there")]
WEIGHTS = Path("runs/weights")
BENCHES = Path(__file__).resolve().parents[2] / "bench"


@app.command("train-backbone")
def train_backbone(
    out: Out = WEIGHTS,
    minutes: Minutes = None,
    crops: Annotated[int | None, typer.Option("--crops", min=1, help="most training crops")] = None,
    scale: Scale = 1.0,
    seed: Seed = 1000,
    workers: Workers = 0,
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Train the embedded person detector on worlds that are never evaluated; stopped, it goes on where it was."""
    from msfp.pipeline.training import train_backbone as train

    _tell(train(out, minutes=minutes, crops=crops, scale=scale, seed=seed, workers=workers, fresh=fresh), as_json)


@app.command("train-reid")
def train_reid(
    out: Out = WEIGHTS,
    minutes: Minutes = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="most training steps")] = None,
    scale: Scale = 1.0,
    seed: Seed = 1000,
    workers: Workers = 0,
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Train the separate ReID network on the same worlds; stopped, it goes on where it was."""
    from msfp.pipeline.training import train_reid as train

    _tell(train(out, minutes=minutes, steps=steps, scale=scale, seed=seed, workers=workers, fresh=fresh), as_json)


@app.command("train-joint")
def train_joint(
    out: Out = WEIGHTS,
    minutes: Minutes = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="most training steps")] = None,
    scale: Scale = 1.0,
    seed: Seed = 1000,
    workers: Workers = 0,
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Train detector and embedding together, from the embedded detector; stopped, it goes on where it was."""
    from msfp.pipeline.training import train_joint as train

    _tell(train(out, minutes=minutes, steps=steps, scale=scale, seed=seed, workers=workers, fresh=fresh), as_json)


def _tell(made: "Made", as_json: bool) -> None:
    if as_json:
        found = {"weights": str(made.weights), "card": str(made.card), "held_out": dict(made.measured)}
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(str(made.weights))
    for name, value in made.measured.items():
        typer.echo(f"{name} on held-out worlds: {value:.3f}")


def benches() -> dict[str, Path]:
    """Benchmarks of this checkout by name."""
    return {p.stem.removeprefix("bench_"): p for p in sorted(BENCHES.glob("bench_*.py"))}


@app.command()
def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="a benchmark's name, or all; without one they are listed",
            autocompletion=offering(lambda: ("all", *benches())),
        ),
    ] = "",
    as_json: Json = False,
    device: Annotated[str, typer.Option("--device", help="pipeline only: parts of a frame on this device")] = "",
) -> None:
    """Time a hot path beside its peers, in one process and in turn; medians and ratios."""
    found = benches()
    if not found:
        raise InputError(f"no benchmarks at {BENCHES}; they come with a checkout of the project, not with the package")
    if not name:
        typer.echo(json.dumps(list(found)) if as_json else "\n".join(found))
        return
    if device and name != "pipeline":
        raise InputError(f"--device {device}: only `msfp bench pipeline` runs elsewhere than on the CPU")
    words = [*(["--json"] if as_json else []), *(["--device", device] if device else [])]
    chosen = list(found) if name == "all" else [name]
    for one in chosen:
        if one not in found:
            raise InputError(f"bench {one}: not known; there are: all, {', '.join(found)}")
        done = subprocess.run([sys.executable, str(found[one]), *words], check=False)
        if done.returncode:
            raise typer.Exit(done.returncode)
