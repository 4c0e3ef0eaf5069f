"""Trained heads over frozen features: fusion into an embedding, and the adaptive threshold (ATL)."""

ALIASES = {"msfp-concat": "concat", "msfp-attention": "attention-instance", "msfp-se": "se-two-stage"}
"""Other words for fusion strategies."""
