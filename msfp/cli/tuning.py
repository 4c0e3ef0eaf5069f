"""`msfp tune`: open settings of trackers, selected on a learning part, with one budget for all."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import HERE, Auto, Device, Home, Json, Params, Profile, Root, Weights, one_a_core, run_from

if TYPE_CHECKING:
    from msfp.paper.selected import Tuned


@app.command()
def tune(
    rows: Annotated[
        list[str] | None, typer.Argument(help="rows of Table 1 or trackers, such as ByteTrack; default: all")
    ] = None,
    root: Root = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="draws a row, the same for all")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the draws")] = 0,
    profile: Profile = "",
    weights: Weights = "",
    device: Device = "",
    workers: Auto = -1,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Select what a paper leaves open: random search on held-out learning frames, HOTA, the same budget for every row.

    Prints the settings chosen, their HOTA where they were chosen and, beside the released ones, on the validation part,
    which no draw has seen. ROOT is any folder in the MOTChallenge layout; without it the embedded worlds are used.
    """
    given = [f"selection.trials={trials}", f"selection.seed={seed}", "tuning=selected", *(param or [])]
    chosen = profile or ("mot17" if root else "demo")
    run = run_from(chosen, root, weights, device, one_a_core() if workers < 0 else workers, home, given)
    from msfp.paper.selected import tune as tune_rows

    found = tune_rows(run, rows or [])
    if as_json:
        typer.echo(json.dumps([_record(one) for one in found], indent=1))
    else:
        for one in found:
            typer.echo(_text(one))
    if any(one.chosen.found is None for one in found):
        raise typer.Exit(1)


def _record(one: "Tuned") -> dict[str, object]:
    found = one.chosen.found
    record: dict[str, object] = {
        "row": one.chosen.label,
        "tracker": one.chosen.method.tracker,
        "settings": dict(found.options) if found else None,
        "held_out": {"released": one.released, "selected": one.selected, "interval": one.gain, "reason": one.reason},
    }
    if found is None:
        return {**record, "reason": one.chosen.reason}
    inner = {"released": 100 * found.released, "selected": 100 * found.hota}
    return {
        **record,
        "inner": {**inner, "quartiles": [100 * float(q) for q in found.quartiles]},
        "draws": found.draws,
        "seeds": list(found.seeds),
        "selected_on": list(found.held_out),
    }


def _text(one: "Tuned") -> str:
    from msfp.paper.selected import outcome
    from msfp.pipeline.selection import words

    if one.chosen.found is None:
        return f"{one.chosen.label}: {one.chosen.reason}"
    lines = [f"{one.chosen.label}: {words(one.chosen.found.options)}", f"  {outcome(one.chosen.found)}"]
    if one.released is not None and one.selected is not None:
        apart = f" [{one.gain[0]:+.1f}, {one.gain[1]:+.1f}]" if one.gain else f" ({one.reason})"
        lines.append(
            f"  on the validation part: {one.selected:.1f} HOTA, as released {one.released:.1f}; "
            f"{one.selected - one.released:+.1f}{apart}"
        )
    options = " ".join(f"--set {key}={value}" for key, value in one.chosen.found.options)
    if options:
        lines.append(f"  msfp run ROOT --tracker {one.chosen.method.tracker} {options} --out DIR")
    return "\n".join(lines)
