"""Every switch of the suite, and the profiles: one class of settings each, checked, unknown keys refused.

Where the paper contradicts itself or is silent the first choice of each switch is the default; `SWITCHES` says what the
others are and why, and the report prints which were used.
"""

import copy
import re
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from msfp.errors import InputError, hint

Positives = Literal["all", "hardest"]
PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""Names that become part of a path: none of them leaves its folder or hides in it."""
TAU_GRID = (0.01, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50)


def _plain(value: str) -> str:
    """A name that may become part of a path."""
    if not PLAIN.fullmatch(value):
        raise ValueError("give a plain name of letters, digits, -, _ and ., the dot not first")
    return value


PlainName = Annotated[str, AfterValidator(_plain)]


class Frozen(BaseModel):
    """Settings never change once made; a key that does not exist is an error, as is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FusionSettings(Frozen):
    """Section 3.2 and Table 20; widths the paper leaves open carry a remark."""

    width: int = Field(128, ge=1)  # embedding size of multi-layer fusion (4.1)
    single_width: int = Field(64, ge=1)  # embedding size of the single layer (4.1)
    concat_width: int = Field(256, ge=1)  # see SWITCHES
    se_reduction: int = Field(16, ge=1)  # see SWITCHES
    attention_input: Literal["projected", "raw"] = "projected"  # see SWITCHES
    strips: int = Field(8, ge=1, le=32)  # of a box from top to bottom; of the heads parts, not the paper's
    strip_width: float = Field(0.5, gt=0, le=1)  # share of the box's width that strips keep
    strip_layers: tuple[int, ...] = ()  # tapped layers of which strips are pooled; empty: the first
    ridge: float = Field(0.1, gt=0)  # of the whitening of parts, as a share of the mean variance


class TrainingSettings(Frozen):
    """Section 3.4 and 4.1."""

    epochs: int = Field(50, ge=0)
    joint_epochs: int = Field(10, ge=0)  # joint fine-tuning; the sum of losses decouples, as a test shows
    learning_rate: float = Field(1e-4, gt=0)
    margin: float = Field(0.3, ge=0)
    identities: int = Field(8, ge=2)  # P of the batch
    instances: int = Field(4, ge=2)  # K of the batch
    window: int = Field(30, ge=1)  # frames from which an identity's instances are drawn
    positives: Positives = "all"  # see SWITCHES
    min_visibility: float = Field(0.1, ge=0, le=1)  # see SWITCHES
    scope: Literal["scene", "any"] = "scene"  # see SWITCHES


