"""MSFP (concat): embeddings of eq. 2 in the two-stage association."""

from msfp.tracking.two_stage import AppearanceSettings, TwoStage


class MsfpConcat(TwoStage):
    """Three layers concatenated and projected."""

    name = "msfp-concat"
    label = "MSFP (concat)"
    needs_embeddings = True
    appearance = "concat"
    Settings = AppearanceSettings
