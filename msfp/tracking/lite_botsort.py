"""LITE:BoT-SORT: BoT-SORT on LITE's embedding, all else as its host."""

from msfp.tracking.botsort import BotSort


class LiteBotSort(BotSort):
    """On layer 14 as the other hosts, where the script of LITE's authors names layer 0."""

    name = "lite-botsort"
    label = "LITE:BoTSORT"
    appearance = "lite"
