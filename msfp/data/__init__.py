"""Data sets: the MOTChallenge layout and files, frames, the catalog of known data sets, and the embedded worlds."""
