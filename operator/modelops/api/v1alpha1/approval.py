"""Approvals: what a person writes into a run or rollout that costs much, and what an agent's team demands of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import matches
from modelops.api.v1alpha1.meta import ApiModel

_DIGEST = r"^sha256:[0-9a-f]{64}$"

Username = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        description="A user's name, as the API server knows it (`kubectl auth whoami`).",
    ),
]


class Approval(ApiModel):
    """A person's approval of exactly what was asked."""

    approved_by: Username = Field(
        description="Who approves, as the API server knows them (`kubectl auth whoami`). The admission policies "
        "let nobody write another's name."
    )
    digest: Annotated[str, matches(_DIGEST, "copy the digest from status.approvalDigest")] = Field(
        pattern=_DIGEST,
        max_length=80,
        description="What is approved: the status.approvalDigest that was shown.",
    )


class ApprovalPolicy(ApiModel):
    """What an approval must be, beyond being of the right digest."""

    forbid_self_approval: bool = Field(
        default=False,
        description="Whether somebody else than spec.requestedBy must approve. A run that does not say who "
        "asks cannot be approved then.",
    )
