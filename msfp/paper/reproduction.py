"""The whole suite: every notebook in order, then the report they end with."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msfp.paper.tagged import notebooks_folder

if TYPE_CHECKING:
    from msfp.engine.notebooks import Executed
    from msfp.pipeline.run import Run

REPORT = "08_report"
"""The notebook that writes the report: it is added to it when it has ended."""


def reproduce(run: "Run", *, only: str | None = None, start: str | None = None, resume: bool = True) -> dict[str, Any]:
    """Execute the notebooks in order; what is unchanged since an earlier run is skipped.

    Args:
        run: settings and places.
        only: number of the one notebook to execute.
        start: number of the first.
        resume: False executes unchanged notebooks too; the store's results are used either way.

    Returns:
        `report`: its path, None where it was never written; `notebooks`: name -> seconds (0 where skipped).

    Raises:
        InputError: before anything runs, for weights, data or notebooks that are not there.
        MsfpError: a notebook failed; names it, its message and the partial notebook.
    """
    from msfp.engine import notebooks, parallel
    from msfp.engine.cluster import lent_workers
    from msfp.paper import stamps
    from msfp.paper.notebook_views import every_scene
    from msfp.pipeline import external_results

    config = run.settings
    folder = notebooks_folder()
    notebooks.select(sorted(folder.glob(notebooks.PATTERN)), only, start)  # refused before a world is rendered
    weights = run.weights_digest()
    if config.input.weights not in ("embedded", "random-init"):
        run.backbone()  # files of others are tried before hours are spent
    data = {
        f"{name}/{split}/{s.name}": [run.pixels_digest(s), run.boxes_digest(s)] for name, split, s in every_scene(run)
    }
    inputs: dict[str, Any] = {"weights": weights, "data": data}
    if results := external_results.contents(run):
        inputs["imported"] = results
    parallel.close()  # the notebooks' kernels get workers of their own; idle ones here would only hold memory
    parameters = {
        "profile": config.profile,
        "root": str(config.data.root or ""),
        "weights": config.input.weights,
        "device": config.device,
        "workers": run.workers,
        "cluster": run.cluster or "",
        "settings": run.overrides,
        "home": str(run.home),
    }
    with lent_workers(0 if run.cluster else run.workers) as environment:
        done = notebooks.run(
            folder,
            run.out / "notebooks",
            parameters,
            only=only,
            from_=start,
            resume=resume,
            inputs=inputs,
            environment=environment,
            intact=stamps.intact(run),
        )
    return {"report": _completed_report(run, done), "notebooks": {e.name: round(e.seconds, 1) for e in done}}


def _completed_report(run: "Run", done: "Iterable[Executed]") -> str | None:
    """Path of the report, the notebook that wrote it added where it was executed now; None where there is none."""
    from msfp.paper import report_contents
    from msfp.paper.stamps import report_path

    report = report_path(run)
    if not report.is_file():
        return None
    for one in done:
        if one.path.stem == REPORT and not one.skipped:
            report_contents.complete(run, REPORT)
    return str(report)
