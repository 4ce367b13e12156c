"""From which latency on a session of stable is slow: two quantiles of its slowest request, fixed before they count.

The operator fixes them once for a stable model and answers reports with them, so that all processes ask the same
question of every session that begins afterwards. A new operator takes up what a process already uses.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Any, Final

from modelops.adapters.reports.latency import BUCKET_COUNT, quantile
from modelops.adapters.reports.sessions import ProcessSessions
from modelops.ports import LatencyLimits

MIN_SESSIONS: Final = 50
"""Stable sessions from which the limits are found. Their accuracy is no matter of truth: stable has its own rate."""
QUANTILES: Final = (0.80, 0.95)
MAX_REMEMBERED: Final = 2_000

Limits = tuple[float, float]


class SessionLimits:
    """The limits of every stable model, and how much slower the canary of a rollout may be."""

    def __init__(self) -> None:
        self._stable: OrderedDict[tuple[str, str, str], Limits] = OrderedDict()
        self._canary: OrderedDict[tuple[str, str], LatencyLimits] = OrderedDict()

    def allow(self, agent: str, salt: str, latency: LatencyLimits) -> None:
        """What the rollout of this salt allows its canary."""
        _remember(self._canary, (agent, salt), latency)

    def of_stable(self, namespace: str, agent: str, revision: str) -> Limits | None:
        """The limits of stable's sessions; None while too few sessions are known."""
        return self._stable.get((namespace, agent, revision))

    def of_canary(self, stable: Limits | None, agent: str, salt: str) -> Limits | None:
        """The limits of the canary's sessions; None while those of stable or the rollout's are not known."""
        allowed = self._canary.get((agent, salt))
        if stable is None or allowed is None:
            return None
        slow, very_slow = (round(max(allowed.floor_ms, limit * allowed.ratio), 3) for limit in stable)
        return slow, very_slow

    def learn(
        self, namespace: str, agent: str, said: ProcessSessions, others: Iterable[ProcessSessions]
    ) -> Limits | None:
        """The limits of stable, after a report; `others` are all processes with the same stable model."""
        key = namespace, agent, said.stable.revision
        found = self._stable.get(key) or said.stable.limits or _found(others)
        if found is not None:
            _remember(self._stable, key, found)
        return found

    def answer(
        self, stable: Limits | None, agent: str, salt: str, said: ProcessSessions
    ) -> dict[str, Any] | None:
        """What a process that reported this should count by; None where it does already."""
        canary = self.of_canary(stable, agent, salt) if salt else None
        if (stable or said.stable.limits) == said.stable.limits and (
            canary or said.canary.limits
        ) == said.canary.limits:
            return None
        return {
            "revision": said.stable.revision,
            "stable": list(stable) if stable else None,
            "salt": salt,
            "canary": list(canary) if canary else None,
        }


def _found(processes: Iterable[ProcessSessions]) -> Limits | None:
    sums = Counter[int]()
    for process in processes:
        sums.update(dict(process.slowest))
    if sums.total() < MIN_SESSIONS:
        return None
    counts = [sums[bucket] for bucket in range(BUCKET_COUNT)]
    slow, very_slow = (round(quantile(counts, share), 3) for share in QUANTILES)
    return (slow, very_slow) if 0 < slow <= very_slow else None


def _remember(known: OrderedDict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > MAX_REMEMBERED:
        known.popitem(last=False)
