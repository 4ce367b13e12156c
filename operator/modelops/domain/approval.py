"""Approvals of what costs much: until when an offer may be approved, and what is wrong with an approval.

Who wrote an approval is for the API server to say (config/policies): here it is compared, not believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from modelops.api.v1alpha1.approval import Approval, ApprovalPolicy

MOST_OFFERS = 7
"""How often an offer is renewed before the wait ends: with the default of a day each, a week."""


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """Why an approval does not count; `reason` is a word that every kind has."""

    reason: Literal["ApprovalStale", "SelfApproval"]
    message: str


def flaw(
    approval: Approval, *, digest: str, requested_by: str | None, policy: ApprovalPolicy, agent_model: str
) -> Flaw | None:
    """What is wrong with the approval of the offer with this digest; None where it counts."""
    if approval.digest != digest:
        return Flaw(
            reason="ApprovalStale",
            message=f"spec.approval of {approval.approved_by} is of {short(approval.digest)}, which is not what "
            f"is asked now, {short(digest)}: the offer was renewed, or what would be done has changed",
        )
    if not policy.forbid_self_approval:
        return None
    forbidden = f"spec.approvalPolicy of AgentModel {agent_model} forbids self-approval"
    if requested_by is None:
        return Flaw(reason="SelfApproval", message=f"{forbidden}, and spec.requestedBy does not say who asks")
    if approval.approved_by == requested_by:
        return Flaw(
            reason="SelfApproval", message=f"{forbidden}: {requested_by} asked, so somebody else must"
        )
    return None


def valid_until(now: datetime, *, asked_since: datetime, seconds: float) -> datetime:
    """Until when an offer that is made now may be approved; never beyond the end of the wait."""
    until = min(now + timedelta(seconds=seconds), wait_ends(asked_since, seconds=seconds))
    return until.replace(microsecond=0)


def wait_ends(asked_since: datetime, *, seconds: float) -> datetime:
    """When nobody is asked any more."""
    return asked_since + timedelta(seconds=MOST_OFFERS * seconds)


def short(digest: str) -> str:
    """For people: enough of a digest to compare."""
    return f"{digest[:19]}…" if len(digest) > 20 else digest
