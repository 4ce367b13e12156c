"""Keeps the newest report of every process, and sums the reports of an agent."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

from modelops.adapters.reports.agent_traffic import SessionRates
from modelops.adapters.reports.body import ReportBody
from modelops.adapters.reports.latency_limits import SessionLimits
from modelops.adapters.reports.salt_counters import SaltCounters
from modelops.adapters.reports.sessions import (
    BUCKET_SECONDS,
    NO_COUNTS,
    Counts,
    ProcessSessions,
    ProcessTrack,
    add,
    sum_tracks,
)
from modelops.ports import AgentReports, AgentTraffic, Clock, LatencyLimits, SessionReports, TrackCounters

IN_SYNC_SECONDS: Final = 15.0
EXPIRES_SECONDS: Final = 60.0
MAX_PROCESSES: Final = 2_000
MAX_PROCESSES_PER_NAMESPACE: Final = 500
"""Processes of one namespace. A namespace with more of them loses its own oldest ones, not those of others."""
MAX_SALTS: Final = 500
"""About 10 KB each. The salt with the oldest request for a summary is removed first."""
MAX_ERRORS_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class ProcessEntry:
    """The newest report of one process. `arrived` is on the operator's monotonic clock, in seconds."""

    namespace: str
    """Empty where the token proves no namespace; the report then counts for that agent in every namespace."""
    report: ReportBody
    arrived: float
    sessions: ProcessSessions | None = None
    """Merged over all its reports; None from a router that reports none."""
    ended: bool = False
    """Whether another process of its Pod has seen since its last report that the kernel released its lock."""

    @property
    def is_gone(self) -> bool:
        """Whether the process said that it ends, or is known to be dead. One that is only silent is not gone."""
        return self.report.leaving or self.ended


