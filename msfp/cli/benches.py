"""`msfp bench`: the hot paths timed beside their peers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.completion import offering
from msfp.cli.options import Json
from msfp.errors import InputError

BENCHES = Path(__file__).resolve().parents[2] / "bench"


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
