"""Latencies in fixed buckets, so that the counts of many processes add up without loss."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

LATENCY_BUCKETS_MS: Final[tuple[float, ...]] = tuple(round(2 ** (step / 8), 3) for step in range(161))
"""Upper bounds in milliseconds, from 1 ms to about 17 minutes, each 9 % above the one before.

Counts have one more place than this tuple: the last one is for everything above.
"""


def latency_bucket(latency_ms: float) -> int:
    """The place in the counts of a latency; what is not a number of 0 or more counts as the longest."""
    if not latency_ms >= 0:
        return len(LATENCY_BUCKETS_MS)
    return bisect_left(LATENCY_BUCKETS_MS, latency_ms)


def latency_quantile(counts: Sequence[int], quantile: float) -> float | None:
    """The latency in milliseconds at a quantile (0 to 1) of summed counts, or None where there are none.

    Linear inside the bucket, as in Prometheus' `histogram_quantile`, so at most 9 % off; what is above the
    last bound is reported as the last bound.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = quantile * total
    below = 0
    for place, count in enumerate(counts[: len(LATENCY_BUCKETS_MS)]):
        if count and below + count >= rank:
            lower = LATENCY_BUCKETS_MS[place - 1] if place else 0.0
            upper = LATENCY_BUCKETS_MS[place]
            return round(lower + (upper - lower) * max(0.0, rank - below) / count, 3)
        below += count
    return LATENCY_BUCKETS_MS[-1]
