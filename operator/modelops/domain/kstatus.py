"""`Stalled` and `Reconciling`, the conditions by which Helm, Flux and Argo CD tell a failed object from a running one.

kstatus (sigs.k8s.io/cli-utils/pkg/kstatus, https://pkg.go.dev/sigs.k8s.io/cli-utils/pkg/kstatus) reads them: True
`Reconciling` is in progress, True `Stalled` has failed, and without either, `Ready` decides. A tool that waits gives up
at once on what is stalled. So an object is stalled only if it ended badly, or if nothing that is applied beside it lets
it go on: a Secret or a ConfigMap of the same release may come a second later, or its correction may be in the same
upgrade, and must not make the release fail before the operator has seen it.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import assert_never

from modelops.api.v1alpha1.meta import Condition
from modelops.domain.conditions import condition_of, with_condition
from modelops.domain.established import require_established
from modelops.domain.reasons import AgentModelReason, RolloutReason, TrainingReason

STALLED = "Stalled"
RECONCILING = "Reconciling"


class Outlook(Enum):
    """What becomes of an object that is not ready, as `kstatus` asks it."""

    GOES_ON = "goes on"
    """The operator works on it, or goes on by itself when what it waits for is there."""
    HELD = "held"
    """Nothing is wrong: its own spec holds it, or it waits for an approval. It is neither stalled nor reconciled."""
    STALLED = "stalled"
    """It does not go on: a person must replace it, or repair what no manifest repairs."""


def outlook_at_end(*, good: bool) -> Outlook | None:
    """The outlook of an object that ended; None where its end is the good one, and nothing is left to do."""
    return None if good else Outlook.STALLED


def outlook_before_end(reason: TrainingReason | RolloutReason | AgentModelReason) -> Outlook:
    """The outlook of an object that has not ended and is not ready for this reason.

    Reasons of an end stand here with the time before it, in which the operator stops a job or moves sessions back.
    """
    match reason:
        case TrainingReason():
            return _of_training_run(reason)
        case RolloutReason():
            return _of_rollout(reason)
        case AgentModelReason():
            return _of_agent_model(reason)
        case _:
            assert_never(reason)


def with_kstatus(
    conditions: tuple[Condition, ...], outlook: Outlook | None, *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with both set. `outlook`: None of an object that is what its spec asks for.

    The one that is True says what `Ready` says; one that is False has the same reason and no message.
    """
    ready = require_established(condition_of(conditions, "Ready"), "condition Ready")
    for kind, holds in (
        (STALLED, outlook is Outlook.STALLED),
        (RECONCILING, outlook is Outlook.GOES_ON),
    ):
        conditions = with_condition(
            conditions,
            kind,
            holds,
            reason=ready.reason,
            message=ready.message if holds else "",
            generation=generation,
            now=now,
        )
    return conditions


def _of_training_run(reason: TrainingReason) -> Outlook:
    match reason:
        case (
            TrainingReason.NeedsApproval
            | TrainingReason.ApprovalStale
            | TrainingReason.SelfApproval
            | TrainingReason.Suspended
            | TrainingReason.EmergencyStop
        ):
            return Outlook.HELD
        case (
            TrainingReason.AgentModelNotFound
            | TrainingReason.AlreadyCompleted
            | TrainingReason.JobsDisabled
            | TrainingReason.SecretNotUsable
            | TrainingReason.NoPromptContract
            | TrainingReason.NoDataset
            | TrainingReason.PreparingDataset
            | TrainingReason.DatasetPrepared
            | TrainingReason.DatasetRefused
            | TrainingReason.LangSmithUnavailable
            | TrainingReason.HubUnavailable
            | TrainingReason.OperatorDiskFull
            | TrainingReason.ProgramNotRunning
            | TrainingReason.BaseModelNotFound
            | TrainingReason.BaseModelNotTrainable
            | TrainingReason.NoBaseModel
            | TrainingReason.NoEndToken
            | TrainingReason.FlavorUnknown
            | TrainingReason.DoesNotFit
            | TrainingReason.NoFlavorFits
            | TrainingReason.DeadlineTooShort
            | TrainingReason.PriceUnknown
            | TrainingReason.OverMaxUSD
            | TrainingReason.OverBudget
            | TrainingReason.Approved
            | TrainingReason.ApprovalExpired
            | TrainingReason.Submitting
            | TrainingReason.SubmissionUncertain
            | TrainingReason.SubmissionRefused
            | TrainingReason.JobSubmitted
            | TrainingReason.JobRunning
            | TrainingReason.TokenRefused
            | TrainingReason.Retrying
            | TrainingReason.Suspending
            | TrainingReason.JobFailed
            | TrainingReason.JobLost
            | TrainingReason.HubRefused
            | TrainingReason.JobKilled
            | TrainingReason.JobStopped
            | TrainingReason.OutOfMemory
            | TrainingReason.BadData
            | TrainingReason.ModelDoesNotStop
            | TrainingReason.TimedOut
            | TrainingReason.TooSlow
            | TrainingReason.StuckInScheduling
            | TrainingReason.DeadlineExceeded
            | TrainingReason.Verifying
            | TrainingReason.WeightsMissing
            | TrainingReason.Cancelling
            | TrainingReason.Cancelled
            | TrainingReason.Estimated
            | TrainingReason.Trained
        ):
            return Outlook.GOES_ON
        case _:
            assert_never(reason)


