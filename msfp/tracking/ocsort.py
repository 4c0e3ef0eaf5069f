"""OC-SORT (Cao et al., CVPR 2023): SORT with observation-centric momentum, recovery and re-update."""

from msfp.tracking.observation_centric import ObservationCentric


class OcSort(ObservationCentric):
    """Motion alone; one stage, as released (its optional second stage on unsure boxes is off there)."""

    name = "ocsort"
    label = "OC-SORT"
