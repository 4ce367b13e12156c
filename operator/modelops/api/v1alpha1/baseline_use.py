"""What the stable model was used for lately, and what that cost: a field of the evaluation and of an offer."""

from __future__ import annotations

from pydantic import Field

from modelops.api.v1alpha1.meta import Money, StatusModel


class BaselineUse(StatusModel):
    """The agent's requests in the last 30 days, as LangSmith has them. It decides nothing."""

    requests: int | None = Field(
        default=None,
        ge=0,
        description="Number of requests to the agent in the last 30 days. Empty if it is not known.",
    )
    usd: Money | None = Field(
        default=None,
        description="Cost in US dollars of the model calls of these requests. Empty if it is not known.",
    )
    message: str = Field(
        default="",
        max_length=512,
        description="The same in words, with where it comes from or why it is not known.",
    )
