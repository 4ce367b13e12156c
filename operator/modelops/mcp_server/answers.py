"""What the tools of the server answer: the results of `modelops.tools`, or that a person must confirm first."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from modelops.tools.results import Change, Comparison, Deployment, Result, Retry, Spending, TrainingJob

CONFIRMATION_REQUIRED: Final = "confirmation_required"
DECLINED: Final = "declined"
ESTIMATING: Final = "estimating"


class Confirmable(Result):
    """The part of an answer that says what must be confirmed. It is empty in every other answer."""

    quote_id: str | None = Field(
        default=None,
        description="With status confirmation_required: show the person `message`, and only if they agree call the "
        "same tool again with the same arguments and this quote_id. It is for exactly this request, and expires.",
    )
    cost_usd: float | None = Field(default=None, description="The most that it can cost, in US dollars.")
    valid_until: datetime | None = Field(default=None, description="Time at which the quote expires.")


class TrainingAnswer(TrainingJob, Confirmable):
    """A training that was started, or what must be confirmed before."""

    job_id: str = Field(
        description="Name of the training, for monitor_training_job. Empty while nothing has started."
    )
    status: str = Field(
        description="Phase of the training; or confirmation_required, declined, or estimating: then nothing has "
        "started."
    )


class ComparisonAnswer(Comparison, Confirmable):
    """An evaluation that was started, or what must be confirmed before."""

    evaluation_id: str = Field(
        description="Name of the evaluation, for monitor_evaluation. Empty while nothing has started."
    )
    status: str = Field(
        description="Phase of the evaluation; or confirmation_required or declined: then nothing has started."
    )


class DeploymentAnswer(Deployment, Confirmable):
    """A deployment that was started, or what must be confirmed before."""

    rollout_id: str = Field(
        description="Name of the Rollout, for monitor_deployment, pause_rollout and abort_rollout. Empty while "
        "nothing has started."
    )
    status: str = Field(
        description="Phase of the rollout; or confirmation_required or declined: then no traffic has moved."
    )


class ChangeAnswer(Change, Confirmable):
    """A change that was made, or what must be confirmed before."""

    status: str = Field(
        description="done, nothing_to_do, confirmation_required, or declined. Only with done was anything changed."
    )


class RetryAnswer(Retry, Confirmable):
    """A rollout that was created anew, or what must be confirmed before."""

    rollout_id: str = Field(
        description="Name of the new Rollout, for monitor_deployment. Empty while nothing has started."
    )
    status: str = Field(
        description="started, runs_already, confirmation_required, or declined. Only with started was anything created."
    )


class SpendingAnswer(Result):
    """What the agents have spent."""

    agents: tuple[Spending, ...]
