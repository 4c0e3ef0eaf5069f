"""A finished run looked at by hand: widgets for `notebooks/explore.ipynb`.

`session`, `clip` and `looks` know the data; `overlay` and `charts` draw; `frame_view`, `desk` and the panels (`people`,
`thresholds`, `trackers`) are widgets; `notebook` puts them together.
"""
