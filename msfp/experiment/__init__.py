"""The verbs and things that notebooks compute with: clips, heads, embeddings, trackers and scores."""
