"""Extra figure 101: how often intervals and verdicts are right, on studies whose truth is known.

Beside the rules in use (`statistics`, `claims.words`) stands what a plainer reading of the same data does: scenes alone
are drawn, the interval is their percentiles, and a verdict asks every training seed to agree.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from msfp.metrics.statistics import LEVEL, Sample
from msfp.metrics.studies import Design, studies
from msfp.paper.claims.effects import Effect, Found
from msfp.paper.claims.words import effect_word
from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, PALETTE
from msfp.pipeline.run import Run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNT = 300
SCENES = (6, 7, 10, 14, 28)
SEEDS = (3, 6, 10, 30)
BY_SEED = (0.2, 0.4)
TRUE = 0.6
BOTH, ALONE = "scenes and seeds drawn", "scenes alone, all seeds agree"
LINES = {BOTH: "blue", ALONE: "vermillion"}


@figure(101)
def verdict_rules(run: Run) -> "Figure":
    """Coverage and false verdicts against the number of scenes; true claims recognised against that of seeds."""
    import matplotlib.pyplot as plt

    found = simulated()
    fig, axes = plt.subplots(1, 3, figsize=(2 * COLUMN, COLUMN * 0.8), layout="constrained")
    few = found[found["truth"] == 0]
    draw(axes[0], few, "scenes", "coverage")
    axes[0].axhspan(93, 97, color="0.9", lw=0)
    axes[0].set(
        title="intervals that cover the truth", xlabel="scenes (3 seeds)", ylabel="% of studies", ylim=(50, 100)
    )
    draw(axes[1], few, "scenes", "decided")
    axes[1].axhline(5, color="0.6", lw=0.6)
    axes[1].set(title="false verdicts where nothing differs", xlabel="scenes (3 seeds)", ylim=(0, None))
    draw(axes[2], found[found["truth"] == TRUE], "seeds", "supported")
    axes[2].set(title=f"a true +{TRUE:g} points supported", xlabel="seeds (28 scenes)", xscale="log", ylim=(0, 100))
    axes[2].set_xticks(SEEDS, [str(k) for k in SEEDS])
    axes[2].minorticks_off()
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def draw(ax: "Axes", found: "pd.DataFrame", x: str, y: str) -> None:
    """One measure of both rules, for a small and a large spread between seeds."""
    for rule, colour in LINES.items():
        for by_seed, style in zip(BY_SEED, ("-", "--"), strict=True):
            line = found[(found["rule"] == rule) & (found["by seed"] == by_seed)]
            label = f"{rule}; seeds ±{by_seed:g}"
            ax.plot(line[x], line[y], f"o{style}", color=PALETTE[colour], ms=2.5, lw=0.9, label=label)
    ax.grid(True)


@cache
def simulated() -> "pd.DataFrame":
    """A line a design and rule: % of studies whose interval covers the truth, that are supported, that are decided."""
    import pandas as pd

    designs = [(Design(scenes=n, by_seed=s), 0.0) for s in BY_SEED for n in SCENES]
    designs += [(Design(scenes=28, seeds=k, by_seed=s), TRUE) for s in BY_SEED for k in SEEDS]
    rows = []
    for design, truth in designs:
        measured = studies(design, truth, COUNT, np.random.default_rng([design.scenes, design.seeds]))
        for rule, judged in ((BOTH, [both(s) for s in measured]), (ALONE, [alone(s) for s in measured])):
            covered, supported, refuted = (
                100 * float(np.mean(column))
                for column in zip(*((low <= truth <= high, yes, no) for low, high, yes, no in judged), strict=True)
            )
            rows.append(
                {
                    "rule": rule,
                    "scenes": design.scenes,
                    "seeds": design.seeds,
                    "by seed": design.by_seed,
                    "truth": truth,
                    "coverage": covered,
                    "supported": supported,
                    "decided": supported + refuted,
                }
            )
    return pd.DataFrame(rows)


def both(sample: Sample) -> tuple[float, float, bool, bool]:
    """Interval, whether "it is above 0" is supported, and whether it is refuted, by the rules in use."""
    said = effect_word(Effect("", sample), Found(()))
    return (*sample.interval(), said == "supported", said == "refuted")


def alone(sample: Sample) -> tuple[float, float, bool, bool]:
    """The same by expanded percentiles of scenes alone, where every seed has to be on the interval's side."""
    units = len(sample.units)
    tail = special.ndtr(-np.sqrt(units / (units - 1)) * special.stdtrit(units - 1, (1 + LEVEL) / 2))
    low, high = (float(x) for x in np.quantile(sample.replicates.mean(axis=1), [tail, 1 - tail]))
    above = sample.seeds > 0
    return low, high, low > 0 and bool(above.all()), high < 0 and not above.any()
