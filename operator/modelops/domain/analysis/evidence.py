"""What the sessions show about the canary at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelops.domain.analysis.metrics import METRICS, NO_COUNTS, Counts, Metric


class Judgement(StrEnum):
    """What may be said of the canary."""

    WORSE = "Worse"
    OVER_LIMIT = "OverLimit"
    """More sessions have an error than the absolute limit allows, whatever stable does."""
    BOTH_ILL = "BothIll"
    NOT_WORSE = "NotWorse"
    """Nothing is shown against it. That it is healthy is another statement: `Evidence.excluded_points`."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The judgement, with the numbers behind it."""

    judgement: Judgement = Judgement.NOT_WORSE
    value: float = 1.0
    """Evidence that the canary is worse; an equal one ever reaches 100 in at most 1 of 100 rollouts."""
    leading: Metric = METRICS[1]
    """The question that shows most."""
    canary: Counts = NO_COUNTS
    stable: Counts = NO_COUNTS
    """Sessions that the canary is compared with, those before the rollout included."""
    excluded_points: int | None = None
    """The canary is worse by less than this, at 95 %; None where not even 20 points are excluded."""
    settled: Counts = NO_COUNTS
    """Canary sessions that began more than 15 minutes ago, whose flags hardly turn any more."""
    recent: Counts = NO_COUNTS
    """Canary sessions that began in the last 15 minutes."""
    without_sessions: int = 0
    """Agent processes with an older router, whose requests say nothing here."""

    @property
    def sessions(self) -> int:
        """Canary sessions so far."""
        return self.canary[0]
