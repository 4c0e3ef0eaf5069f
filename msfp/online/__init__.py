"""Videos in and out: a source of frames, tracks drawn on them, and the film that results."""
