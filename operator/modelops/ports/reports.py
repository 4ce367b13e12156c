"""Reports of the agents' processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class TrackCounters:
    """Counters of the stable or canary track since the rollout began, summed over processes.

    Processes that have ended count too. Latencies are in milliseconds.
    """

    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    p50_ms: int = 0
    p95_ms: int = 0
    tokens: int = 0
    cost_micro_usd: int = 0


@dataclass(frozen=True, kw_only=True)
class SessionTrack:
    """Sessions of one track by the time of their start, summed over processes.

    A bucket has 10 s, and its counts are sessions, first, touched, broken, timed, slow, very slow
    (`domain.analysis.metrics`).
    """

    folded: tuple[int, ...] = (0,) * 7
    """Sessions that began more than 15 minutes ago."""
    live: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """(number of the bucket, counts), in order."""


@dataclass(frozen=True, kw_only=True)
class SessionReports:
    """The sessions of both tracks: the canary's of this rollout, and all of the stable revision, also older ones."""

    stable: SessionTrack = field(default_factory=SessionTrack)
    canary: SessionTrack = field(default_factory=SessionTrack)
    stable_model: str = ""
    """The model that `stable` is of, as routers name it: its version (empty where the file has none) and its name."""
    without_sessions: int = 0
    """Processes whose router is older and reports requests only: nothing is known of their sessions."""

    @property
    def stable_version(self) -> str:
        """The version of `stable_model`; empty where it is not known."""
        return self.stable_model.partition(" ")[0]


@dataclass(frozen=True, kw_only=True)
class LatencyLimits:
    """How a session of the canary is compared by its slowest request."""

    ratio: float = 1.5
    """A canary's session is slow from this factor times stable's limit on."""
    floor_ms: float = 100.0
    """A canary's session is never slow below this."""


@dataclass(frozen=True, kw_only=True)
class AgentReports:
    """The current reports of an agent's processes, summed."""

    expected: int
    """Processes that should report."""
    heard: int
    """Processes that do report."""
    in_sync: int
    """Processes that reported the requested generation within 15 s, and can use the newest version of the file."""
    canary_reachable: int
    """Processes that can reach the canary."""
    refusing: int = 0
    """Processes that are not in sync and have refused a version of the agents' file."""
    config_errors: tuple[str, ...] = ()
    """Why processes cannot use the newest version of the agents' file; at most five."""
    canary_unreachable: int = 0
    """Processes that reported within 15 s, under the requested salt, that they cannot reach the canary."""
    canary_errors: tuple[str, ...] = ()
    stable: TrackCounters = field(default_factory=TrackCounters)
    canary: TrackCounters = field(default_factory=TrackCounters)
    sessions: SessionReports = field(default_factory=SessionReports)
    oldest_seconds: float = 0.0
    """Age of the oldest report that is used."""
    newest_seconds: float = 0.0
    """Age of the newest report."""
    models_in_use: tuple[str, ...] = ()
    silent_seconds: float | None = None
    """How long the process has been silent that was silent for longest, of those that nothing shows to be dead and that
    may still use a routing of another salt. Infinite where one had a canary in its last report. None: there is none.
    """


@dataclass(frozen=True, kw_only=True)
class AgentTraffic:
    """How many sessions an agent began, and how many of them had an error, in the last seconds."""

    sessions: int
    failed: int
    seconds: float


class Reports(Protocol):
    """Reports of the agents' processes, which the operator keeps."""

    def summary(
        self,
        namespace: str,
        agent: str,
        *,
        generation: int,
        salt: str,
        pods: Sequence[str] | None,
        latency: LatencyLimits | None = None,
        stable_seconds: float | None = None,
        with_sessions: bool = True,
        present: Sequence[str] | None = None,
    ) -> AgentReports:
        """The reports of one agent. `pods` are the names of the ready Pods; None: all processes that report count.

        `latency`: limits that agents count the canary's slow sessions by from now on, under this salt.
        `stable_seconds`: for how long the stable model has served. The sessions of processes that reported last before
        that are of an earlier time of the same model, and do not count. None: all count.
        `present`: the names of all Pods that exist, ready or not: the processes of others are dead. None: not known.
        `with_sessions`: False where nobody reads them: their sum over 500 busy processes takes 50 ms.
        """

    def unconfirmed(
        self, namespace: str, agent: str, *, generation: int, pods: Sequence[str]
    ) -> tuple[str, ...]:
        """Those of these Pods whose processes have not all confirmed this generation, or do not report."""

    def fixed_files(self, namespace: str, agent: str, *, pods: Sequence[str] | None) -> tuple[str, ...]:
        """Pods, or processes, that never see a change of the file, because of how it is mounted; at most five."""

    def traffic(self, namespace: str, agent: str) -> AgentTraffic | None:
        """The agent's sessions since the operator listens, of 7 days at most; None where nothing reports sessions."""
