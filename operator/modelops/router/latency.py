"""Latencies in fixed buckets, so that the counts of several processes add up exactly."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

LATENCY_BUCKETS_MS: Final[tuple[float, ...]] = tuple(round(2 ** (step / 8), 3) for step in range(161))
"""Upper bounds in milliseconds, from 1 ms to about 17 minutes, each 9 % above the previous one.

A list of counts has one entry more than this tuple: the last entry is for latencies above the last bound.
"""


def latency_bucket(latency_ms: float) -> int:
    """The index of a latency's bucket. A value that is negative or not a number counts as the longest latency."""
    if not latency_ms >= 0:
        return len(LATENCY_BUCKETS_MS)
    return bisect_left(LATENCY_BUCKETS_MS, latency_ms)


def latency_quantile(counts: Sequence[int], quantile: float) -> float | None:
    """The latency in milliseconds at a quantile (0 to 1) of summed counts; None where all counts are 0.

    Interpolated linearly inside a bucket, as in Prometheus' `histogram_quantile`, so the error is at most 9 %. A
    latency above the last bound is reported as the last bound.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = quantile * total
    below = 0
    for index, count in enumerate(counts[: len(LATENCY_BUCKETS_MS)]):
        if count and below + count >= rank:
            lower = LATENCY_BUCKETS_MS[index - 1] if index else 0.0
            upper = LATENCY_BUCKETS_MS[index]
            return round(lower + (upper - lower) * max(0.0, rank - below) / count, 3)
        below += count
    return LATENCY_BUCKETS_MS[-1]
