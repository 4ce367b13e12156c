"""How an evaluation asks the team's own agent, fields of AgentModels and Rollouts; and the result of a sample of
production."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import exactly_one, matches, rules
from modelops.api.v1alpha1.judge import JudgeResult
from modelops.api.v1alpha1.meta import ApiModel, Measured, StatusModel

_URL = r"^https?://[^\s@?#]+$"
_ENTRY_POINT = r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"


class EvaluationTarget(StrEnum):
    """What answers the questions of an evaluation."""

    MODEL = "model"
    AGENT = "agent"


class EvaluatedAgent(
    ApiModel, json_schema_extra=rules(exactly_one("url", "entryPoint", where="evaluation.agent"))
):
    """Where an evaluation with target agent finds the agent; exactly one of url and entryPoint is set."""

    url: (
        Annotated[
            str,
            matches(
                _URL,
                "write an http or https URL without user, password, query and fragment; a token goes into a Secret",
            ),
        ]
        | None
    ) = Field(
        default=None,
        pattern=_URL,
        max_length=512,
        description="HTTP address of the agent that takes the questions of evaluations by POST, such as "
        "`http://docs-agent.code-chef.svc:8000/evaluate`: a Service of the same namespace, or a host of "
        "MODELOPS_MODEL_HOSTS. It is sent the token in secretRefs.agent.",
    )
    entry_point: (
        Annotated[str, matches(_ENTRY_POINT, "write the function or graph as `package.module:attribute`")]
        | None
    ) = Field(
        default=None,
        pattern=_ENTRY_POINT,
        max_length=256,
        description="Function or LangGraph graph in the operator's image, as `package.module:attribute`. Its package "
        "must declare it as an entry point of the group modelops.agents. It runs in the evaluation program.",
    )
    max_calls_per_answer: int = Field(
        default=5,
        ge=1,
        le=200,
        description="Maximum number of calls of a model for one answer. The cost of the evaluation is planned for so "
        "many, and an answer that took more is a failed one.",
    )
    max_prompt_tokens: int = Field(
        default=8192,
        ge=1,
        le=2000000,
        description="Tokens of the prompt of one call that the cost of the evaluation is planned for: the agent's own "
        "system prompt, tools and history included.",
    )


class AgentEvaluation(ApiModel):
    """How evaluations of this agent are made."""

    agent: EvaluatedAgent | None = Field(
        default=None,
        description="How an evaluation with target agent asks the agent. Without it only the model can be evaluated.",
    )


class ProductionSample(ApiModel):
    """Recent runs of the agent whose inputs both models are asked, beside the held-out examples."""

    runs: int = Field(default=50, ge=1, le=1000, description="Maximum number of runs, the newest first.")
    days: int = Field(default=7, ge=1, le=90, description="Age of the oldest run, in days.")


class ProductionArm(StatusModel):
    """What one of the two models made of the production sample."""

    errors: int = Field(default=0, ge=0, description="Number of calls that failed.")
    unreadable: int = Field(
        default=0, ge=0, description="Number of answers that are empty or that spec.prompt.parse cannot read."
    )
    latency_p50_milliseconds: int = Field(
        default=0, ge=0, description="Median latency of the successful calls, in milliseconds."
    )
    latency_p95_milliseconds: int = Field(
        default=0,
        ge=0,
        description="95th percentile of the latency of the successful calls, in milliseconds.",
    )
    usd_per_1000_tokens: Measured = Field(
        default="0",
        description="Cost in US dollars per 1,000 tokens, as a decimal string. 0 if it is not known.",
    )


class ProductionResult(StatusModel):
    """What both models made of recent inputs of production. It is a report: the verdict does not depend on it."""

    runs: int = Field(default=0, ge=0, description="Number of runs whose inputs both models were asked.")
    left_out: int = Field(
        default=0,
        ge=0,
        description="Number of recent runs that were left out: with secrets or personal data, with inputs that the "
        "prompt contract does not take, with inputs of another run, or of a held-out example.",
    )
    baseline: ProductionArm | None = Field(
        default=None, description="Results of the stable model. Empty if no run could be asked."
    )
    candidate: ProductionArm | None = Field(
        default=None, description="Results of the candidate's model. Empty if no run could be asked."
    )
    judge: JudgeResult | None = Field(
        default=None,
        description="What the judge said of these answers, without a reference. Empty without spec.evaluation.judge.",
    )
