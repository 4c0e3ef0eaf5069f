"""MSFP (attention): embeddings of eqs. 3-4 in the two-stage association."""

from msfp.tracking.two_stage import AppearanceSettings, TwoStage


class MsfpAttention(TwoStage):
    """Three layers weighted for each box."""

    name = "msfp-attention"
    label = "MSFP (attention)"
    needs_embeddings = True
    appearance = "attention-instance"
    Settings = AppearanceSettings
