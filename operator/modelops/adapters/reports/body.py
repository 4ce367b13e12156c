"""The body of `POST /v1/report`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from modelops.adapters.reports.latency import BUCKET_COUNT

MAX_BODY_BYTES = 64 * 1024
Count = Annotated[int, Field(ge=0, le=2**53)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=253)]


class _Part(BaseModel):
    """Types are strict. An unknown field is ignored, because the agent's router may be newer than the operator."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", alias_generator=to_camel)


class Latency(_Part):
    """Latencies of one track. Only the buckets are used; they must add up to `count`."""

    p50: Milliseconds | None = None
    p95: Milliseconds | None = None
    count: Count = 0
    buckets: Annotated[list[Count], Field(min_length=BUCKET_COUNT, max_length=BUCKET_COUNT)]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum(self.buckets) != self.count:
            raise ValueError(
                f"the buckets add up to {sum(self.buckets)}, but count is {self.count}; they must be equal"
            )
        return self


class TrackBody(_Part):
    """Counters of one track since the process started, or since `salt` last changed."""

    sessions: Count = 0
    requests: Count = 0
    errors: Count = 0
    fallbacks: Count = 0
    tokens: Count = 0
    cost_micro_usd: Annotated[Count, Field(alias="costMicroUSD")] = 0
    latency_ms: Latency

    @model_validator(mode="after")
    def _errors_are_requests(self) -> Self:
        if self.errors > self.requests:
            raise ValueError(f"errors is {self.errors}, which is more than requests ({self.requests})")
        return self


class Tracks(_Part):
    """The counters of both tracks."""

    stable: TrackBody
    canary: TrackBody


class ReportBody(_Part):
    """The report of one process. `namespace` and `models` are optional."""

    agent: Name
    process: Name
    pod: Annotated[str, Field(max_length=253)] = ""
    namespace: Annotated[str, Field(max_length=63)] = ""
    generation: Count
    salt: Annotated[str, Field(max_length=128)]
    canary_reachable: bool | None = None
    canary_error: Annotated[str, Field(max_length=128)] | None = None
    config_errors: Count = 0
    """How many versions of the agents' file the process has refused since it started."""
    config_error: Annotated[str, Field(max_length=512)] | None = None
    """Why the process cannot use the newest version of the file; None where it does."""
    file_never_changes: bool = False
    """Whether the process has the file only by a mount that the kubelet never updates (`subPath`)."""
    models: Annotated[list[Name], Field(max_length=8)] = []
    tracks: Tracks