class ReportStore:
    """`ports.Reports`, in memory.

    At most `max_processes` are kept, and at most `MAX_PROCESSES_PER_NAMESPACE` of one namespace; the process
    that was silent for longest is removed first. Its counters stay in the sums of its salt while summaries of
    that salt are requested. If a removed process reports again, it counts as a new one.

    `on_change(namespace, agent)` is called in the event loop after a report with news: a new process, generation
    or salt, another reachability of the canary, or other counters of the canary. `version` grows at the same time.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        on_change: Callable[[str, str], None] = lambda _namespace, _agent: None,
        max_processes: int = MAX_PROCESSES,
    ) -> None:
        self.version = 0
        self._clock = clock
        self._on_change = on_change
        self._max_processes = max_processes
        self._entries: OrderedDict[tuple[str, str, str], ProcessEntry] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._by_salt: OrderedDict[tuple[str, str, str], SaltCounters] = OrderedDict()
        self._limits = SessionLimits()
        self._rates = SessionRates(clock)
        self._ended_stable: OrderedDict[tuple[str, str, str], Counts] = OrderedDict()

    def record(self, report: ReportBody, *, namespace: str = "") -> dict[str, Any] | None:
        """Replaces the last report of the process. Returns what it should count its sessions by; None: as it does."""
        key = (namespace, report.agent, report.process)
        previous = self._entries.pop(key, None)
        self._entries[key] = ProcessEntry(
            namespace=namespace,
            report=report,
            arrived=self._clock.monotonic(),
            sessions=self._sessions_after(previous, report),
        )
        said = self._entries[key].sessions
        self._rates.add(namespace, report.agent, previous.sessions if previous is not None else None, said)
        if previous is None:
            self._make_room(namespace)
        some_ended = self._mark_ended(namespace, report)
        if (
            previous is None
            or some_ended
            or _significant_fields(previous.report) != _significant_fields(report)
        ):
            self.version += 1
            self._on_change(namespace, report.agent)
        return self._answer(self._entries[key])

    def _mark_ended(self, namespace: str, report: ReportBody) -> bool:
        """Notes which processes are dead. Returns whether that is news. A process speaks only of its own Pod.

        If a process that was marked reports again, it counts again.
        """
        news = False
        for process in report.ended:
            key = (namespace, report.agent, process)
            entry = self._entries.get(key)
            if entry is None or entry.is_gone or entry.report.pod != report.pod or process == report.process:
                continue
            self._entries[key] = replace(entry, ended=True)
            news = True
        return news

    def _sessions_after(self, previous: ProcessEntry | None, report: ReportBody) -> ProcessSessions | None:
        before = previous.sessions if previous is not None else None
        if report.sessions is None:
            return before
        if previous is not None and before is not None and previous.report.salt != report.salt:
            before = replace(before, canary=ProcessTrack())
        return ProcessSessions.after(before, report.sessions, now=self._bucket())

    def _bucket(self) -> int:
        """The number of the current bucket of 10 s on the operator's clock."""
        return int(self._clock.now().timestamp() // BUCKET_SECONDS)

    def _answer(self, entry: ProcessEntry) -> dict[str, Any] | None:
        said = entry.sessions
        if said is None or entry.report.sessions is None:
            return None
        agent, revision = entry.report.agent, said.stable.revision
        others = (
            e.sessions
            for e in self._entries.values()
            if e.report.agent == agent
            and e.namespace == entry.namespace
            and e.sessions is not None
            and e.sessions.stable.revision == revision
        )
        limits = self._limits.learn(entry.namespace, agent, said, others)
        return self._limits.answer(limits, agent, entry.report.salt, said)

    def _make_room(self, namespace: str) -> None:
        count = self._counts[namespace] = self._counts[namespace] + 1
        if namespace and count > MAX_PROCESSES_PER_NAMESPACE:
            self._remove(next(key for key in self._entries if key[0] == namespace))
        while len(self._entries) > self._max_processes:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: tuple[str, str, str]) -> None:
        entry = self._entries.pop(key)
        # A process that reported recently will report again, with all its counters.
        if self._clock.monotonic() - entry.arrived > EXPIRES_SECONDS:
            self._add_to_sums(entry)
        self._counts[key[0]] -= 1
        if not self._counts[key[0]]:
            del self._counts[key[0]]

    def _add_to_sums(self, entry: ProcessEntry) -> None:
        report = entry.report
        if entry.sessions is not None:
            stable = entry.sessions.stable
            key = entry.namespace, report.agent, stable.revision
            self._ended_stable[key] = add((self._ended_stable.pop(key, NO_COUNTS), stable.total))
            if len(self._ended_stable) > MAX_SALTS:
                self._ended_stable.popitem(last=False)
        for (namespace, agent, salt), counters in self._by_salt.items():
            if (agent, salt) == (report.agent, report.salt) and entry.namespace in {"", namespace}:
                counters.add_removed(report, entry.sessions)

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
        """The sum of an agent's reports. Counts Pods if `pods` is given, else processes.

        A Pod is in sync when all its processes are. Only counters under `salt` are summed, so a process that has
        not adopted the salt yet adds nothing. A process that is silent, that said that it ends, that is known to be
        dead, or whose Pod is deleted, is no longer expected, but its counters stay in the sums.
        """
        if latency is not None:
            self._limits.allow(agent, salt, latency)
        now = self._clock.monotonic()
        heard = self._heard(namespace, agent, pods)
        synced = [entry for entry in heard if _in_sync(entry, generation=generation, now=now)]
        reaching = [entry for entry in synced if entry.report.canary_reachable is True]
        failing = [
            entry
            for entry in heard
            if entry.report.canary_reachable is False
            and entry.report.salt == salt
            and now - entry.arrived <= IN_SYNC_SECONDS
        ]
        stable, canary = self._tracks(namespace, agent, salt, pods=pods)
        return AgentReports(
            expected=len({entry.report.process for entry in heard} if pods is None else set(pods)),
            heard=_count_units(heard, pods, of=heard),
            in_sync=_count_units(synced, pods, of=heard),
            canary_reachable=_count_units(reaching, pods, of=heard),
            refusing=sum(
                entry.report.config_errors > 0 and not _in_sync(entry, generation=generation, now=now)
                for entry in heard
            ),
            config_errors=_first_of(entry.report.config_error for entry in heard),
            canary_unreachable=len(
                {entry.report.process if pods is None else entry.report.pod for entry in failing}
            ),
            canary_errors=_canary_errors(heard),
            stable=stable,
            canary=canary,
            sessions=self._sessions(
                namespace, agent, salt, generation=generation, heard=heard, stable_seconds=stable_seconds
            )
            if with_sessions
            else SessionReports(),
            newest_seconds=min((now - entry.arrived for entry in heard), default=0.0),
            models_in_use=tuple(sorted({model for entry in heard for model in entry.report.models})),
            silent_seconds=self._silent_seconds(namespace, agent, salt, pods=pods, present=present),
        )

    def _silent_seconds(
        self,
        namespace: str,
        agent: str,
        salt: str,
        *,
        pods: Sequence[str] | None,
        present: Sequence[str] | None,
    ) -> float | None:
        """See `AgentReports.silent_seconds`. However long ago it was heard, a process that is silent may live.

        One whose Pod exists and is not expected, as one that is not ready, is looked at in the same way.
        """
        now = self._clock.monotonic()
        return max(
            (
                inf if len(entry.report.models) > 1 else now - entry.arrived
                for entry in self._entries_of(namespace, agent)
                if (
                    now - entry.arrived > IN_SYNC_SECONDS
                    or (pods is not None and entry.report.pod not in pods)
                )
                and not entry.is_gone
                and entry.report.salt != salt
                and (present is None or entry.report.pod in present)
            ),
            default=None,
        )

    def unconfirmed(
        self, namespace: str, agent: str, *, generation: int, pods: Sequence[str]
    ) -> tuple[str, ...]:
        """See `ports.Reports`. No counter is looked at."""
        now, heard = self._clock.monotonic(), self._heard(namespace, agent, pods)
        behind = {e.report.pod for e in heard if not _in_sync(e, generation=generation, now=now)}
        confirmed = {e.report.pod for e in heard} - behind
        return tuple(pod for pod in pods if pod not in confirmed)

    def traffic(self, namespace: str, agent: str) -> AgentTraffic | None:
        """See `ports.Reports`."""
        return self._rates.traffic(namespace, agent)

    def fixed_files(self, namespace: str, agent: str, *, pods: Sequence[str] | None) -> tuple[str, ...]:
        """See `ports.Reports`. No counter is looked at."""
        return _first_of(
            entry.report.pod or entry.report.process
            for entry in self._heard(namespace, agent, pods)
            if entry.report.file_never_changes
        )

    def _heard(self, namespace: str, agent: str, pods: Sequence[str] | None) -> list[ProcessEntry]:
        """The processes that reported recently; with `pods`, those of these Pods."""
        present = self.processes(namespace, agent)
        names = None if pods is None else frozenset(pods)
        return [entry for entry in present if names is None or entry.report.pod in names]

    def _tracks(
        self, namespace: str, agent: str, salt: str, *, pods: Sequence[str] | None
    ) -> tuple[TrackCounters, TrackCounters]:
        """The sums of stable and canary under the salt, over present and removed processes."""
        reports = [entry.report for entry in self._entries_of(namespace, agent) if entry.report.salt == salt]
        counters = self._by_salt.pop((namespace, agent, salt), None)
        if counters is None:
            if not reports:
                return TrackCounters(), TrackCounters()
            counters = SaltCounters()
        self._by_salt[namespace, agent, salt] = counters
        if len(self._by_salt) > MAX_SALTS:
            self._by_salt.popitem(last=False)
        counters.set_expected_pods(pods, reports=reports)
        return counters.tracks(reports)

    def _sessions(
        self,
        namespace: str,
        agent: str,
        salt: str,
        *,
        generation: int,
        heard: Sequence[ProcessEntry],
        stable_seconds: float | None,
    ) -> SessionReports:
        """The sessions of both tracks: the canary's under the salt, and stable's, also those before the salt.

        Stable is the model that the processes under this salt report as stable, first those that have confirmed this
        generation: after a promotion the others still report the model before, under the same salt. Where no process
        has the salt, all are asked: one that has seen `routing` removed keeps the salt of before.
        """
        without = sum(entry.sessions is None for entry in heard)
        counters = self._by_salt.get((namespace, agent, salt))
        known = [
            (entry, entry.sessions)
            for entry in self._entries_of(namespace, agent)
            if entry.sessions is not None and (counters is None or counters.counts(entry.report))
        ]
        if not known:
            return SessionReports(without_sessions=without)
        under_salt = [(entry, said) for entry, said in known if entry.report.salt == salt]
        newest, said = max(
            under_salt or known, key=lambda pair: (pair[0].report.generation == generation, pair[0].arrived)
        )
        revision, now = said.stable.revision, self._bucket()
        limits = self._limits.of_stable(newest.namespace, agent, revision)
        since = -inf if stable_seconds is None else self._clock.monotonic() - stable_seconds
        ended = [self._ended_stable.get((space, agent, revision), NO_COUNTS) for space in {namespace, ""}]
        return SessionReports(
            stable_model=revision,
            stable=sum_tracks(
                [
                    said.stable
                    for entry, said in known
                    if said.stable.revision == revision and entry.arrived >= since
                ],
                removed=add(ended) if stable_seconds is None else NO_COUNTS,
                limits=limits,
                now=now,
            ),
            canary=sum_tracks(
                [said.canary for _, said in under_salt],
                removed=counters.removed_sessions if counters is not None else NO_COUNTS,
                limits=self._limits.of_canary(limits, agent, salt),
                now=now,
            ),
            without_sessions=without,
        )

    def processes(self, namespace: str, agent: str) -> tuple[ProcessEntry, ...]:
        """The processes that reported recently and are not known to have ended, for people and metrics."""
        now = self._clock.monotonic()
        return tuple(
            entry
            for entry in self._entries_of(namespace, agent)
            if now - entry.arrived <= EXPIRES_SECONDS and not entry.is_gone
        )

    def _entries_of(self, namespace: str, agent: str) -> Iterable[ProcessEntry]:
        return (
            entry
            for entry in self._entries.values()
            if entry.report.agent == agent and entry.namespace in {"", namespace}
        )


