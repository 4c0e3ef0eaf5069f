"""Figure 5: speed against accuracy under both protocols, with what no other method beats in both."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msfp.errors import NotComputable
from msfp.paper import timing
from msfp.paper.methods import LITE_HOSTS, MOTION_OR_HYBRID, SEPARATE_REID, TABLE_1
from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, PALETTE
from msfp.paper.tracking_rows import evaluated, measure_rows, row_cells, together
from msfp.pipeline.run import Run
from msfp.pipeline.stopwatch import MILLI, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANELS = {"tracking alone": timing.alone, "with the detector": timing.unified}
Points = dict[str, tuple[float, float]]


@figure(5, needs=("speed", "tracks", "scores"))
def speed_and_accuracy(run: Run) -> "Figure":
    """Frames a second (median, this machine) against HOTA of Table 1, mean over seeds; ringed: the Pareto front."""
    import matplotlib.pyplot as plt

    accuracy = hota(run)
    fig, axes = plt.subplots(1, 2, figsize=(COLUMN, COLUMN * 0.95), sharey=True, layout="constrained")
    for ax, (title, measure) in zip(axes, PANELS.items(), strict=True):
        points: Points = {}
        for label, value in accuracy.items():
            try:
                points[label] = MILLI / spread(measure(timing.timings(run), label)).median, value
            except NotComputable:
                continue
        draw(ax, points)
        ax.set(title=title, xlabel="frames a second")
    axes[0].set_ylabel("HOTA (%)")
    handles, names = axes[0].get_legend_handles_labels()
    if not names:
        plt.close(fig)
        raise NotComputable("no method has both a time and a HOTA here")
    fig.legend(handles, names, loc="outside lower center", ncols=3, columnspacing=0.8, handletextpad=0.2)
    return fig


def hota(run: Run) -> dict[str, float]:
    """label -> HOTA in percent, as Table 1 has it; rows without one are left out."""
    folds = evaluated(run, run.settings.data.main, 1)
    cells = row_cells(together([measure_rows(run, TABLE_1, fold) for fold in folds]), ("HOTA",))
    labels = {row.label for row in TABLE_1}
    return {c.row: float(c.value) for c in cells if c.row in labels and c.value is not None}


def draw(ax: "Axes", points: Points) -> None:
    """The methods as points in the colour of their kind, those of the front ringed and joined."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xscale("log")
    speeds = [x for x, _ in points.values()]
    decades = bool(speeds) and max(speeds) > 30 * min(speeds)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    front = sorted(pareto(points.values()))
    ax.plot(
        [x for x, _ in front], [y for _, y in front], "o-", color="0.6", lw=0.8, ms=8, mfc="none", mew=0.6, zorder=1
    )
    kinds = {"vermillion": SEPARATE_REID, "grey": MOTION_OR_HYBRID, "green": LITE_HOSTS}
    kinds["blue"] = tuple(row for row in TABLE_1 if not any(row in rows for rows in kinds.values()))
    for colour, rows in kinds.items():
        for marker, row in zip(MARKERS, rows, strict=False):
            if row.label in points:
                x, y = points[row.label]
                ax.plot(x, y, marker, color=PALETTE[colour], ms=4, mec="white", mew=0.4, ls="", label=row.label)
    ax.grid(True)
    ax.margins(0.12)


def pareto(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one reaches in both coordinates, larger being better."""
    every = list(dict.fromkeys(points))
    return [p for p in every if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in every)]
