"""Metrics: tracking (TrackEval in memory, and the same numbers by kernels), re-identification, recall ceiling."""
