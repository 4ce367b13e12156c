"""Latencies of many processes as one: counts in fixed buckets, added up.

The bounds are the router's (`modelops.router.latency`), written again: the operator takes reports from agents
with another version of the router too, so the form of a report is a contract, not a shared constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

LATENCY_BUCKETS_MS: Final[tuple[float, ...]] = tuple(round(2 ** (step / 8), 3) for step in range(161))
"""Upper bounds in milliseconds; counts have one more place, for everything above."""
PLACES: Final = len(LATENCY_BUCKETS_MS) + 1


def quantile(counts: Sequence[int], share: float) -> float:
    """Milliseconds below which this share of the requests stayed; 0 without requests.

    Linear inside the bucket, as Prometheus' `histogram_quantile`; above the last bound it is the last bound.
    """
    rank = share * sum(counts)
    if rank <= 0:
        return 0.0
    below = 0
    for place, count in enumerate(counts[:-1]):
        if count and below + count >= rank:
            lower = LATENCY_BUCKETS_MS[place - 1] if place else 0.0
            return lower + (LATENCY_BUCKETS_MS[place] - lower) * (rank - below) / count
        below += count
    return LATENCY_BUCKETS_MS[-1]


def added(every: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """All counts together, place by place."""
    return tuple(map(sum, zip(*every, strict=True)))
