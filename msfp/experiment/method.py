"""A row of a tracking table: which tracker, which embedding, which thresholds; where it learns is said when it runs."""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, field, replace
from typing import Literal

from msfp.errors import InputError
from msfp.experiment.trained import Trained
from msfp.heads.threshold import Mode
from msfp.pipeline.camera import default_camera
from msfp.pipeline.data import Part
from msfp.pipeline.heads import ATTENTION, TRAINING_FREE, Appearance, appearance
from msfp.pipeline.joint import JOINT
from msfp.pipeline.recovery import Recovery
from msfp.pipeline.supervision import Supervision
from msfp.pipeline.tracks import Method as Configured
from msfp.pipeline.tracks import Threshold
from msfp.tracking.thresholds import Temporal

Learn = tuple[Part, ...]


@dataclass(frozen=True)
class Method:
    """A row of a tracking table.

    Attributes:
        row: its label.
        tracker: registered tracker, see `msfp list trackers`.
        embedding: a fusion strategy, `reid` (the separate network), a template of either with other layers, pooling or
            detector weights, or a trained head; None: motion only.
        thresholds: (high, low); `atl(...)`, `searched()`, `policy(...)`; "atl": the scene's own, of ATL's offsets;
            None: the tracker's.
        camera: how camera motion is compensated: `none`, `ecc`, `sparse-flow`; None: as the tracker was released.
        options: settings of the tracker. What is left open is selected on the learning part, as `tuning` says.
        joint: head and ATL are fine-tuned together (A.6).
        recovery: looks again for tracks without a detection, re-derived after BUSCA; adds boxes.
        boxes: what is tracked: `public` detections, or those of the jointly trained network.
        like: the method whose selected settings it takes, so that an ablation changes one thing alone; None: its own.
        remark: said with the row's numbers.
    """

    row: str
    tracker: str
    embedding: str | Appearance | Trained | None = None
    thresholds: Threshold | tuple[float, float] | str | None = None
    camera: str | None = None
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    joint: bool = False
    recovery: bool = False
    boxes: Literal["public", "joint"] = "public"
    like: "Method | Configured | None" = None
    remark: str = ""

    @property
    def template(self) -> Appearance | None:
        """The embedding before anything is learned; a head of one's own is replaced by the paper's."""
        if isinstance(self.embedding, Trained):
            return Appearance(ATTENTION)
        return Appearance(self.embedding) if isinstance(self.embedding, str) else self.embedding

    @property
    def rule(self) -> Threshold:
        """The thresholds before anything is learned; InputError for what is none of these."""
        given = self.thresholds
        if given is None or isinstance(given, Threshold):
            return given or Threshold()
        if given == "atl":
            return atl("offset")
        if isinstance(given, str) or len(given) != 2:
            raise InputError(f"{self.row}: thresholds {given!r}; give (high, low), 'atl', or None")
        return fixed(*given)

    @property
    def random(self) -> bool:
        """Whether the seed matters: a head, ATL or recovery is trained for it."""
        look = self.template
        trained = look is not None and look.strategy not in (*TRAINING_FREE, JOINT)
        return trained or self.rule.kind == "atl" or self.recovery

    def configured(self, learn: Learn, seed: int, select: Learn = (), atl: Learn = ()) -> Configured:
        """The method as the pipeline runs it.

        Args:
            learn: what its head learns from.
            seed: of the head, ATL and recovery.
            select: on which open settings are selected; empty: `learn`.
            atl: what ATL learns from, where those are other parts; it is then trained alone.
        """
        look, rule = self.template, self.rule
        if look is not None and look.strategy != JOINT:
            look = learned(look, learn, seed, joint=self.joint)
        if rule.kind == "atl":
            rule = replace(rule, learn=atl or learn, seed=seed, joint=self.joint and not atl)
        elif rule.kind == "grid":
            rule = replace(rule, learn=atl or learn)
        camera = default_camera(self.tracker) if self.camera is None else self.camera
        options = tuple(sorted(self.options.items()))
        recovery = Recovery(learn, seed) if self.recovery else None
        return Configured(
            self.row, self.tracker, look, rule, options, camera, self.boxes, recovery, learn=select or learn
        )

    def each_seed(self, learn: Learn, seeds: Iterable[int], select: Learn = (), atl: Learn = ()) -> list[Configured]:
        """One method a seed, one in all where nothing is random."""
        chosen = tuple(seeds)
        return [self.configured(learn, seed, select, atl) for seed in (chosen if self.random else chosen[:1])]

    def but(self, **changes: object) -> "Method":
        """The method with other attributes."""
        return replace(self, **changes)  # type: ignore[arg-type]


def fixed(high: float, low: float) -> Threshold:
    """The same thresholds everywhere."""
    return Threshold("fixed", float(high), float(low))


def atl(
    mode: Mode = "single", temporal: Temporal | None = None, supervision: Supervision = "grid", **changes: object
) -> Threshold:
    """ATL's thresholds (eqs. 6 to 9).

    Args:
        mode: `single`, `dual` or `offset`.
        temporal: `ema`, `frame` or `sequence`; None: the run's setting.
        supervision: what teaches it: `grid`, `idf1`, `statistics`, `consistency`.
        **changes: settings of ATL that differ from the run's, such as `beta=0.7`.
    """
    kept = tuple(sorted(changes.items()))
    return Threshold("atl", mode=mode, temporal=temporal, supervision=supervision, changes=kept)


def searched() -> Threshold:
    """The optimum of a grid search on the same sequence's learning part."""
    return Threshold("grid")


def bound() -> Threshold:
    """The optimum of a grid search on the evaluated frames themselves."""
    return Threshold("oracle")


def policy(name: str) -> Threshold:
    """A registered rule that sees scores only."""
    return Threshold("policy", policy=name)


def learned(embedding: str | Appearance, learn: ListLike[Part], seed: int, *, joint: bool = False) -> Appearance:
    """An embedding, by name with other detector weights `native@random-init`, with what it learns from and its seed."""
    if isinstance(embedding, str):
        strategy, _, weights = embedding.partition("@")
        embedding = Appearance(strategy, weights=weights)
    kept = {"layers": embedding.layers, "weights": embedding.weights, "pooling": embedding.pooling}
    return appearance(embedding.strategy, learn, seed, joint=joint, **kept)


def looks_of_seeds(
    embedding: str | Appearance, learn: ListLike[Part], seeds: ListLike[int], *, joint: bool = False
) -> list[Appearance]:
    """An embedding with what it learns from: one a seed, one in all where it is training-free."""
    return list(dict.fromkeys(learned(embedding, learn, seed, joint=joint) for seed in seeds))
