"""Messages for refusals of the dataset and evaluation programs: field, object, problem and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DATASET_REASONS = frozenset(
    {
        "DatasetNotFound",
        "DatasetVersionNotFound",
        "DatasetEmpty",
        "DatasetTooLong",
        "DatasetTooSmall",
        "DatasetShapeInvalid",
        "MethodNotServed",
        "SensitiveContent",
        "TopUpTooSmall",
        "TrainTestOverlap",
        "LangSmithRefused",
    }
)
SCORER_REASONS = frozenset({"ScorerMissing", "ScorerUnknown", "ScorerFailed"})
AGENT_MODEL_FIELDS = {
    "PromptRenderFailed": "spec.prompt",
    "LangSmithUnauthorized": "spec.secretRefs.langsmith",
    "HubUnauthorized": "spec.secretRefs.huggingFace",
}
"""The field that each reason is about. Those of SCORER_REASONS are about the scorer. For every other reason the message
names the field, or no field is wrong."""


@dataclass(frozen=True, kw_only=True)
class RefusalContext:
    """Where a person finds the inputs of the program. Each dataset is written as `<field> <value> of <object>`."""

    agent_model: str
    """Name of the AgentModel."""
    dataset: str
    evaluation_dataset: str = ""
    """The evaluation dataset of a training, whose examples may not be trained on."""
    scorer: str = ""
    """The field of the evaluation's scorer and its object."""
    new_object: str
    """The object that a person creates after correcting the problem, such as "a new run"."""


NEXT_TOKEN = ". The operator tries again with the token that is in the Secret then"
"""The end of a message about a refused token of Hugging Face, which ends nothing."""


def refusal_message(result: Mapping[str, Any], context: RefusalContext, *, remedy: str | None = None) -> str:
    """The message for a person; `result` is the `result.json` of a program that refused its input.

    `remedy` ends the message; by default it asks for a new object.
    """
    ending = f"; then create {context.new_object}" if remedy is None else remedy
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    field = _field(reason, str(result.get("about", "")), context)
    where = f"{field}: " if field else ""
    return f"{reason}: {where}{message.rstrip('.')}{ending}"


def _field(reason: str, about: str, context: RefusalContext) -> str:
    if reason in AGENT_MODEL_FIELDS:
        return f"{AGENT_MODEL_FIELDS[reason]} of AgentModel {context.agent_model}"
    if reason in SCORER_REASONS:
        return context.scorer
    if reason not in DATASET_REASONS:
        return ""
    if about == "evaluation_dataset":
        return context.evaluation_dataset
    both = reason == "TrainTestOverlap" and context.evaluation_dataset
    return f"{context.dataset} and {context.evaluation_dataset}" if both else context.dataset
