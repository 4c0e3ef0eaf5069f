"""What a notebook computes with: clips, heads, embeddings, trackers and scores, by a handful of verbs of a run."""
