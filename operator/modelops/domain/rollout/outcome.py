"""How the reason for which a rollout ends becomes its phase."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.reasons import RolloutReason

REJECTIONS = frozenset({RolloutReason.EvaluationFailed, RolloutReason.EvaluationInconclusive})
FAILURES = frozenset(
    {
        RolloutReason.CandidateNotFound,
        RolloutReason.NoDataset,
        RolloutReason.OverMaxUSD,
        RolloutReason.OverMaxMonthlyUSD,
        RolloutReason.OverBudget,
        RolloutReason.NeedsApproval,
        RolloutReason.SelfApproval,
        RolloutReason.ApprovalExpired,
        RolloutReason.EndpointFailed,
        RolloutReason.EvaluationRefused,
        RolloutReason.LowPower,
        RolloutReason.Superseded,
        RolloutReason.VersionUndone,
    }
)


def parse_reason(word: str) -> RolloutReason:
    """The reason with this name; a reason that only a newer operator knows counts as an abort."""
    try:
        return RolloutReason.named(word)
    except ValueError:
        return RolloutReason.Aborting


def phase_of(reason: RolloutReason) -> RolloutPhase:
    """The phase of a rollout that ended for this reason."""
    if reason in (RolloutReason.Promoted, RolloutReason.EvaluatedOnly, RolloutReason.AlreadyServes):
        return RolloutPhase.SUCCEEDED
    if reason in REJECTIONS:
        return RolloutPhase.REJECTED
    return RolloutPhase.FAILED if reason in FAILURES else RolloutPhase.ABORTED
