"""What a training is asked for with, and the spec of the TrainingRun that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.training_config import TrainingConfig
from modelops.api.v1alpha1.trainingrun import Method
from modelops.client import AsyncClient
from modelops.domain.nearest import did_you_mean
from modelops.tools.agents import find_agent
from modelops.tools.errors import ToolRefused


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What is to be trained. What is empty comes from the AgentModel, and then from the installation.

    `dataset_id`: `ls://<id or name>`. `training_config`: fields of TrainingConfig, in snake_case or camelCase.
    `max_usd`: the most that the training may cost, further attempts included; None for the quote's high end.
    """

    agent_name: str
    dataset_id: str | None = None
    base_model: str | None = None
    training_method: str = "sft"
    training_config: Mapping[str, Any] = field(default_factory=dict)
    flavor: str | None = None
    max_usd: str | None = None


async def training_spec(client: AsyncClient, request: TrainingRequest) -> tuple[AgentModel, dict[str, Any]]:
    """The AgentModel, and the spec of the TrainingRun without `maxUSD`.

    Raises:
        ToolRefused: an unknown agent, method or field of training_config.
    """
    agent = await find_agent(client, request.agent_name)
    methods = [method.value for method in Method]
    if request.training_method not in methods:
        raise ToolRefused(
            f"{request.training_method!r} is no training method: use one of {', '.join(methods)}"
        )
    langsmith = agent.spec.langsmith
    if not request.dataset_id and not (langsmith and langsmith.training_dataset):
        raise ToolRefused(
            f"agent {agent.spec.agent} has no training dataset: name one as ls://<id or exact name>, or collect "
            f"examples first"
        )
    spec: dict[str, Any] = {
        "agentModelRef": {"name": agent.metadata.name},
        "method": request.training_method,
        "backend": {"huggingFace": {"flavor": request.flavor} if request.flavor else {}},
    }
    if request.dataset_id:
        spec["dataset"] = {"langsmith": request.dataset_id}
    if request.base_model:
        spec["baseModel"] = request.base_model
    if config := _config(request.training_config):
        spec["config"] = config
    return agent, spec


def _config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides in the wire's form: numbers that the API stores as decimal strings may be given as numbers."""
    texts = {"learning_rate", "learningRate", "warmup_ratio", "warmupRatio", "beta"}
    prepared = {
        name: format(Decimal(str(value)), "f") if name in texts and isinstance(value, int | float) else value
        for name, value in given.items()
    }
    try:
        return TrainingConfig.model_validate(prepared).wire()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = f"training_config.{'.'.join(map(str, first['loc']))}"
        if first["type"] == "extra_forbidden":
            known = did_you_mean(str(first["loc"][0]), TrainingConfig.model_fields, none="")
            raise ToolRefused(f"{place}: there is no such value: {known}") from error
        raise ToolRefused(f"{place}: {first['input']!r}: {first['msg']}") from error
