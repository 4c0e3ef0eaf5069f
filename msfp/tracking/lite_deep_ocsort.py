"""LITE:Deep OC-SORT: Deep OC-SORT on LITE's embedding, all else as its host."""

from msfp.tracking.deep_ocsort import DeepOcSort


class LiteDeepOcSort(DeepOcSort):
    """Appearance weighs as in its host."""

    name = "lite-deep-ocsort"
    label = "LITE:Deep OC-SORT"
    appearance = "lite"
