"""A model that judges the answers of an evaluation: a field of Rollouts, and its result. It decides nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import matches
from modelops.api.v1alpha1.meta import ApiModel, Measured, StatusModel

_MODEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"


class Judge(ApiModel):
    """A model that says which of the two answers is better."""

    model: Annotated[
        str,
        matches(
            _MODEL,
            "write one model of OpenRouter as `author/name`, without a suffix such as `:free`, which may change it",
        ),
    ] = Field(
        pattern=_MODEL,
        max_length=128,
        description="Model of OpenRouter that judges, as `author/name`. It must be of another family than both models "
        "of the evaluation. The key is the AgentModel's secretRefs.openRouter.",
    )
    max_examples: int = Field(
        default=100,
        ge=1,
        le=10000,
        description="Maximum number of examples whose answers are judged. Each costs up to two calls, and four where "
        "the judge's own answers cannot be read.",
    )


class JudgeResult(StatusModel):
    """What the judge said. It is a report: the verdict does not depend on it."""

    model: str = Field(default="", max_length=128, description="Model of OpenRouter that judged the answers.")
    prompt_digest: str = Field(
        default="",
        max_length=64,
        description="SHA-256 of the judge's instruction and of the form of its answer, in hexadecimal digits.",
    )
    compared: int = Field(default=0, ge=0, description="Number of examples with a judgement.")
    candidate_preferred: int = Field(
        default=0,
        ge=0,
        description="Number of examples on which the candidate's answer is better in both orders.",
    )
    baseline_preferred: int = Field(
        default=0,
        ge=0,
        description="Number of examples on which the stable model's answer is better in both orders.",
    )
    ties: int = Field(
        default=0,
        ge=0,
        description="Number of examples with equal answers, or with judgements that depend on their order.",
    )
    missing: int = Field(
        default=0, ge=0, description="Number of examples without a judgement. They count for neither model."
    )
    difference_points: str = Field(
        default="",
        max_length=16,
        description="Share of the candidate's preferred answers minus that of the stable model's, in percentage "
        "points. Empty if nothing was compared.",
    )
    interval_points: tuple[Annotated[str, Field(max_length=16)], ...] = Field(
        default=(),
        max_length=2,
        description="Confidence interval of differencePoints (90 percent, Student's t): its lower and its upper end. "
        "Empty below two examples.",
    )
    usd: Measured = Field(
        default="0",
        description="What the judge's calls were billed, in US dollars, as far as the service says so.",
    )
