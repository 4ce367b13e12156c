"""How many sessions an agent began since the operator listens, from the counters of its processes, by the hour.

It is bounded: 7 days of an agent are 169 pairs of numbers, and the agent that was silent longest is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from modelops.adapters.reports.sessions import ProcessSessions
from modelops.ports import AgentTraffic, Clock

DAYS: Final = 7
HOUR: Final = 3600.0
MAX_AGENTS: Final = 500
_TOUCHED: Final = 2


@dataclass
class _Hours:
    since: float
    counts: dict[int, tuple[int, int]] = field(default_factory=dict)


class SessionRates:
    """Counts what each report has more than the one before. `since` is on the operator's monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._agents: OrderedDict[tuple[str, str], _Hours] = OrderedDict()

    def add(
        self, namespace: str, agent: str, before: ProcessSessions | None, after: ProcessSessions | None
    ) -> None:
        """After a report. The sessions of a process before its first report may be older than the operator."""
        if after is None:
            return
        now = self._clock.monotonic()
        hours = self._agents.setdefault((namespace, agent), _Hours(now))
        self._agents.move_to_end((namespace, agent))
        if len(self._agents) > MAX_AGENTS:
            self._agents.popitem(last=False)
        if before is None:
            return
        more = [
            (new.total, old.total if (old.revision, old.limits) == (new.revision, new.limits) else None)
            for new, old in ((after.stable, before.stable), (after.canary, before.canary))
        ]
        # A track that counts something else begins anew; what it has at once is left out.
        sessions = sum(max(0, new[0] - old[0]) for new, old in more if old is not None)
        failed = sum(max(0, new[_TOUCHED] - old[_TOUCHED]) for new, old in more if old is not None)
        if not sessions and not failed:
            return
        hour = int(now // HOUR)
        known = hours.counts.get(hour, (0, 0))
        hours.counts[hour] = (known[0] + sessions, known[1] + failed)
        for old_hour in [h for h in hours.counts if h < hour - DAYS * 24]:
            del hours.counts[old_hour]

    def traffic(self, namespace: str, agent: str) -> AgentTraffic | None:
        """The last 7 days of the agent; None where none of its processes reports sessions."""
        now = self._clock.monotonic()
        found = [h for space in {namespace, ""} if (h := self._agents.get((space, agent))) is not None]
        if not found:
            return None
        oldest = now - DAYS * 24 * HOUR
        first = int(oldest // HOUR) + 1
        counts = [c for hours in found for hour, c in hours.counts.items() if hour >= first]
        return AgentTraffic(
            sessions=sum(c[0] for c in counts),
            failed=sum(c[1] for c in counts),
            seconds=now - max(oldest, min(h.since for h in found)),
        )
