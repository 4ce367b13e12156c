"""Sums over runs and rollouts that are kept up to date by each change, so that a scrape does not walk finished ones."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from modelops.runtime.object_metrics.finished import RolloutFacts, RunFacts

T = TypeVar("T")

DURATION_BOUNDS: Final = (10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200)
"""Seconds."""


@dataclass(kw_only=True)
class Durations:
    """A histogram of whole seconds from which a value can be taken out again."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS) + 1))
    total: int = 0

    def change(self, seconds: int, sign: int) -> None:
        """Adds (1) or takes out (-1) a duration."""
        self.counts[bisect_left(DURATION_BOUNDS, seconds)] += sign
        self.total += sign * seconds


@dataclass(frozen=True, kw_only=True)
class NewestRollouts:
    """Which of an agent's Rollouts came last, of those that say something. Times are Unix seconds."""

    newest: RolloutFacts | None
    evaluated: RolloutFacts | None
    rolled_back: RolloutFacts | None
    promoted_at: float | None
    aborted_at: float | None

    @classmethod
    def of(cls, rollouts: Iterable[RolloutFacts]) -> NewestRollouts:
        """Walks all of the agent's Rollouts."""
        ordered = sorted(rollouts, key=lambda rollout: (rollout.created, rollout.name))
        return cls(
            newest=ordered[-1] if ordered else None,
            evaluated=next((r for r in reversed(ordered) if r.evaluation), None),
            rolled_back=next((r for r in reversed(ordered) if r.rollback), None),
            promoted_at=max((r.ended for r in ordered if r.promoted and r.ended), default=None),
            aborted_at=max((r.ended for r in ordered if r.aborted and r.ended), default=None),
        )


@dataclass(kw_only=True)
class AgentTotals:
    """The sums of one agent. Money is in micro-USD."""

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By phase and reason."""
    rollouts: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    low: int = 0
    high: int = 0
    billed: int = 0
    compared: int = 0
    """Runs in `low`, `high` and `billed`."""
    _by_name: dict[str, RolloutFacts] = field(default_factory=dict)
    _newest: NewestRollouts | None = None
    """None after a change, until it is asked for."""

    def change_run(self, facts: RunFacts, sign: int) -> None:
        """Adds (1) or takes out (-1) a TrainingRun."""
        _change(self.runs, (facts.phase, facts.reason), sign)
        if facts.estimate_and_bill is not None:
            low, high, billed = facts.estimate_and_bill
            self.low += sign * low
            self.high += sign * high
            self.billed += sign * billed
            self.compared += sign

    def change_rollout(self, facts: RolloutFacts, sign: int) -> None:
        """Adds (1) or takes out (-1) a Rollout."""
        _change(self.rollouts, (facts.phase, facts.reason), sign)
        if facts.verdict:
            _change(self.verdicts, facts.verdict, sign)
        if sign > 0:
            self._by_name[facts.name] = facts
        else:
            self._by_name.pop(facts.name, None)
        self._newest = None

    @property
    def newest_rollouts(self) -> NewestRollouts:
        """Found at a scrape, and kept until the next change: the cache changes far more often, above all at a start."""
        if self._newest is None:
            self._newest = NewestRollouts.of(self._by_name.values())
        return self._newest

    @property
    def empty(self) -> bool:
        """Whether no run and no rollout is left."""
        return not self.runs and not self.rollouts


def _change(counts: Counter[T], key: T, sign: int) -> None:
    counts[key] += sign
    if not counts[key]:
        del counts[key]
