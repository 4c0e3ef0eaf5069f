"""The report of a run: a small site of plain files that needs no network and no server."""
