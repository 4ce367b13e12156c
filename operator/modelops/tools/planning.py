"""What an evaluation or a deployment would create, before anybody has agreed to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.client import AsyncClient, has_finished
from modelops.domain.record import Record
from modelops.tools.candidates import read_record
from modelops.tools.names import equal_requests
from modelops.tools.rollouts import (
    DEPLOY,
    EVALUATE,
    EVALUATE_ONLY,
    DeploymentRequest,
    EvaluationRequest,
    deployment_spec,
    evaluation_spec,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The Rollout that would be created. `earlier`: those that equal requests have created."""

    agent: AgentModel
    record: Record
    spec: Mapping[str, Any]
    earlier: tuple[Rollout, ...]
    same: Rollout | None
    """The one that the request would return instead of creating another."""

    @property
    def basis(self) -> dict[str, Any]:
        """Everything that the plan depends on, as JSON: it changes when the plan is carried out."""
        return {
            "agent": [self.agent.metadata.uid, self.agent.metadata.generation],
            "stable": self.record.stable.version,
            "spec": dict(self.spec),
            "earlier": [one.metadata.uid for one in self.earlier],
        }


async def plan_evaluation(client: AsyncClient, request: EvaluationRequest, *, key: str | None = None) -> Plan:
    """What `rollouts.evaluate` would do. Raises ToolRefused."""
    agent, spec = await evaluation_spec(client, request)
    return await _plan(client, agent, EVALUATE, spec | EVALUATE_ONLY, key)


async def plan_deployment(client: AsyncClient, request: DeploymentRequest, *, key: str | None = None) -> Plan:
    """What `rollouts.deploy` would do. Raises ToolRefused."""
    agent, spec = await deployment_spec(client, request)
    return await _plan(client, agent, DEPLOY, spec, key)


async def _plan(
    client: AsyncClient, agent: AgentModel, purpose: str, spec: Mapping[str, Any], key: str | None
) -> Plan:
    earlier = await equal_requests(client.rollouts, purpose, spec, key=key)
    return Plan(
        agent=agent,
        record=await read_record(client, agent),
        spec=spec,
        earlier=earlier,
        same=next((one for one in earlier if key or not has_finished(one)), None),
    )
