"""`msfp train-backbone`, `msfp train-reid`, `msfp bench`: making the shipped weights again, and timing the hot paths."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.errors import InputError

Out = Annotated[
    Path | None, typer.Option("--out", help="folder for weights and card; default: where the package's lie")
]
Minutes = Annotated[float | None, typer.Option("--minutes", help="most wall minutes; default: the card's recipe")]
BENCHES = Path(__file__).resolve().parents[2] / "bench"


def benches() -> dict[str, Path]:
    """Benchmarks of this checkout by name."""
    return {p.stem.removeprefix("bench_"): p for p in sorted(BENCHES.glob("bench_*.py"))}


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="a benchmark's name, or all; without one they are listed")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for a program")] = False,
) -> None:
    """Time a hot path beside its peers, in one process and in turn; medians and ratios."""
    found = benches()
    if not found:
        raise InputError(f"no benchmarks at {BENCHES}; they come with a checkout of the project, not with the package")
    if not name:
        typer.echo("\n".join(found))
        return
    chosen = list(found) if name == "all" else [name]
    for one in chosen:
        if one not in found:
            raise InputError(f"bench {one}: not known; there are: all, {', '.join(found)}")
        done = subprocess.run([sys.executable, str(found[one]), *(["--json"] if as_json else [])], check=False)
        if done.returncode:
            raise typer.Exit(done.returncode)
