"""The candidate's latency relative to the baseline's: ratios of quantiles, with a paired bootstrap interval."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
ENOUGH_FOR_P95 = 60
"""Pairs needed for an interval of the 95th percentile; with fewer, it depends on the slowest call alone."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The candidate's quantile divided by the baseline's; `interval` is None where there are too few pairs."""

    value: float
    interval: tuple[float, float] | None


def quantile_ratio(
    baseline_ms: Sequence[float], candidate_ms: Sequence[float], *, quantile: float, alpha: float, seed: str
) -> Ratio:
    """The ratio of the quantiles. The bootstrap draws examples as pairs; `seed` makes it repeatable.

    Both sequences have latencies of the same examples in the same order, and are not empty. The interval has `alpha`
    below and `alpha` above it.
    """
    pairs = np.array([baseline_ms, candidate_ms])
    base, candidate = np.quantile(pairs, quantile, axis=1)
    if pairs.shape[1] < (ENOUGH_FOR_P95 if quantile > 0.9 else 20):
        return Ratio(value=float(candidate / base), interval=None)
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))
    resampled = _resampled_quantiles(pairs, quantile, random)
    low, high = np.quantile(resampled[1] / resampled[0], [alpha, 1 - alpha])
    return Ratio(value=float(candidate / base), interval=(float(low), float(high)))


def _resampled_quantiles(
    pairs: NDArray[np.float64], quantile: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """The quantile of both rows in each resample, with numpy's linear interpolation; shape (2, RESAMPLES).

    Each row is sorted once. A resample is then only how often each pair was drawn, so memory and time are those of one.
    """
    size = pairs.shape[1]
    order = np.argsort(pairs, axis=1)
    values = np.take_along_axis(pairs, order, axis=1)
    place = (size - 1) * quantile
    below = int(place)
    places, share = (below, min(below + 1, size - 1)), place - below
    found = np.empty((2, RESAMPLES))
    for number in range(RESAMPLES):
        times = np.bincount(random.integers(size, size=size), minlength=size)
        for row in range(2):
            at = np.searchsorted(np.cumsum(times[order[row]]), places, side="right")
            first, second = values[row, at]
            found[row, number] = first + (second - first) * share
    return found


def percentile_ms(latencies: Sequence[float], quantile: float) -> int:
    """A quantile in whole milliseconds; 0 where there are no latencies."""
    return round(float(np.quantile(latencies, quantile))) if latencies else 0
