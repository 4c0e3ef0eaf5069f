"""What runs the stages: the store of results, fan-out, notebooks, provenance."""
