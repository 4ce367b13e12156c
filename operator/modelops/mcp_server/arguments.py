"""The arguments of the tools: what several tools take, with the descriptions that a model reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from modelops.api.v1alpha1.training_config import TrainingConfig
from modelops.mcp_server.callers import current_caller

AgentName = Annotated[
    str, Field(min_length=1, max_length=253, description="The agent, such as feature_dev or code_review.")
]
TrainingData = Annotated[
    str | None,
    Field(
        max_length=220,
        description="LangSmith dataset with training examples, ls://<id or exact name>. Default: the agent's own.",
    ),
]
BaseModelName = Annotated[
    str | None,
    Field(
        max_length=200,
        description="Model on the Hugging Face Hub that is fine-tuned, such as Qwen/Qwen2.5-Coder-7B. Default: the "
        "installation's.",
    ),
]
Method = Annotated[
    Literal["sft", "dpo", "orpo"],
    Field(description="sft learns from good answers; dpo and orpo from pairs of a good and a bad answer."),
]
TrainingSettings = Annotated[
    dict[str, Any] | None,
    Field(
        description=f'Overrides of training values, such as {{"num_epochs": 2}}. Known are '
        f"{', '.join(TrainingConfig.model_fields)}."
    ),
]
CandidateModel = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        description="A version of the agent's history (v1.1.0-rc.1), a Hub repository of it (organisation/name), a "
        "repository at a commit (organisation/name@<40 digits>), or `candidate` for the newest trained version.",
    ),
]
EvaluationData = Annotated[
    str | None,
    Field(
        max_length=220,
        description="LangSmith dataset that was not trained on, ls://<id or exact name>. Default: the agent's own.",
    ),
]
Metrics = Annotated[
    list[Literal["accuracy", "latency", "cost_per_1k_tokens"]] | None,
    Field(description="Metrics to report. Default: all three."),
]
Target = Annotated[
    Literal["model", "agent"] | None,
    Field(
        description="What answers: model (the model only), or agent (the agent itself with each model, with its own "
        "system prompt, tools and code). Default: as in the agent's last rollout, or else model.",
    ),
]
ProductionRuns = Annotated[
    int | None,
    Field(
        ge=0,
        le=1000,
        description="Ask both models the inputs of so many recent production runs as well; they are reported apart and "
        "decide nothing. 0 for none. Default: as in the agent's last rollout, or else none.",
    ),
]
ScorerName = Annotated[
    str | None,
    Field(
        max_length=80,
        description="How an answer is scored: exact, json, regex, tokenF1, chrF, tests, judge, or custom:<name>. "
        "Default: as in the agent's last rollout, or else as its AgentModel says.",
    ),
]
Threshold = Annotated[
    str | None,
    Field(max_length=20, description="Score from which an answer is a success, 0 to 1, such as 0.5."),
]
MaxUSD = Annotated[
    float | None,
    Field(gt=0, description="The most that it may cost in US dollars, further attempts included."),
]
QuoteId = Annotated[
    str | None,
    Field(
        max_length=253,
        description="Only after status confirmation_required or estimate_training, and only after the person has "
        "agreed: the quote_id of that answer.",
    ),
]
WaitSeconds = Annotated[
    int,
    Field(ge=0, le=300, description="Seconds to wait for the end, with progress notifications."),
]
EstimateSeconds = Annotated[
    int,
    Field(ge=1, le=300, description="Seconds to wait for the estimate, for which the data are prepared."),
]
IdempotencyKey = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=200,
        description="A key of your own: a second call with it starts nothing and returns what the first one started.",
    ),
]
RolloutId = Annotated[
    str, Field(min_length=1, max_length=253, description="rollout_id of deploy_model_to_agent.")
]
EvaluationId = Annotated[
    str, Field(min_length=1, max_length=253, description="evaluation_id of evaluate_model_vs_baseline.")
]
JobId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        description="job_id of train_subagent_model, or the job's id at Hugging Face.",
    ),
]


def own_key(idempotency_key: str | None) -> str | None:
    """The key as it is stored: two callers do not share their keys."""
    return f"{current_caller().name}\n{idempotency_key}" if idempotency_key else None
