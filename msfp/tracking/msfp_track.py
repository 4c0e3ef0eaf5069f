"""MSFP-Track: MSFP (attention) whose thresholds come per frame from ATL (section 4.1, association pipeline)."""

from pydantic import Field

from msfp.tracking.two_stage import AppearanceSettings, TwoStage


class MsfpTrackSettings(AppearanceSettings):
    """Thresholds of frames for which ATL gives none are its base, an offset of zero."""

    track_high: float = Field(0.5, description="tau_high where the frame brings none")
    track_low: float = Field(0.05, description="tau_low where the frame brings none")


class MsfpTrack(TwoStage):
    """The paper's tracker: give `FrameContext.tau_high` and `tau_low`, or `thresholds` to `track`."""

    name = "msfp-track"
    label = "MSFP-Track"
    needs_embeddings = True
    appearance = "attention-instance"
    Settings = MsfpTrackSettings
