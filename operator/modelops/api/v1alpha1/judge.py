"""A model that judges the answers of an evaluation: a field of Rollouts, its result, and its calibration."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import matches
from modelops.api.v1alpha1.meta import ApiModel, DatasetRef, Measured, StatusModel

_MODEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"
_SHA256 = r"^[0-9a-f]{64}$"
_SAID = r"^[abt-]+$"
JudgeModel = Annotated[
    str,
    Field(pattern=_MODEL, max_length=128),
    matches(
        _MODEL,
        "write one model of OpenRouter as `author/name`, without a suffix such as `:free`, which may change it",
    ),
]
_Sha256 = Annotated[
    str,
    Field(pattern=_SHA256, max_length=64),
    matches(_SHA256, "write the SHA-256 that `modelops evaluate calibrate --dataset` printed"),
]


class Judge(ApiModel):
    """A model that says which of the two answers is better."""

    model: JudgeModel = Field(
        description="Model of OpenRouter that judges, as `author/name`. It must be of another family than both models "
        "of the evaluation. The key is the AgentModel's secretRefs.openRouter.",
    )
    max_examples: int = Field(
        default=100,
        ge=1,
        le=10000,
        description="Maximum number of examples whose answers are judged. Each costs up to two calls, and four where "
        "the judge's own answers cannot be read. With scorer judge all examples are judged, and this says nothing.",
    )


class JudgeCalibration(ApiModel):
    """What a judge said of pairs that people have labelled. Evaluations compute kappa from it again."""

    model: JudgeModel = Field(description="Model of OpenRouter that was calibrated, as `author/name`.")
    labels: DatasetRef = Field(description="LangSmith dataset with the pairs and the labels of people.")
    labels_as_of: datetime = Field(
        description="Version of that dataset: the last one at or before this time is read."
    )
    said: Annotated[
        str, matches(_SAID, "write what `modelops evaluate calibrate --dataset` printed: a, b, t and - only")
    ] = Field(
        pattern=_SAID,
        min_length=50,
        max_length=5000,
        description="What the judge said of each pair, in the order of the examples' ids: a or b for the better "
        "answer, t for a tie, and - for no judgement.",
    )
    prompt_digest: _Sha256 = Field(
        description="SHA-256 of the judge's instruction and of the form of its answer. Another version of ModelOps may "
        "have another one; then calibrate again."
    )
    digest: _Sha256 = Field(
        description="SHA-256 of the agent, the model, the instruction, the labelled pairs, and of what the judge said."
    )


class JudgeResult(StatusModel):
    """What the judge said. Without scorer judge it is a report: the verdict does not depend on it."""

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
        "Empty below two examples, and with scorer judge, for which status.evaluation.intervalPoints is exact.",
    )
    kappa: str = Field(
        default="",
        max_length=16,
        description="Cohen's kappa of the calibration, from the labels and from what the judge said then. Empty "
        "without scorer judge.",
    )
    kappa_now: str = Field(
        default="",
        max_length=16,
        description="Cohen's kappa of the labelled pairs that this evaluation asked about again. Empty without scorer "
        "judge, or if none was answered.",
    )
    usd: Measured = Field(
        default="0",
        description="What the judge's calls were billed, in US dollars, as far as the service says so.",
    )