class AtlSettings(Frozen):
    """Section 3.3: scene encoder, bounds, smoothing, offsets."""

    tau_min: float = Field(0.01, ge=0, lt=1)
    tau_max: float = Field(0.50, gt=0, le=1)
    hidden: int = Field(64, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    weight_decay: float = Field(0.01, ge=0)  # the paper's L2 regularisation
    batch: int = Field(32, ge=1)
    beta: float = Field(0.9, ge=0, lt=1)
    temporal: Literal["ema", "frame", "sequence"] = "ema"  # see SWITCHES
    input: Literal["raw", "standardised"] = "raw"  # see SWITCHES
    offset: Literal["literal", "centered"] = "literal"  # see SWITCHES
    dual: Literal["free", "fraction"] = "free"  # see SWITCHES
    base_high: float = 0.5
    base_low: float = 0.05
    grid: tuple[float, ...] = TAU_GRID


class AssociationSettings(Frozen):
    """The paper's association (4.1), whose weights, gates and life cycle it does not give.

    A value given here holds for every row with the paper's association (LITE's trained projection and MSFP's rows),
    whatever `tuning` says; None leaves it to `tuning`.
    """

    fusion: Literal["sum", "min_gate", "mahalanobis"] | None = None
    weight: float | None = Field(None, ge=0, le=1)  # share of the cosine distance in `sum`
    min_iou: float | None = Field(None, ge=0, le=1)  # pairs that overlap less may not match in `sum`
    match: float | None = Field(None, ge=0, le=1)  # largest cost of a match in the first stage
    match_low: float | None = Field(None, ge=0, le=1)  # largest IoU distance in the second stage
    match_unconfirmed: float | None = Field(None, ge=0, le=1)  # largest cost for tracks seen once
    ema: float | None = Field(None, ge=0, lt=1)  # memory of a track's embedding
    buffer: int | None = Field(None, ge=0)  # frames a lost track is kept, at 30 frames per second
    new_track_margin: float | None = Field(None, ge=0, le=1)  # a new track needs tau_high plus this
    fuse_score: bool | None = None  # weight the IoU by the detection's score
    proximity: float | None = Field(None, ge=0, le=1)  # IoU distance up to which `min_gate` sees appearance
    max_appearance: float | None = Field(None, ge=0, le=1)  # largest half cosine distance in `min_gate`

    def given(self) -> dict[str, object]:
        """Settings that are not left to `tuning`."""
        return self.model_dump(exclude_none=True)


class SelectionSettings(Frozen):
    """Selection of open settings on the learning part (A.2); one budget for every method."""

    trials: int = Field(300, ge=1)  # draws a method; the released values are the first of them
    finalists: int = Field(10, ge=1)  # best draws that are measured again with every seed
    seed: int = Field(0, ge=0)  # of the draws
    share: float = Field(0.2, gt=0, lt=1)  # of the learning part that is held out to select on


class RecoverySettings(Frozen):
    """Recovery of missed people (Table 10); the paper takes it from elsewhere and gives no setting."""

    epochs: int = Field(20, ge=1)  # passes over the training cases
    cases: int = Field(100, ge=1)  # cases kept of each learning part, public detector and thinning
    longest: int = Field(30, ge=1)  # frames in a row that a track may be kept without a detection


class ReidSettings(Frozen):
    """Section 4.2: which pairs are compared."""

    frames: int = Field(150, ge=2)
    max_gap: int = Field(30, ge=1)
    negatives: int = Field(10, ge=1)


class InputSettings(Frozen):
    """Input of the detector."""

    size: tuple[int, int] = (1280, 736)  # network input, width and height, multiples of 32
    geometry: Literal["letterbox", "paper_scale"] = "letterbox"
    preset: str = "yolov8n-paper"  # see SWITCHES
    weights: str = "embedded"  # embedded, random-init, or a .safetensors or .pt file
    # further detectors of Tables 18 and 22: PRESET=WEIGHTS, several separated by commas
    families: Annotated[
        tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
    ] = ()
    reid_weights: str = "embedded"  # of the separate ReID network: embedded, random-init, or a .safetensors or .pt file
    # width and height of its crops; people of small frames have no more to show in large ones
    reid_size: tuple[int, int] = (128, 256)
    joint_weights: str = "embedded"  # of detector and embedding trained together: embedded, or a .safetensors file


class DataSettings(Frozen):
    """Which data sets play the paper's parts."""

    main: PlainName = "synth17"  # the part of MOT17
    crowded: PlainName | None = "synth20"  # the part of MOT20
    cross: PlainName | None = "synthpp22"  # the part of PersonPath22
    dance: PlainName | None = "synthdance"  # the part of DanceTrack
    embedded: PlainName | None = None  # embedded worlds on which a second ATL is trained
    root: Path | None = None  # folder of real data; None: the embedded worlds under data/
    learn_from: tuple[str, ...] = ("*",)  # scenes that train; the others are held out whole
    separate_reid: bool = True  # run the baselines' own ReID network on every box: the slowest part of all
    frames: int = Field(100, ge=4)  # frames of an embedded test sequence
    # embedded training sequences whose second half is evaluated are so many times as long
    train_times: int = Field(1, ge=1)
    frame_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (640, 360)
    scenes: int | None = Field(None, ge=1)  # at most this many scenes a split; None: all
    seed: int = Field(0, ge=0)  # seed of the embedded worlds


class Settings(Frozen):
    """One run, whole.

    Example:
        >>> msfp.open("smoke", settings="atl.beta=0.7").settings.atl.beta
        0.7
    """

    profile: PlainName = "demo"
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    split: Literal["half", "loso", "paper"] = "half"
    detections: Literal["public", "detector", "ground_truth"] = "public"  # see SWITCHES
    scores: Literal["raw", "calibrated"] = "raw"  # see SWITCHES
    tuning: Literal["selected", "released", "first"] = "selected"  # see SWITCHES
    device: str = "cpu"
    data: DataSettings = DataSettings()
    input: InputSettings = InputSettings()
    fusion: FusionSettings = FusionSettings()
    training: TrainingSettings = TrainingSettings()
    atl: AtlSettings = AtlSettings()
    reid: ReidSettings = ReidSettings()
    recovery: RecoverySettings = RecoverySettings()
    association: AssociationSettings = AssociationSettings()
    selection: SelectionSettings = SelectionSettings()

    @property
    def compared(self) -> bool:
        """True where numbers are judged and set beside the paper's; those of smoke mean nothing."""
        return self.profile != "smoke"

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        """A seed given twice would count one training as two, and make the spread over seeds too small."""
        if not value:
            raise ValueError("give at least one seed, such as seeds=0,")
        if len(set(value)) < len(value):
            raise ValueError("a seed stands there twice; give each seed once")
        return value

    @field_validator("device")
    @classmethod
    def _current_gpu(cls, value: str) -> str:
        """Graphs, events and kernels run on the process's first GPU; which that is, its environment says."""
        if value.startswith("cuda:"):
            raise ValueError(f"give cuda, and CUDA_VISIBLE_DEVICES={value.removeprefix('cuda:')} in the environment")
        return value


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "seeds": (0,),
        "data": {"frames": 16, "frame_size": (320, 180), "scenes": 1},
        "input": {"size": (320, 192), "reid_size": (64, 128)},
        "training": {"epochs": 2, "joint_epochs": 1},
        "selection": {"trials": 4, "finalists": 2},
    },
    "demo": {
        "data": {"train_times": 2},  # halves of 200 frames: what is evaluated is as long as a test sequence
        "input": {"size": (640, 384), "reid_size": (64, 128)},
        # An epoch shows everyone once for each window of boxes: half of 4.1's epochs of twice the frames are its steps.
        "training": {"epochs": 25, "joint_epochs": 5},
        "selection": {"trials": 50},
    },
    "mot17": {
        "data": dict(main="mot17", crowded=None, cross=None, dance=None, embedded="synth17", learn_from=("MOT17-*",)),
    },
    "full": {
        "device": "cuda",
        "input": {"preset": "yolov8m-paper", "weights": "yolov8m.pt"},
        "data": dict(main="mot17", crowded="mot20", cross="personpath22", dance="dancetrack", learn_from=("MOT*",)),
    },
}