def _in_sync(entry: ProcessEntry, *, generation: int, now: float) -> bool:
    """Whether the process uses the newest version: an edit of a person has the generation of the one before."""
    report = entry.report
    follows = report.generation == generation and not report.config_error
    return follows and now - entry.arrived <= IN_SYNC_SECONDS


def _count_units(
    entries: Sequence[ProcessEntry], pods: Sequence[str] | None, *, of: Sequence[ProcessEntry]
) -> int:
    """The number of processes; with `pods`, the number of Pods whose reporting processes are all in `entries`."""
    if pods is None:
        return len(entries)
    with_entries = {entry.report.pod for entry in entries}
    present = {id(entry) for entry in entries}
    return len(with_entries - {entry.report.pod for entry in of if id(entry) not in present})


def _canary_errors(entries: Sequence[ProcessEntry]) -> tuple[str, ...]:
    return _first_of(entry.report.canary_error for entry in entries if entry.report.canary_reachable is False)


def _first_of(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if text}))[:MAX_ERRORS_SHOWN]


def _significant_fields(report: ReportBody) -> tuple[object, ...]:
    """The parts of a report that are worth a reconcile at once, without waiting for the next poll."""
    canary = report.tracks.canary
    return (
        report.generation,
        report.salt,
        report.canary_reachable,
        report.canary_error,
        report.config_errors,
        report.config_error,
        report.file_never_changes,
        report.leaving,
        canary.requests,
        canary.errors,
        canary.fallbacks,
        report.pod,
    )
