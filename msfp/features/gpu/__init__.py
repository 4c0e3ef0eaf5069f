"""Frames on a GPU: pooling of all taps in one launch, and a frame's fixed-shape part as one CUDA graph."""
