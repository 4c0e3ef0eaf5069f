"""Statistics behind the fit of the statistical twins: probit regression, correlation over time, normal scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize, nnls
from scipy.stats import norm, rankdata

LAGS = (1, 2, 4, 8, 16, 32, 64, 128)
Floats = NDArray[np.float64]


def probit(terms: Floats, yes: NDArray[np.bool_], offset: Floats | float = 0.0) -> Floats:
    """Coefficients of a probit regression, with a ridge that only tames empty corners."""

    def loss(beta: Floats) -> tuple[float, Floats]:
        f, sign = terms @ beta + offset, np.where(yes, 1.0, -1.0)
        log = norm.logcdf(sign * f)
        slope = sign * np.exp(norm.logpdf(f) - log)
        return -log.sum() + 0.5 * beta @ beta, -terms.T @ slope + beta

    return np.asarray(minimize(loss, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B").x)


def pairs(frame: Any, identity: Any, lag: int, most: int = 6_000) -> tuple[Any, Any]:
    """Row numbers of the same identity `lag` frames apart, thinned evenly to `most`."""
    key = identity.astype(np.int64) * 1_000_000 + frame
    order = np.argsort(key, kind="stable")
    at = np.minimum(np.searchsorted(key[order], key + lag), len(key) - 1)
    first = np.flatnonzero(key[order][at] == key + lag) if len(key) else np.zeros(0, int)
    first = first[:: max(1, len(first) // most)]
    return first, order[at[first]]


def both_positive(f: Floats, g: Floats, r: float) -> Floats:
    """P(f + z > 0 and g + y > 0) for unit normals z, y with correlation r."""
    node, weight = np.polynomial.legendre.leggauss(64)
    low = np.maximum(-f, -7.0)
    half = (7.0 - np.minimum(low, 6.9)) / 2
    z = low[:, None] + half[:, None] * (node + 1)
    inner = norm.cdf((g[:, None] + r * z) / np.sqrt(1 - r**2))
    return (norm.pdf(z) * inner) @ weight * half


def time_of_events(f: Floats, yes: NDArray[np.bool_], frame: Any, identity: Any) -> dict[str, float]:
    """Correlation of the latent behind yes/no over time: the one that gives as many yes-yes pairs as were seen."""
    found = []
    for lag in LAGS:
        i, j = pairs(frame, identity, lag)
        seen = np.mean(yes[i] & yes[j])

        def gap(r: float, i: Any = i, j: Any = j, seen: float = seen) -> float:
            return float(both_positive(f[i], f[j], r).mean() - seen)

        found.append(
            brentq(gap, 0.0, 0.998, xtol=1e-3) if gap(0.0) < 0 < gap(0.998) else (0.998 if gap(0.5) < 0 else 0.0)
        )
    return decay(np.array(found))


def time_of_values(value: Floats, frame: Any, identity: Any) -> dict[str, float]:
    """Correlation over time of (N, K) values, averaged over their columns, as normal scores."""
    normal = normal_scores(value)
    found = []
    for lag in LAGS:
        i, j = pairs(frame, identity, lag)
        found.append(np.mean(np.mean(normal[i] * normal[j], 0)) if len(i) > 50 else 0.0)
    return decay(np.array(found))


def decay(found: Floats) -> dict[str, float]:
    """fixed + slow * rho_slow**k + fast * rho_fast**k nearest to the correlations found at LAGS."""
    weight = 1 / (1.02 - np.clip(found, 0, 1))  # the next frames matter most: they decide how many runs there are
    best: tuple[float, Any] = (np.inf, None)
    for slow in (0.9, 0.95, 0.98, 0.99, 0.995, 0.998):
        for fast in (0.2, 0.5, 0.8, 0.9):
            basis = np.stack([np.ones(len(LAGS)), slow ** np.array(LAGS), fast ** np.array(LAGS)], 1)
            shares, rest = nnls(basis * weight[:, None], np.maximum(found, 0) * weight)
            if shares.sum() <= 1 and rest < best[0]:
                best = (rest, (shares, slow, fast))
    if best[1] is None:
        return decay(found * 0.98)
    shares, slow, fast = best[1]
    return {"fixed": shares[0], "slow": shares[1], "rho_slow": slow, "fast": shares[2], "rho_fast": fast}


def normal_scores(value: Floats) -> Floats:
    """Ranks of each column as unit normals; ties share their mean rank."""
    return norm.ppf((rankdata(value, axis=0) - 0.5) / len(value))


def spread_ties(value: Floats) -> Floats:
    """Normal scores for a column with many ties, ties spread evenly in a fixed pseudo-random order."""
    order = np.lexsort((np.random.default_rng(0).random(len(value)), value))
    rank = np.empty(len(value))
    rank[order] = np.arange(len(value))
    return norm.ppf((rank + 0.5) / len(value))
