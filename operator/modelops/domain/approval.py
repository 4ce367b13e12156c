"""Approvals of costs: until when an offer can be approved, and why an approval does not count.

The API server decides who may write an approval (config/policies). This module only compares the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from modelops.api.v1alpha1.approval import Approval, ApprovalPolicy

MAX_OFFERS = 7
"""How many offers are made before the run stops waiting. With the default of one day each, that is a week."""


@dataclass(frozen=True, kw_only=True)
class ApprovalProblem:
    """Why an approval does not count. Every kind of object has these reasons."""

    reason: Literal["ApprovalStale", "SelfApproval"]
    message: str


def approval_problem(
    approval: Approval, *, digest: str, requested_by: str | None, policy: ApprovalPolicy, agent_model: str
) -> ApprovalProblem | None:
    """Why the approval does not count for the offer with this digest; None where it counts."""
    if approval.digest != digest:
        return ApprovalProblem(
            reason="ApprovalStale",
            message=f"spec.approval of {approval.approved_by} is for {short_digest(approval.digest)}, but the offer "
            f"is now {short_digest(digest)}: the offer was renewed or changed after the approval",
        )
    if not policy.forbid_self_approval:
        return None
    forbidden = f"spec.approvalPolicy of AgentModel {agent_model} forbids self-approval"
    if requested_by is None:
        return ApprovalProblem(
            reason="SelfApproval",
            message=f"{forbidden}, and spec.requestedBy does not name the person who asks",
        )
    if approval.approved_by == requested_by:
        return ApprovalProblem(
            reason="SelfApproval",
            message=f"{forbidden}: {requested_by} requested this, so another person must approve it",
        )
    return None


def valid_until(now: datetime, *, asked_since: datetime, seconds: float) -> datetime:
    """Until when an offer that is made now can be approved; never later than the approval deadline."""
    until = min(now + timedelta(seconds=seconds), approval_deadline(asked_since, seconds=seconds))
    return until.replace(microsecond=0)


def approval_deadline(asked_since: datetime, *, seconds: float) -> datetime:
    """When the wait for an approval ends; `seconds` is how long one offer is valid."""
    return asked_since + timedelta(seconds=MAX_OFFERS * seconds)


def short_digest(digest: str) -> str:
    """The start of a digest, long enough for a person to compare."""
    return f"{digest[:19]}…" if len(digest) > 20 else digest
