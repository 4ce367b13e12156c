"""How many sessions a rollout's steps will see, and what they could show: a field of a rollout's status."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from modelops.api.v1alpha1.meta import Measured, StatusModel


class TrafficSource(StrEnum):
    """Where the number of sessions a day comes from."""

    REPORTS = "Reports"
    LANGSMITH = "LangSmith"
    UNKNOWN = "Unknown"


class StepForecast(StatusModel):
    """What one timed pause is likely to see."""

    step: int = Field(
        ge=1, description="Number of the pause in spec.strategy.canary.steps; the first step is 1."
    )
    weight: int = Field(
        ge=0, le=100, description="Percentage of sessions that go to the canary in this pause."
    )
    duration_seconds: int = Field(ge=1, description="Healthy seconds of this pause.")
    sessions: int = Field(
        ge=0, description="Canary sessions that will probably have begun by the end of it, in all."
    )
    excluded_points: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Smallest of 5, 10 and 20 percentage points that so many sessions exclude, if the canary fails as "
        "often as the stable model. Empty if they exclude not even 20.",
    )


class TrafficForecast(StatusModel):
    """How many sessions the canary will see, from the agent's last days. It is made before anything is paid."""

    source: TrafficSource = Field(
        description="Where the number of sessions comes from. Reports: the agent's routers, since the operator began "
        "to listen. LangSmith: the runs of the AgentModel's langsmith.project of the last 7 days. Unknown: neither "
        "has enough."
    )
    sessions_per_day: Measured | None = Field(
        default=None, description="Sessions of the agent in a day. Empty if it is not known."
    )
    steps: tuple[StepForecast, ...] = Field(
        default=(), max_length=16, description="What each timed pause will see. Empty if that is not known."
    )
    may_ask_a_person: bool = Field(
        default=False,
        description="Whether so few sessions are expected that a person is probably asked before the last steps. Then "
        "up to a day is planned for the answer, as far as spec.maxUSD, the budget and the deadline allow.",
    )
    proposal: str = Field(
        default="",
        max_length=1024,
        description="Steps, as YAML for spec.strategy.canary and spec.progressDeadlineSeconds, that would show more. "
        "Empty if the steps show enough, or no time of up to 14 days does.",
    )
    message: str = Field(default="", max_length=1024, description="The same in words, for people.")
