"""Latencies of several processes: counts in fixed buckets, added up.

The bounds equal those of `modelops.router.latency`. They are not imported, because the operator also receives
reports from agents with another version of the router: the form of a report is a contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

LATENCY_BUCKETS_MS: Final[tuple[float, ...]] = tuple(round(2 ** (step / 8), 3) for step in range(161))
"""Upper bounds in milliseconds. A list of counts has one entry more, for latencies above the last bound."""
BUCKET_COUNT: Final = len(LATENCY_BUCKETS_MS) + 1


def quantile(counts: Sequence[int], share: float) -> float:
    """The latency in milliseconds that this share of the requests did not exceed; 0 without requests.

    Interpolated linearly inside a bucket, as in Prometheus' `histogram_quantile`. A latency above the last
    bound is reported as the last bound.
    """
    rank = share * sum(counts)
    if rank <= 0:
        return 0.0
    below = 0
    for bucket, count in enumerate(counts[:-1]):
        if count and below + count >= rank:
            lower = LATENCY_BUCKETS_MS[bucket - 1] if bucket else 0.0
            return lower + (LATENCY_BUCKETS_MS[bucket] - lower) * (rank - below) / count
        below += count
    return LATENCY_BUCKETS_MS[-1]


def sum_counts(every: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The sum of several lists of counts, bucket by bucket."""
    return tuple(map(sum, zip(*every, strict=True)))
