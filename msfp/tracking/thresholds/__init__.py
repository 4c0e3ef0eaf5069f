"""Which score a detection needs. A file of this folder that defines a concrete `Policy` registers it by existing."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from msfp.errors import InputError
from msfp.tracking.thresholds.rules import Policy, Taus, Temporal, dual, fixed, offset, single, smooth
from msfp.types import Detections, concrete, frame_bounds

__all__ = ["Policy", "Taus", "Temporal", "dual", "fixed", "follow", "make_policy", "offset", "policies", "single"]
__all__ += ["smooth"]


@cache
def policies() -> dict[str, type[Policy]]:
    """Concrete policies by name, found in the modules of this folder."""
    return concrete(__name__, __path__, Policy)  # type: ignore[type-abstract]  # only its subclasses are made


def make_policy(name: str, **settings: Any) -> Policy:
    """A policy with its own state. Raises InputError: no such policy; lists those there are."""
    if name not in policies():
        raise InputError(f"threshold policy {name!r} is not known; there are: {', '.join(policies())}")
    return policies()[name](**settings)


def follow(policy: Policy, detections: Detections, length: int) -> Taus:
    """(T, 2) thresholds that a policy chooses on one sequence, frames 1 to `length`; it is reset before."""
    policy.reset()
    bounds = frame_bounds(detections.frame, length)
    return np.array([policy.update(detections.score[a:b]) for a, b in pairwise(bounds)], np.float32).reshape(-1, 2)
