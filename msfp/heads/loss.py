"""Triplet loss with online hard mining in the batch (eq. 10)."""

import torch
from torch import Tensor


def batch_hard_triplet(embeddings: Tensor, person: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Mean over anchors of max(0, d(a, hardest p) - d(a, hardest n) + m), d the cosine distance.

    Args:
        embeddings: (..., B, D) unit rows; axes in front are batches of their own.
        person: (..., B) whose they are; every person has at least two rows and there are at least two persons.
        margin: m.

    Returns:
        The loss, and the share of anchors whose term is positive, (...) each.
    """
    distance = 1 - embeddings @ embeddings.mT
    same = person[..., :, None] == person[..., None, :]
    itself = torch.eye(person.shape[-1], dtype=torch.bool, device=person.device)
    hardest_positive = distance.masked_fill(~same | itself, -torch.inf).amax(dim=-1)
    hardest_negative = distance.masked_fill(same, torch.inf).amin(dim=-1)
    terms = (hardest_positive - hardest_negative + margin).clamp(min=0)
    return terms.mean(dim=-1), (terms.detach() > 0).float().mean(dim=-1)
