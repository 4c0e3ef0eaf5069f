"""Embeddings of a part's boxes with any appearance, jointly fine-tuned or not."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.pipeline.data import Part
from msfp.pipeline.heads import Appearance, embed_part, train_head
from msfp.pipeline.run import Run


@lru_cache(maxsize=64)
def embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes (`gt` or a public detector), rows as in the file."""
    return embed_part(run, part, boxes, look, train_head(run, look).state)
