"""How much slower or faster the candidate is: ratios of quantiles, with a paired bootstrap interval."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
ENOUGH_FOR_P95 = 60
"""Below this many pairs the 95th percentile is little else than the slowest call."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Candidate over baseline; the interval is None where there are too few pairs for one."""

    value: float
    interval: tuple[float, float] | None


def ratio(
    baseline_ms: Sequence[float], candidate_ms: Sequence[float], *, quantile: float, alpha: float, seed: str
) -> Ratio:
    """The ratio of the two quantiles; examples are drawn as pairs, and the seed makes it repeatable.

    Both sequences have the same examples in the same order, none empty.
    """
    pairs = np.array([baseline_ms, candidate_ms])
    base, candidate = np.quantile(pairs, quantile, axis=1)
    if pairs.shape[1] < (ENOUGH_FOR_P95 if quantile > 0.9 else 20):
        return Ratio(value=float(candidate / base), interval=None)
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))
    drawn = random.integers(pairs.shape[1], size=(RESAMPLES, pairs.shape[1]))
    resampled = np.quantile(pairs[:, drawn], quantile, axis=2)
    low, high = np.quantile(resampled[1] / resampled[0], [alpha, 1 - alpha])
    return Ratio(value=float(candidate / base), interval=(float(low), float(high)))


def percentile_ms(latencies: Sequence[float], quantile: float) -> int:
    """Whole milliseconds; 0 where nothing was answered."""
    return round(float(np.quantile(latencies, quantile))) if latencies else 0
