"""BoT-SORT (Aharon et al., 2022): ByteTrack with a filter over width and height, camera motion, and a gated minimum."""

from pydantic import Field

from msfp.tracking.association import Fusion
from msfp.tracking.kalman import XYWH
from msfp.tracking.two_stage import AppearanceSettings, TwoStage


class BotSortSettings(AppearanceSettings):
    """As released for MOT17; camera motion comes with the frame, none is taken where it brings none."""

    fuse_score: bool = Field(True, description="weight the IoU by the detection's score")
    match: float = Field(0.7, description="limit of the first association")
    fusion: Fusion = Field("min_gate", description="how appearance and motion make one cost")


class BotSort(TwoStage):
    """BoT-SORT-ReID; boxes without embeddings (`has_embedding` False) make it BoT-SORT."""

    name = "botsort"
    label = "BoTSORT"
    needs_embeddings = True
    appearance = "reid"
    motion = XYWH
    Settings = BotSortSettings
