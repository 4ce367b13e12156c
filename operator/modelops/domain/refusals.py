"""What a program of ours refused, as a condition says it: field and object, what is wrong, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OF_THE_DATASET = frozenset(
    {
        "DatasetNotFound",
        "DatasetVersionNotFound",
        "DatasetEmpty",
        "DatasetTooLong",
        "DatasetTooSmall",
        "DatasetShapeInvalid",
        "MethodNotServed",
        "SensitiveContent",
        "TrainTestOverlap",
        "LangSmithRefused",
    }
)
OF_THE_AGENT_MODEL = {
    "PromptRenderFailed": "spec.prompt",
    "LangSmithUnauthorized": "spec.secretRefs.langsmith",
    "HubUnauthorized": "spec.secretRefs.huggingFace",
}
"""Reasons and the field that they are about. What is in neither says it in its message, or is no field's fault."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Whom a program worked for. Datasets are `<field> <value> of <object>`; `again`: what a person makes anew."""

    agent_model: str
    dataset: str
    evaluation_dataset: str = ""
    """The second dataset of a training: none of it may be trained on."""
    again: str


def told(result: Mapping[str, Any], given: Given) -> str:
    """`result.json` of a refusal, for a person."""
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    field = _field(reason, str(result.get("about", "")), given)
    where = f"{field}: " if field else ""
    return f"{reason}: {where}{message.rstrip('.')}; then create {given.again}"


def _field(reason: str, about: str, given: Given) -> str:
    if reason in OF_THE_AGENT_MODEL:
        return f"{OF_THE_AGENT_MODEL[reason]} of AgentModel {given.agent_model}"
    if reason not in OF_THE_DATASET:
        return ""
    if about == "evaluation_dataset":
        return given.evaluation_dataset
    both = reason == "TrainTestOverlap" and given.evaluation_dataset
    return f"{given.dataset} and {given.evaluation_dataset}" if both else given.dataset
