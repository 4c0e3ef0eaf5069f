"""A finished run looked at by hand: widgets for `notebooks/explore.ipynb`."""
