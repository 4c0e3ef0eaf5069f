"""ByteTrack (Zhang et al., ECCV 2022): two-stage association by motion alone."""

from pydantic import Field

from msfp.tracking.two_stage import TwoStage, TwoStageSettings


class ByteTrackSettings(TwoStageSettings):
    """As released for MOT17, where the IoU is weighted by the score; thresholds as the paper's fixed row has them."""

    fuse_score: bool = Field(True, description="weight the IoU by the detection's score, as the original does on MOT17")


class ByteTrack(TwoStage):
    """The paper's motion baseline with recovery of unsure detections."""

    name = "bytetrack"
    label = "ByteTrack"
    Settings = ByteTrackSettings
