"""Triplet loss with online hard mining of negatives in the batch (eq. 10)."""

import torch
from torch import Tensor

from msfp.config import Positives


def triplet_loss(embeddings: Tensor, count: Tensor, margin: float, positives: Positives) -> tuple[Tensor, Tensor]:
    """Mean over anchors of max(0, d(a, p) - d(a, n) + m), d the cosine distance, n the nearest other person's row.

    The paper mines negatives only: an anchor's term is the mean over all its positives, or that of its farthest one.

    `embeddings`: (..., P, K, D) unit rows of P different persons; axes in front are batches of their own. `count`:
    (..., P) how many of a person's K rows are detections of their own, at least two; those after them repeat one of
    them, and are neither anchor nor positive. `positives`: which of the person's other detections are p.
    Returns the loss, and the share of triplets inside the margin, weighted as the loss weighs them, (...) each.
    """
    persons, instances = embeddings.shape[-3:-1]
    flat = embeddings.flatten(-3, -2)
    similarity = (flat @ flat.mT).unflatten(-1, (persons, instances)).unflatten(-3, (persons, instances))
    own = similarity.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)  # (..., P, K, K): each person's rows among themselves
    same = torch.eye(persons, dtype=torch.bool, device=flat.device)[:, None, :, None]
    nearest = similarity.masked_fill(same, -torch.inf).amax(dim=(-2, -1))[..., None]
    paired, anchors = _pairs(count, instances)
    if positives == "hardest":
        own = own.masked_fill(~paired, torch.inf).amin(dim=-1, keepdim=True)
        weight = paired.any(dim=-1, keepdim=True) / anchors
    else:
        weight = paired / (anchors * (count - 1)[..., None, None])
    terms = (nearest - own + margin).clamp(min=0)
    inside = ((terms.detach() > 0) * weight).sum(dim=(-3, -2, -1))
    return (terms * weight).sum(dim=(-3, -2, -1)), inside


def _pairs(count: Tensor, instances: int) -> tuple[Tensor, Tensor]:
    """(..., P, K, K) whether two rows are different detections, and (..., 1, 1, 1) how many detections there are."""
    slot = torch.arange(instances, device=count.device)
    real = slot < count[..., None]
    paired = real[..., :, None] & real[..., None, :] & (slot[:, None] != slot)
    return paired, count.sum(dim=-1)[..., None, None, None]
