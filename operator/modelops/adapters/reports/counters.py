"""Counters of one track, of one process or of many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from modelops.adapters.reports.body import TrackBody
from modelops.adapters.reports.latency import PLACES, added, quantile
from modelops.ports import Track


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What adds up exactly over processes; latencies by bucket."""

    requests: int
    errors: int
    fallbacks: int
    tokens: int
    cost_micro_usd: int
    latencies: tuple[int, ...]

    @staticmethod
    def of(body: TrackBody) -> Counters:
        """As one process reported it."""
        return Counters(
            requests=body.requests,
            errors=body.errors,
            fallbacks=body.fallbacks,
            tokens=body.tokens,
            cost_micro_usd=body.cost_micro_usd,
            latencies=tuple(body.latency_ms.buckets),
        )

    def shown(self) -> Track:
        """For the analysis: with percentiles."""
        return Track(
            requests=self.requests,
            errors=self.errors,
            fallbacks=self.fallbacks,
            p50_ms=round(quantile(self.latencies, 0.50)),
            p95_ms=round(quantile(self.latencies, 0.95)),
            tokens=self.tokens,
            cost_micro_usd=self.cost_micro_usd,
        )


NOTHING: Final = Counters(
    requests=0, errors=0, fallbacks=0, tokens=0, cost_micro_usd=0, latencies=(0,) * PLACES
)


def summed(parts: Iterable[Counters]) -> Counters:
    """All of them together."""
    every = (NOTHING, *parts)
    return Counters(
        requests=sum(part.requests for part in every),
        errors=sum(part.errors for part in every),
        fallbacks=sum(part.fallbacks for part in every),
        tokens=sum(part.tokens for part in every),
        cost_micro_usd=sum(part.cost_micro_usd for part in every),
        latencies=added(part.latencies for part in every),
    )
