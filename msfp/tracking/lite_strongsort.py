"""LITE:StrongSORT: StrongSORT on LITE's embedding, without camera motion, as LITE's authors released it."""

from pydantic import Field

from msfp.tracking.strongsort import StrongSort, StrongSortSettings


class LiteStrongSortSettings(StrongSortSettings):
    """As LITE's authors released it."""

    track_high: float = Field(0.25, description="detections must score at least this")
    max_cosine: float = Field(
        0.75, description="largest cost of a match by appearance and motion: 0.7, and 0.05 for motion"
    )


class LiteStrongSort(StrongSort):
    """StrongSORT with a wide limit."""

    name = "lite-strongsort"
    label = "LITE:StrongSORT"
    appearance = "lite"
    Settings = LiteStrongSortSettings
