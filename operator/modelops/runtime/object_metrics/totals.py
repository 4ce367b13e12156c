"""Sums over runs and rollouts that are kept up to date by each change, so that a scrape does not walk finished ones."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
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
    by_name: dict[str, RolloutFacts] = field(default_factory=dict)
    newest: RolloutFacts | None = None
    newest_evaluated: RolloutFacts | None = None
    newest_rollback: RolloutFacts | None = None
    promoted_at: float | None = None
    aborted_at: float | None = None

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
        """Adds (1) or takes out (-1) a Rollout; walks the agent's own Rollouts."""
        _change(self.rollouts, (facts.phase, facts.reason), sign)
        if facts.verdict:
            _change(self.verdicts, facts.verdict, sign)
        if sign > 0:
            self.by_name[facts.name] = facts
        else:
            self.by_name.pop(facts.name, None)
        ordered = sorted(self.by_name.values(), key=lambda rollout: (rollout.created, rollout.name))
        self.newest = ordered[-1] if ordered else None
        self.newest_evaluated = next((r for r in reversed(ordered) if r.evaluation), None)
        self.newest_rollback = next((r for r in reversed(ordered) if r.rollback), None)
        self.promoted_at = max((r.ended for r in ordered if r.promoted and r.ended), default=None)
        self.aborted_at = max((r.ended for r in ordered if r.aborted and r.ended), default=None)

    @property
    def empty(self) -> bool:
        """Whether no run and no rollout is left."""
        return not self.runs and not self.rollouts


def _change(counts: Counter[T], key: T, sign: int) -> None:
    counts[key] += sign
    if not counts[key]:
        del counts[key]
