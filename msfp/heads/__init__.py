"""Trained heads over frozen features: fusion into an embedding, and the adaptive threshold (ATL)."""
