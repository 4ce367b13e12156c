"""The newest report of every process, and what they say together."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from modelops.adapters.reports.asked import Asked
from modelops.adapters.reports.body import ReportBody
from modelops.ports import AgentReports, Clock, Track

IN_SYNC_SECONDS: Final = 15.0
EXPIRES_SECONDS: Final = 60.0
MOST_PROCESSES: Final = 2_000
MOST_OF_ONE: Final = 500
"""Processes of one namespace: a flood of them pushes out its own, and nobody else's."""
MOST_SALTS: Final = 500
"""About 10 KB each; the one that nobody asked about for longest goes first."""
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
    was silent longest goes first. What it counted stays in the sums of its salt while somebody asks about that salt;
    a process that comes back all the same is a new one, since not all that ever were are remembered.

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
        self._asked: OrderedDict[tuple[str, str, str], Asked] = OrderedDict()

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
        entry = self._entries.pop(key)
        # One that was heard lately will speak again, and then says all that it ever counted.
        if self._clock.monotonic() - entry.arrived > EXPIRES_SECONDS:
            self._keep(entry)
        self._counts[key[0]] -= 1
        if not self._counts[key[0]]:
            del self._counts[key[0]]

    def _keep(self, entry: Entry) -> None:
        report = entry.report
        for (namespace, agent, salt), asked in self._asked.items():
            if (agent, salt) == (report.agent, report.salt) and entry.namespace in {"", namespace}:
                asked.keep(report)

    def summary(
        self, namespace: str, agent: str, *, generation: int, salt: str, pods: Sequence[str] | None
    ) -> AgentReports:
        """Counts Pods where they are given, else processes; a Pod is in sync when all its processes are.

        Counters are those of processes that count under `salt`; one that has not taken it up counts nothing. One that
        has fallen silent, or whose Pod is gone, is not expected any more, but what it counted stays.
        """
        now = self._clock.monotonic()
        heard = [
            entry
            for entry in self._of(namespace, agent)
            if now - entry.arrived <= EXPIRES_SECONDS and (pods is None or entry.report.pod in pods)
        ]
        synced = [entry for entry in heard if _in_sync(entry, generation=generation, now=now)]
        reaching = [entry for entry in synced if entry.report.canary_reachable is True]
        stable, canary = self._tracks(namespace, agent, salt, pods=pods)
        return AgentReports(
            expected=len({entry.report.process for entry in heard} if pods is None else set(pods)),
            heard=_units(heard, pods, of=heard),
            in_sync=_units(synced, pods, of=heard),
            canary_reachable=_units(reaching, pods, of=heard),
            canary_errors=_errors(heard),
            stable=stable,
            canary=canary,
            newest_seconds=min((now - entry.arrived for entry in heard), default=0.0),
            models_in_use=tuple(sorted({model for entry in heard for model in entry.report.models})),
        )

    def _tracks(
        self, namespace: str, agent: str, salt: str, *, pods: Sequence[str] | None
    ) -> tuple[Track, Track]:
        """Stable and canary, of every process that counts under the salt, gone or not."""
        reports = [entry.report for entry in self._of(namespace, agent) if entry.report.salt == salt]
        asked = self._asked.pop((namespace, agent, salt), None)
        if asked is None:
            if not reports:
                return Track(), Track()
            asked = Asked()
        self._asked[namespace, agent, salt] = asked
        if len(self._asked) > MOST_SALTS:
            self._asked.popitem(last=False)
        asked.expect(pods, reports=reports)
        return asked.tracks(reports)

    def processes(self, namespace: str, agent: str) -> tuple[Entry, ...]:
        """The entries that are heard, for people and metrics."""
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
