"""Make the shipped weights again, on worlds that are never evaluated: `python scripts/make_weights.py backbone`.

Needs the package's environment (`make setup`). Stopped, it goes on where it was. Weights that ship are replaced by
hand, once they were looked at.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import explained
from msfp.cli.options import Json
from shipped_weights import make

app = typer.Typer(help="Make the shipped weights again.", no_args_is_help=True, pretty_exceptions_enable=False)
Out = Annotated[Path, typer.Option("--out", help="folder for weights, card and checkpoint")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", min=0, help="most wall minutes; default: the recipe's work")
]
Scale = Annotated[float, typer.Option("--scale", min=0, help="share of the shipped weights' worlds to render")]
Seed = Annotated[int, typer.Option("--seed", help="of the training worlds, 1000 to 1999")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="processes to fan out over; 0: none")]
Fresh = Annotated[bool, typer.Option("--fresh", help="replace weights that are there")]
WEIGHTS = Path("runs/weights")


@app.command("backbone")
def backbone(
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
    _tell(
        make.train_backbone(out, minutes=minutes, crops=crops, scale=scale, seed=seed, workers=workers, fresh=fresh),
        as_json,
    )


@app.command("reid")
def reid(
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
    _tell(
        make.train_reid(out, minutes=minutes, steps=steps, scale=scale, seed=seed, workers=workers, fresh=fresh),
        as_json,
    )


@app.command("joint")
def joint(
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
    _tell(
        make.train_joint(out, minutes=minutes, steps=steps, scale=scale, seed=seed, workers=workers, fresh=fresh),
        as_json,
    )


def _tell(made: make.Made, as_json: bool) -> None:
    if as_json:
        found = {"weights": str(made.weights), "card": str(made.card), "held_out": dict(made.measured)}
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(str(made.weights))
    for name, value in made.measured.items():
        typer.echo(f"{name} on held-out worlds: {value:.3f}")


if __name__ == "__main__":
    try:
        app()
    except Exception as error:
        message, status = explained(error)
        print(message, file=sys.stderr)
        sys.exit(status)
