"""The emergency stop of one agent, as a field of its AgentModel."""

from __future__ import annotations

from pydantic import Field

from modelops.api.v1alpha1.meta import ApiModel


class EmergencyStop(ApiModel):
    """While it is set, nothing new is started for the agent, and a canary goes back to stable."""

    reason: str = Field(
        min_length=1,
        max_length=512,
        description="Why the agent is stopped, for people. It is shown wherever something waits because of it.",
    )
    by: str = Field(
        default="",
        max_length=253,
        description="Who stopped it, for people. `modelops stop` fills it in. It may be empty.",
    )
