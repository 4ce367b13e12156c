"""The body of `POST /v1/report`."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from modelops.adapters.reports.latency import BUCKET_COUNT

MAX_BODY_BYTES = 64 * 1024
SESSION_COUNTS: Final = 7
MAX_SESSION_BUCKETS: Final = 91
Count = Annotated[int, Field(ge=0, le=2**53)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
BucketBody = Annotated[list[Count], Field(min_length=SESSION_COUNTS + 1, max_length=SESSION_COUNTS + 1)]
"""The bucket's number, and its counts."""
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


class TrackSessions(_Part):
    """Sessions of one track. Counts are sessions, first, touched, broken, timed, slow, very slow."""

    revision: Annotated[str, Field(max_length=253)]
    """The model that the sessions were on."""
    limits: Annotated[list[Milliseconds], Field(min_length=2, max_length=2)] | None = None
    """Latencies above which a session is slow and very slow; None where the process has none yet."""
    folded: Annotated[list[Count], Field(min_length=SESSION_COUNTS, max_length=SESSION_COUNTS)]
    buckets: Annotated[list[BucketBody], Field(max_length=MAX_SESSION_BUCKETS)] = []

    @model_validator(mode="after")
    def _flags_are_sessions(self) -> Self:
        for counts in (self.folded, *(bucket[1:] for bucket in self.buckets)):
            sessions, first, touched, broken, timed, slow, very_slow = counts
            if max(first, broken) > touched or touched > sessions or timed > sessions:
                raise ValueError(f"{counts} has more failed or timed sessions than sessions")
            if slow > timed or very_slow > slow:
                raise ValueError(f"{counts} has more slow sessions than timed ones")
        return self


class Sessions(_Part):
    """The sessions of a process: since it started for its stable model, and since the salt changed for the canary."""

    now: Count
    """Number of the bucket of 10 s in which the report was made, on the clock of the process."""
    oldest: Count
    """Buckets below this number are in `folded`."""
    stable: TrackSessions
    canary: TrackSessions
    slowest: Annotated[
        list[Annotated[list[Count], Field(min_length=2, max_length=2)]], Field(max_length=BUCKET_COUNT)
    ] = []
    """Stable sessions without limits by their slowest request: (number of the latency's bucket, sessions)."""

    @model_validator(mode="after")
    def _latencies_have_buckets(self) -> Self:
        if any(bucket >= BUCKET_COUNT for bucket, _ in self.slowest):
            raise ValueError(f"slowest names a bucket of latency above {BUCKET_COUNT - 1}")
        return self


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
    leaving: bool = False
    """Whether this is the last report of a process that ends."""
    ended: Annotated[list[Name], Field(max_length=64)] = []
    """Processes of the same Pod whose locks the kernel has released: they ended without a last report."""
    models: Annotated[list[Name], Field(max_length=8)] = []
    tracks: Tracks
    sessions: Sessions | None = None
    """None from a router that is older: nothing is known of its sessions."""
