"""Approvals: a person's consent to a cost above the threshold, and the rules that an agent's team sets for it."""

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
        description="Name of a user, as the API server knows it (`kubectl auth whoami`).",
    ),
]


class Approval(ApiModel):
    """A person's approval of one offer, named by its digest."""

    approved_by: Username = Field(
        description="Name of the person who approves, as the API server knows it (`kubectl auth whoami`). "
        "The admission policies refuse the name of another user."
    )
    digest: Annotated[str, matches(_DIGEST, "copy the digest from status.approvalDigest")] = Field(
        pattern=_DIGEST,
        max_length=80,
        description="Digest of the approved offer: the value of status.approvalDigest at that time.",
    )


class ApprovalPolicy(ApiModel):
    """Rules that an approval must keep, besides naming the right digest."""

    forbid_self_approval: bool = Field(
        default=False,
        description="Whether the approval must come from another person than spec.requestedBy of the run. "
        "If true, a run without requestedBy cannot be approved.",
    )
