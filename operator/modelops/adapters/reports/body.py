"""The body of `POST /v1/report`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from modelops.adapters.reports.latency import PLACES

LARGEST_BODY = 64 * 1024
Count = Annotated[int, Field(ge=0, le=2**53)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=253)]


class _Part(BaseModel):
    """Types are exact; a field that is not known here is left out, since routers may be newer."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", alias_generator=to_camel)


class Latency(_Part):
    """Percentiles are the process' own; only the buckets, which must add up to `count`, are used."""

    p50: Milliseconds | None = None
    p95: Milliseconds | None = None
    count: Count = 0
    buckets: Annotated[list[Count], Field(min_length=PLACES, max_length=PLACES)]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum(self.buckets) != self.count:
            raise ValueError(f"buckets add up to {sum(self.buckets)}, count is {self.count}")
        return self


class TrackBody(_Part):
    """Counters of one track since the process start or since `salt` last changed."""

    sessions: Count = 0
    requests: Count = 0
    errors: Count = 0
    fallbacks: Count = 0
    tokens: Count = 0
    cost_micro_usd: Annotated[Count, Field(alias="costMicroUSD")] = 0
    latency_ms: Latency

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.errors > self.requests:
            raise ValueError(f"{self.errors} errors in {self.requests} requests")
        return self


class Tracks(_Part):
    """Where requests went."""

    stable: TrackBody
    canary: TrackBody


class ReportBody(_Part):
    """One process' report. `namespace` and `models` may be left out."""

    agent: Name
    process: Name
    pod: Annotated[str, Field(max_length=253)] = ""
    namespace: Annotated[str, Field(max_length=63)] = ""
    generation: Count
    salt: Annotated[str, Field(max_length=128)]
    canary_reachable: bool | None = None
    canary_error: Annotated[str, Field(max_length=128)] | None = None
    models: Annotated[list[Name], Field(max_length=8)] = []
    tracks: Tracks
