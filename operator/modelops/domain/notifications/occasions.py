"""Which transitions are told, and how much they matter. Any other one is seen in the status and in the Events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modelops.api.v1alpha1.history import Transition
from modelops.api.v1alpha1.notification import Notification, Severity
from modelops.domain.agentmodel.history import UNDO_ENDED, WENT_BACK
from modelops.domain.reasons import AgentModelReason, RolloutReason, TrainingReason
from modelops.domain.rollout.status import NEEDS_A_PERSON as ROLLOUT_NEEDS_A_PERSON
from modelops.domain.training.status import NEEDS_A_PERSON as TRAINING_NEEDS_A_PERSON


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """A transition that is told. `what`: in a word or two, such as `was aborted`."""

    severity: Severity
    what: str
    asks_a_person: bool = False


_NEEDS_APPROVAL: Final = Occasion(severity=Severity.WARNING, what="needs approval", asks_a_person=True)
_WAITS: Final = Occasion(severity=Severity.WARNING, what="waits for a person", asks_a_person=True)
_FAILED: Final = Occasion(severity=Severity.WARNING, what="failed")
_AFFECTED_SESSIONS: Final = frozenset(
    {
        RolloutReason.ErrorRateBreached,
        RolloutReason.LatencyBreached,
        RolloutReason.MetricFailed,
        RolloutReason.CanaryUnreachable,
        RolloutReason.CanaryExpired,
        RolloutReason.RoutingMismatch,
    }
)
_ROLLOUT_ENDS: Final[Mapping[str, Occasion]] = {
    "Succeeded": Occasion(severity=Severity.INFO, what="was promoted"),
    "Rejected": Occasion(severity=Severity.WARNING, what="was rejected"),
    "Failed": _FAILED,
    "Aborted": Occasion(severity=Severity.WARNING, what="was aborted"),
}
_TRAINING_ENDS: Final[Mapping[str, Occasion]] = {
    "Succeeded": Occasion(severity=Severity.INFO, what="has trained a model"),
    "Failed": _FAILED,
    "Cancelled": Occasion(severity=Severity.INFO, what="was cancelled"),
}
_OF_AGENT: Final[Mapping[str, Occasion]] = {
    WENT_BACK: Occasion(severity=Severity.WARNING, what="went back"),
    UNDO_ENDED: Occasion(severity=Severity.WARNING, what="did not go back"),
    AgentModelReason.BudgetExhausted: Occasion(severity=Severity.WARNING, what="has spent its budget"),
    AgentModelReason.StableDrift: Occasion(severity=Severity.WARNING, what="drifted", asks_a_person=True),
    AgentModelReason.UndoneVersionServes: Occasion(
        severity=Severity.CRITICAL, what="is served by an undone version", asks_a_person=True
    ),
    AgentModelReason.EndpointNotRunning: Occasion(
        severity=Severity.CRITICAL, what="has no running endpoint", asks_a_person=True
    ),
    AgentModelReason.AgentsNotInSync: Occasion(severity=Severity.WARNING, what="is not in sync"),
    AgentModelReason.ConfigNotUsable: _WAITS,
    AgentModelReason.SecretNotUsable: _WAITS,
    AgentModelReason.TokenRefused: _WAITS,
    AgentModelReason.RecordNotReadable: _WAITS,
    AgentModelReason.TargetConflict: _WAITS,
}


def occasion_of(kind: str, entry: Transition, *, undo: bool = False) -> Occasion | None:
    """Whether the transition of an object of this kind is told; None where it is not.

    `undo`: of a Rollout, whether it was an undo. Its success is told once, of the agent that went back.
    """
    if kind == "AgentModel":
        return _OF_AGENT.get(entry.reason)
    if entry.phase == "AwaitingApproval":
        return _NEEDS_APPROVAL if entry.reason == RolloutReason.NeedsApproval else None
    if kind == "TrainingRun":
        if entry.phase in _TRAINING_ENDS:
            return None if entry.reason == TrainingReason.Estimated else _TRAINING_ENDS[entry.phase]
        return _WAITS if entry.reason in TRAINING_NEEDS_A_PERSON else None
    if entry.phase == "Succeeded":
        if undo and entry.reason == RolloutReason.Promoted:
            return None
        if entry.reason == RolloutReason.EvaluatedOnly:
            return Occasion(severity=Severity.INFO, what="was evaluated")
        is_promotion = entry.reason in (RolloutReason.Promoted, RolloutReason.AbortTooLate)
        return _ROLLOUT_ENDS["Succeeded"] if is_promotion else None
    if entry.phase == "Aborted" and entry.reason in _AFFECTED_SESSIONS:
        return Occasion(severity=Severity.CRITICAL, what="was aborted")
    if entry.phase in _ROLLOUT_ENDS:
        return _ROLLOUT_ENDS[entry.phase]
    if entry.reason == RolloutReason.BothTracksIll:
        return Occasion(severity=Severity.WARNING, what="holds: both tracks are ill")
    if entry.reason == RolloutReason.WaitingForPromotion:
        return Occasion(severity=Severity.WARNING, what="waits for a promotion", asks_a_person=True)
    if entry.reason == RolloutReason.Paused:
        return Occasion(severity=Severity.INFO, what="is paused", asks_a_person=True)
    return _WAITS if entry.reason in ROLLOUT_NEEDS_A_PERSON else None


def is_wanted(receiver: Notification, occasion: Occasion, reason: str) -> bool:
    """Whether this receiver asked for it."""
    order = tuple(Severity)
    if order.index(occasion.severity) < order.index(receiver.min_severity):
        return False
    return not receiver.reasons or reason in receiver.reasons


def wishes_of(receiver: Notification) -> str:
    """What the receiver asked for, as text: a change of it begins anew."""
    return ",".join((receiver.min_severity.value, *sorted(receiver.reasons)))