def _of_rollout(reason: RolloutReason) -> Outlook:
    match reason:
        case (
            RolloutReason.Paused
            | RolloutReason.WaitingForPromotion
            | RolloutReason.NeedsApproval
            | RolloutReason.ApprovalStale
            | RolloutReason.SelfApproval
            | RolloutReason.EmergencyStop
            | RolloutReason.Frozen
        ):
            return Outlook.HELD
        case RolloutReason.AnotherVersionServes:
            return Outlook.STALLED
        case (
            RolloutReason.AgentModelNotFound
            | RolloutReason.AlreadyCompleted
            | RolloutReason.WaitingForCandidate
            | RolloutReason.CandidateNotFound
            | RolloutReason.TargetConflict
            | RolloutReason.AnotherRolloutActive
            | RolloutReason.WaitingForUndo
            | RolloutReason.WaitingForDrill
            | RolloutReason.WatchingPromotion
            | RolloutReason.GoingBack
            | RolloutReason.AlreadyServes
            | RolloutReason.Superseded
            | RolloutReason.VersionUndone
            | RolloutReason.LeftByUndo
            | RolloutReason.SupersededByRollout
            | RolloutReason.StableDrift
            | RolloutReason.SecretNotUsable
            | RolloutReason.ConfigNotUsable
            | RolloutReason.NoPromptContract
            | RolloutReason.NoDataset
            | RolloutReason.PriceUnknown
            | RolloutReason.OverMaxUSD
            | RolloutReason.OverMaxMonthlyUSD
            | RolloutReason.OverBudget
            | RolloutReason.OfferWithdrawn
            | RolloutReason.Approved
            | RolloutReason.ApprovalExpired
            | RolloutReason.Provisioning
            | RolloutReason.EndpointNotCreated
            | RolloutReason.EndpointServiceUnavailable
            | RolloutReason.EndpointFailed
            | RolloutReason.Evaluating
            | RolloutReason.EvaluationPlanned
            | RolloutReason.LowPower
            | RolloutReason.EvaluationPassed
            | RolloutReason.EvaluationFailed
            | RolloutReason.EvaluationInconclusive
            | RolloutReason.EvaluationRefused
            | RolloutReason.LangSmithUnavailable
            | RolloutReason.HubUnavailable
            | RolloutReason.OperatorDiskFull
            | RolloutReason.ProgramNotRunning
            | RolloutReason.TokenRefused
            | RolloutReason.BaselineUnavailable
            | RolloutReason.AgentUnavailable
            | RolloutReason.Arming
            | RolloutReason.CanaryUnreachable
            | RolloutReason.Advancing
            | RolloutReason.WaitingForAgents
            | RolloutReason.WaitingForSamples
            | RolloutReason.BothTracksIll
            | RolloutReason.Watching
            | RolloutReason.ErrorRateBreached
            | RolloutReason.LatencyBreached
            | RolloutReason.MetricFailed
            | RolloutReason.MetricInconclusive
            | RolloutReason.MetricUnavailable
            | RolloutReason.WaitingForMetrics
            | RolloutReason.RoutingMismatch
            | RolloutReason.AbortedByUser
            | RolloutReason.Deleted
            | RolloutReason.DeadlineExceeded
            | RolloutReason.AgentLockLost
            | RolloutReason.Aborting
            | RolloutReason.Promoting
            | RolloutReason.Promoted
            | RolloutReason.EvaluatedOnly
            | RolloutReason.CanaryExpired
            | RolloutReason.AbortTooLate
        ):
            return Outlook.GOES_ON
        case _:
            assert_never(reason)


def _of_agent_model(reason: AgentModelReason) -> Outlook:
    match reason:
        case AgentModelReason.RecordNotReadable:
            return Outlook.STALLED
        case (
            AgentModelReason.Reconciled
            | AgentModelReason.TargetConflict
            | AgentModelReason.NoConflict
            | AgentModelReason.ConfigNotUsable
            | AgentModelReason.SecretNotUsable
            | AgentModelReason.StableDrift
            | AgentModelReason.GoingBack
            | AgentModelReason.UndoneVersionServes
            | AgentModelReason.EmergencyStop
            | AgentModelReason.NotStopped
            | AgentModelReason.Deleting
            | AgentModelReason.EndpointNotRunning
            | AgentModelReason.AgentsNotInSync
            | AgentModelReason.InSync
            | AgentModelReason.WithinBudget
            | AgentModelReason.BudgetExhausted
            | AgentModelReason.BaselineEdited
            | AgentModelReason.BaselineCurrent
            | AgentModelReason.TokenRefused
            | AgentModelReason.EndpointServiceUnavailable
        ):
            return Outlook.GOES_ON
        case _:
            assert_never(reason)
