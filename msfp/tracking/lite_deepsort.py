"""LITE:DeepSORT (Alikhanov et al., ICONIP 2024): DeepSORT on whole cells of the detector's layer 14, training-free."""

from pydantic import Field

from msfp.tracking.deepsort import DeepSort, DeepSortSettings


class LiteDeepSortSettings(DeepSortSettings):
    """As LITE's authors released it; the row "LITE (trained 64-d)" shares MSFP's association instead."""

    track_high: float = Field(0.25, description="detections must score at least this")
    max_cosine: float = Field(0.7, description="largest cost of a match by appearance")
    cascade: bool = Field(False, description="match tracks seen last first; else all in one assignment")


class LiteDeepSort(DeepSort):
    """No cascade, and a limit that admits nearly every pair within the filter's gate."""

    name = "lite-deepsort"
    label = "LITE:DeepSORT"
    appearance = "lite"
    Settings = LiteDeepSortSettings
