"""LITE: embeddings of a single backbone layer in the two-stage association, the paper's baseline."""

from msfp.tracking.two_stage import AppearanceSettings, TwoStage


class Lite(TwoStage):
    """Single-layer appearance; all else as the MSFP rows, so that the difference is the embedding's."""

    name = "lite"
    label = "LITE"
    needs_embeddings = True
    appearance = "single"
    Settings = AppearanceSettings