SWITCHES: dict[str, str] = {
    "split": "No validation split is defined. half: first half of each training sequence trains, second validates; "
    "loso: leave one sequence out; paper: train = test, which leaks.",
    "detections": "A.4 discards YOLO's boxes, while Table 18's fixed-tau HOTA changes with YOLO's size, which only its "
    "own boxes can do. public: the data set's; detector: the frozen detector's own; ground_truth: the labels, a bound.",
    "scores": "Public scores have ranges of their own (DPM: an SVM margin), so one threshold means different things. "
    "calibrated: an isotonic map to P(true positive) for each detector, fitted on the training split only.",
    "tuning": "Weights, gates and life cycle of the association are not given. selected: for every method by as many "
    "draws on a held-out fifth of the learning part, by HOTA (A.2); released: each author's published values, for the "
    "paper's association a gated first guess; first: that guess for ByteTrack too.",
    "input.preset": "'YOLOv8m 4/9/14, channels 64/256/192' are YOLOv8n's channels. yolov8n-paper matches Table 20.",
    "input.geometry": "1280x720 is no multiple of 32: letterbox pads to 736; paper_scale stretches as A.6 writes.",
    "fusion.attention_input": "Eq. 3 concatenates raw features, Table 20 counts three projected vectors.",
    "fusion.concat_width": "Width of eq. 2's MLP is not given.",
    "fusion.se_reduction": "Squeeze ratio of eq. 5 is not given.",
    "training.positives": "Eq. 10 mines the nearest negative and says nothing of the positive. all: the mean over all "
    "positives in the batch; hardest: the farthest one, as batch-hard mining does.",
    "training.scope": "Whether a batch mixes scenes is not said; negatives of the same scene are the harder ones.",
    "training.min_visibility": "Whether hidden people are trained on is not said.",
    "atl.temporal": "'Per-sequence with EMA, not per-frame' while Table 17 lists per-sequence apart.",
    "atl.input": "Raw GAP vectors are small and much alike, so that 50 epochs at 1e-4 go only part of the way to the "
    "targets; standardised ones go further.",
    "atl.dual": "Eq. 8 predicts two values and does not say how they stay ordered. free: as predicted, tau_low held at "
    "tau_high at most; fraction: tau_low's place below tau_high is what is predicted.",
    "atl.offset": "Eq. 6 makes the offset positive, so it can never lower a threshold; centered is signed.",
}


SECTIONS: dict[str, dict[str, FieldInfo]] = {"": Settings.model_fields} | {
    name: field.annotation.model_fields
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
"""Fields of each section, `atl`; empty: those of the whole."""


def settings(profile: str = "demo", overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings of a profile with dotted overrides, `{"atl.beta": 0.7}`.

    Raises:
        InputError: unknown profile, unknown key or a value of the wrong type; names the key and what is accepted.
    """
    if profile not in PROFILES:
        raise InputError(f"profile {profile!r} is not known; there are: {', '.join(PROFILES)}")
    tree: dict[str, Any] = {"profile": profile} | copy.deepcopy(PROFILES[profile])
    for key, value in (overrides or {}).items():
        section, _, leaf = key.rpartition(".")
        if leaf not in SECTIONS.get(section, ()):
            section = section if section in SECTIONS else ""
            every = [
                f"{s}.{name}".lstrip(".") for s, fields in SECTIONS.items() for name in fields if name not in SECTIONS
            ]
            there = ", ".join(f"{section}.{name}".lstrip(".") for name in SECTIONS[section])
            raise InputError(f"setting {key!r} is not known; there are: {there}{hint(key, every)}")
        (tree.setdefault(section, {}) if section else tree)[leaf] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "tuple_type":
            message += f"; separate values by commas, one alone is written {where}={first['input']},"
        raise InputError(f"setting {where} = {first['input']!r}: {message}") from None


def choices_used(config: Settings) -> list[tuple[str, str, str, str]]:
    """The settled switches for the report: (key, value used, other choices, why there is a choice)."""
    rows = []
    for key, why in SWITCHES.items():
        section, _, leaf = key.rpartition(".")
        used = attrgetter(key)(config)
        others = [str(a) for a in get_args(SECTIONS[section][leaf].annotation) if a != used]
        rows.append((key, str(used), ", ".join(others), why))
    return rows
