"""Feedback that LangSmith's own evaluators give to the experiments of an evaluation: a report beside the verdict."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.meta import ApiModel, StatusModel

FeedbackKey = Annotated[str, Field(min_length=1, max_length=180)]


class LangSmithFeedback(ApiModel):
    """Asks for a report of what LangSmith's evaluators, which are bound to the dataset, say of both experiments."""

    keys: tuple[FeedbackKey, ...] = Field(
        min_length=1,
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Keys of the feedback, as the evaluators of the dataset name them in LangSmith.",
    )
    wait_seconds: int = Field(
        default=120,
        ge=0,
        le=1800,
        description="Seconds for which the evaluation waits for the feedback. The candidate's endpoint bills "
        "meanwhile. What is not there by then is missing.",
    )


class FeedbackResult(StatusModel):
    """What one evaluator of LangSmith says of both models. The verdict does not depend on it."""

    key: str = Field(max_length=180, description="Key of the feedback.")
    compared: int = Field(default=0, ge=0, description="Number of examples with a score of both answers.")
    missing: int = Field(default=0, ge=0, description="Number of examples without one.")
    baseline: str = Field(
        default="",
        max_length=32,
        description="Mean score of the stable model on the compared examples. Empty if there are none.",
    )
    candidate: str = Field(
        default="",
        max_length=32,
        description="Mean score of the candidate on the compared examples. Empty if there are none.",
    )
    difference: str = Field(
        default="",
        max_length=32,
        description="Mean of the candidate's score minus the stable model's. Empty if nothing was compared.",
    )
    interval: tuple[Annotated[str, Field(max_length=32)], ...] = Field(
        default=(),
        max_length=2,
        description="Confidence interval of the difference over the pairs (90 percent, Student's t): its lower and its "
        "upper end. Empty below two examples.",
    )
