"""Counters of one track: of one process, or summed over several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from modelops.adapters.reports.body import TrackBody
from modelops.adapters.reports.latency import BUCKET_COUNT, quantile, sum_counts
from modelops.ports import TrackCounters


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Counters that can be added up exactly over processes; latencies are counts by bucket."""

    requests: int
    errors: int
    fallbacks: int
    tokens: int
    cost_micro_usd: int
    latencies: tuple[int, ...]

    @staticmethod
    def of(body: TrackBody) -> Counters:
        """The counters that one process reported."""
        return Counters(
            requests=body.requests,
            errors=body.errors,
            fallbacks=body.fallbacks,
            tokens=body.tokens,
            cost_micro_usd=body.cost_micro_usd,
            latencies=tuple(body.latency_ms.buckets),
        )

    def as_track(self) -> TrackCounters:
        """The counters as the analysis reads them: with percentiles."""
        return TrackCounters(
            requests=self.requests,
            errors=self.errors,
            fallbacks=self.fallbacks,
            p50_ms=round(quantile(self.latencies, 0.50)),
            p95_ms=round(quantile(self.latencies, 0.95)),
            tokens=self.tokens,
            cost_micro_usd=self.cost_micro_usd,
        )


ZERO_COUNTERS: Final = Counters(
    requests=0, errors=0, fallbacks=0, tokens=0, cost_micro_usd=0, latencies=(0,) * BUCKET_COUNT
)


def sum_counters(parts: Iterable[Counters]) -> Counters:
    """The sum of all parts."""
    every = (ZERO_COUNTERS, *parts)
    return Counters(
        requests=sum(part.requests for part in every),
        errors=sum(part.errors for part in every),
        fallbacks=sum(part.fallbacks for part in every),
        tokens=sum(part.tokens for part in every),
        cost_micro_usd=sum(part.cost_micro_usd for part in every),
        latencies=sum_counts(part.latencies for part in every),
    )
