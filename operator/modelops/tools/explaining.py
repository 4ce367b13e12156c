"""`explain`: what an object does, why, and what a person can do about it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import Condition
from modelops.api.v1alpha1.names import GROUP
from modelops.api.v1alpha1.rollout import Rollout, RolloutPhase
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.client import AsyncClient, Forbidden, NotFound, has_finished
from modelops.domain.nearest import did_you_mean
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Record
from modelops.tools.candidates import read_record
from modelops.tools.conditions import condition, has_succeeded, what_happens
from modelops.tools.errors import ToolRefused
from modelops.tools.metrics import metric_lines
from modelops.tools.results import Explanation
from modelops.tools.story import story_of

Explained = AgentModel | TrainingRun | Rollout
_UNSEEN: Final = "The operator has not reported on it yet. `modelops doctor` says whether one runs."


async def find_object(client: AsyncClient, name: str, *, kind: str | None = None) -> Explained:
    """The object of that name; without `kind` a Rollout, TrainingRun or AgentModel, in this order.

    Raises:
        NotFound: there is none, with the names that were probably meant.
    """
    kinds = (client.rollouts, client.training_runs, client.agent_models)
    asked = [one for one in kinds if kind is None or kind == one.resource.kind]
    named: list[Explained | BaseException | None] = await asyncio.gather(
        *(one.find(name) for one in asked), return_exceptions=True
    )
    for found in named:
        if isinstance(found, BaseException):
            raise found
        if found is not None:
            return found
    known = [item.metadata.name for one in asked for item in (await one.list()).items]
    what = kind or "Rollout, TrainingRun or AgentModel"
    place = await client.namespace()
    hint = did_you_mean(name, known, none="there is none; name another namespace with -n")
    raise NotFound(f"namespace {place} has no {what} named {name or repr(name)}: {hint}")


def explain(value: Explained) -> Explanation:
    """The object's own words, by its conditions, and the commands that may help now."""
    agent = value.spec.agent if isinstance(value, AgentModel) else value.spec.agent_model_ref.name
    ready = condition(value, "Ready")
    phase = "" if isinstance(value, AgentModel) else value.status.phase.value
    reason = "" if isinstance(value, AgentModel) else value.status.reason
    return Explanation(
        kind=value.kind,
        name=value.metadata.name,
        agent_name=agent,
        phase=phase or ("Ready" if ready and ready.status.value == "True" else "NotReady"),
        reason=reason or (ready.reason if ready else ""),
        message=_message_of_agent(ready) if isinstance(value, AgentModel) else what_happens(value),
        finished=not isinstance(value, AgentModel) and has_finished(value),
        succeeded=None if isinstance(value, AgentModel) else has_succeeded(value),
        conditions=tuple(
            f"{one.type}={one.status.value} ({one.reason}){': ' + one.message if one.message else ''}"
            for one in value.status.conditions
        ),
        next_steps=tuple(next_steps(value)),
        metrics=metric_lines(value) if isinstance(value, Rollout) else (),
    )


async def explain_with_story(client: AsyncClient, value: Explained) -> Explanation:
    """`explain`, with the object's story. What the caller may not read is left out of it."""
    agent, record = await _agent_and_record(client, value)
    return explain(value).model_copy(
        update={"story": story_of(value, agent=agent, record=record, now=datetime.now(UTC))}
    )


async def _agent_and_record(client: AsyncClient, value: Explained) -> tuple[AgentModel | None, Record | None]:
    agent: AgentModel | None
    try:
        agent = (
            value
            if isinstance(value, AgentModel)
            else await client.agent_models.find(value.spec.agent_model_ref.name)
        )
    except Forbidden:
        agent = None
    try:
        return agent, await read_record(client, agent) if agent is not None else None
    except (ToolRefused, Forbidden):
        return agent, None


def _message_of_agent(ready: Condition | None) -> str:
    return ready.message or ready.reason if ready else _UNSEEN


def next_steps(value: Explained) -> list[str]:
    """Commands that fit the object's state."""
    name, place = value.metadata.name, value.metadata.namespace
    if isinstance(value, AgentModel):
        return [f"modelops models {name} -n {place}", f"modelops spend {name} -n {place}"]
    if isinstance(value, TrainingRun):
        return _after_run(value, name, place)
    agent = value.spec.agent_model_ref.name
    if not has_finished(value):
        waits = [f"modelops approve {name} -n {place}"] if value.status.approval_digest else []
        if value.status.reason == RolloutReason.WaitingForPromotion.value:
            waits.append(f"modelops promote {name} -n {place}")
        return [
            *waits,
            f"modelops watch {name} -n {place}",
            f"modelops {'resume' if value.spec.paused else 'pause'} {name} -n {place}",
            f"modelops abort {name} -n {place}",
        ]
    if value.status.phase is RolloutPhase.SUCCEEDED and value.spec.strategy.evaluate_only is not None:
        version = value.status.candidate.version if value.status.candidate else "VERSION"
        return [f"modelops deploy {agent} {version} -n {place}"]
    if value.status.phase is RolloutPhase.SUCCEEDED:
        return [f"modelops rollback {agent} -n {place}"]
    return [f"modelops retry {name} -n {place}", f"modelops models {agent} -n {place}"]


def _after_run(run: TrainingRun, name: str, place: str) -> list[str]:
    agent = run.spec.agent_model_ref.name
    if run.status.phase is TrainingPhase.AWAITING_APPROVAL:
        return [f"modelops approve {name} -n {place}"]
    if not has_finished(run):
        return [f"modelops watch {name} -n {place}", f"modelops cancel {name} -n {place}"]
    if run.status.phase is TrainingPhase.SUCCEEDED and run.status.model is not None:
        version = run.status.model.version
        return [
            f"modelops evaluate {agent} {version} -n {place}",
            f"modelops deploy {agent} {version} -n {place}",
        ]
    return [f"kubectl -n {place} describe trainingruns.{GROUP} {name}"]
