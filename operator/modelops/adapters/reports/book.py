"""The newest report of every process, and what they say together."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from modelops.adapters.reports.body import ReportBody, TrackBody
from modelops.adapters.reports.latency import PLACES, added, quantile
from modelops.ports import AgentReports, Clock, Track

IN_SYNC_SECONDS: Final = 15.0
EXPIRES_SECONDS: Final = 60.0
MOST_PROCESSES: Final = 2_000
MOST_OF_ONE: Final = 500
"""Processes of one namespace: a flood of them pushes out its own, and nobody else's."""
MOST_ERRORS_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One process. `arrived` is on the operator's monotonic clock: agents' clocks are not trusted."""

    namespace: str
    """Empty where nobody vouches for one: the report counts for that agent in every namespace."""
    report: ReportBody
    arrived: float


class ReportBook:
    """`ports.Reports`. At most `most_processes` are kept, and at most `MOST_OF_ONE` of a namespace; the one that
    was silent longest goes first.

    `changed(namespace, agent)` is called in the event loop after a report that says something new: a process
    or generation not seen before, another reachability, or another count of the canary.
    `version` grows with it.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        changed: Callable[[str, str], None] = lambda _namespace, _agent: None,
        most_processes: int = MOST_PROCESSES,
    ) -> None:
        self.version = 0
        self._clock = clock
        self._changed = changed
        self._most_processes = most_processes
        self._entries: OrderedDict[tuple[str, str, str], Entry] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def take(self, report: ReportBody, *, namespace: str = "") -> None:
        """Keeps it in the place of the process' last one."""
        key = (namespace, report.agent, report.process)
        before = self._entries.pop(key, None)
        self._entries[key] = Entry(namespace=namespace, report=report, arrived=self._clock.monotonic())
        if before is None:
            self._make_room(namespace)
        if before is None or _news(before.report) != _news(report):
            self.version += 1
            self._changed(namespace, report.agent)

    def _make_room(self, namespace: str) -> None:
        count = self._counts[namespace] = self._counts[namespace] + 1
        if namespace and count > MOST_OF_ONE:
            self._drop(next(key for key in self._entries if key[0] == namespace))
        while len(self._entries) > self._most_processes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[str, str, str]) -> None:
        del self._entries[key]
        self._counts[key[0]] -= 1
        if not self._counts[key[0]]:
            del self._counts[key[0]]

    def summary(
        self, namespace: str, agent: str, *, generation: int, salt: str, pods: Sequence[str] | None
    ) -> AgentReports:
        """Counts Pods where they are given, else processes; a Pod is in sync when all its processes are.

        Counters are those of processes that count under `salt`; one that has not taken it up counts nothing.
        """
        now = self._clock.monotonic()
        heard = [
            entry
            for entry in self._of(namespace, agent)
            if now - entry.arrived <= EXPIRES_SECONDS and (pods is None or entry.report.pod in pods)
        ]
        synced = [entry for entry in heard if _in_sync(entry, generation=generation, now=now)]
        reaching = [entry for entry in synced if entry.report.canary_reachable is True]
        counted = [entry.report.tracks for entry in heard if entry.report.salt == salt]
        return AgentReports(
            expected=len({entry.report.process for entry in heard} if pods is None else set(pods)),
            heard=_units(heard, pods, of=heard),
            in_sync=_units(synced, pods, of=heard),
            canary_reachable=_units(reaching, pods, of=heard),
            canary_errors=_errors(heard),
            stable=_summed(tracks.stable for tracks in counted),
            canary=_summed(tracks.canary for tracks in counted),
            newest_seconds=min((now - entry.arrived for entry in heard), default=0.0),
            models_in_use=tuple(sorted({model for entry in heard for model in entry.report.models})),
        )

    def processes(self, namespace: str, agent: str) -> tuple[Entry, ...]:
        """The entries that a summary is made of, for people and metrics."""
        now = self._clock.monotonic()
        return tuple(entry for entry in self._of(namespace, agent) if now - entry.arrived <= EXPIRES_SECONDS)

    def _of(self, namespace: str, agent: str) -> Iterable[Entry]:
        return (
            entry
            for entry in self._entries.values()
            if entry.report.agent == agent and entry.namespace in {"", namespace}
        )


def _in_sync(entry: Entry, *, generation: int, now: float) -> bool:
    return entry.report.generation == generation and now - entry.arrived <= IN_SYNC_SECONDS


def _units(entries: Sequence[Entry], pods: Sequence[str] | None, *, of: Sequence[Entry]) -> int:
    """How many processes, or how many Pods of which no process that was heard is missing from `entries`."""
    if pods is None:
        return len(entries)
    whole = {entry.report.pod for entry in entries}
    present = {id(entry) for entry in entries}
    return len(whole - {entry.report.pod for entry in of if id(entry) not in present})


def _errors(entries: Sequence[Entry]) -> tuple[str, ...]:
    said = {
        entry.report.canary_error
        for entry in entries
        if entry.report.canary_error and entry.report.canary_reachable is False
    }
    return tuple(sorted(said))[:MOST_ERRORS_SHOWN]


def _summed(tracks: Iterable[TrackBody]) -> Track:
    every = list(tracks)
    buckets: tuple[int, ...] = (0,) * PLACES
    for track in every:
        buckets = added(buckets, track.latency_ms.buckets)
    return Track(
        requests=sum(track.requests for track in every),
        errors=sum(track.errors for track in every),
        fallbacks=sum(track.fallbacks for track in every),
        p50_ms=round(quantile(buckets, 0.50)),
        p95_ms=round(quantile(buckets, 0.95)),
        tokens=sum(track.tokens for track in every),
        cost_micro_usd=sum(track.cost_micro_usd for track in every),
    )


def _news(report: ReportBody) -> tuple[object, ...]:
    """What somebody should look at now instead of at the next tick."""
    canary = report.tracks.canary
    return (
        report.generation,
        report.salt,
        report.canary_reachable,
        report.canary_error,
        canary.requests,
        canary.errors,
        canary.fallbacks,
        report.pod,
    )
