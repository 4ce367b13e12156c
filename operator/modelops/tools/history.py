"""`list_agent_models`: an agent's versions, and what serves it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from modelops.client import AsyncClient
from modelops.domain.record import RegistryEntry
from modelops.tools.agents import find_agent
from modelops.tools.candidates import read_record
from modelops.tools.errors import ToolRefused
from modelops.tools.results import AgentModels, ModelVersion

PAGE: Final = 50


async def list_models(
    client: AsyncClient, agent_name: str, *, limit: int = PAGE, page: str | None = None
) -> AgentModels:
    """The agent's trained versions, newest first, `limit` at a time. `page`: the `next_page` of the page before.

    Raises:
        ToolRefused: an unknown agent, an agent without a history, or a page that there is not.
    """
    agent = await find_agent(client, agent_name)
    record, shares = await asyncio.gather(
        read_record(client, agent), _canary_shares(client, agent.metadata.name)
    )
    entries = list(reversed(record.history))
    start = 0
    if page is not None:
        after = [number for number, entry in enumerate(entries) if entry.version == page]
        if not after:
            raise ToolRefused(f"there is no page {page!r}: use the next_page of the page before")
        start = after[0] + 1
    shown = entries[start : start + limit]
    return AgentModels(
        agent_name=agent.spec.agent,
        current_version=record.stable.version,
        current_model=record.stable.model,
        models=tuple(_version(entry, shares.get(entry.version)) for entry in shown),
        total=len(entries),
        next_page=shown[-1].version if shown and start + limit < len(entries) else None,
    )


async def _canary_shares(client: AsyncClient, agent_model: str) -> dict[str, int]:
    """The share of the candidate of each running rollout: the record has it only where the rollout rests."""
    return {
        rollout.status.candidate.version: rollout.status.weight
        for rollout in (await client.rollouts.list()).items
        if rollout.spec.agent_model_ref.name == agent_model
        and rollout.status.candidate is not None
        and rollout.status.phase.value in ("Progressing", "Promoting")
        and rollout.status.weight
    }


def _version(entry: RegistryEntry, canary: int | None) -> ModelVersion:
    return ModelVersion(
        version=entry.version,
        base_model=entry.base_model,
        training_date=_time(entry.trained_at),
        eval_scores=entry.eval_scores,
        deployment_status=f"canary_{canary}pct" if canary else entry.deployment_status,
        model=entry.model,
        training_method=entry.training_method,
        training_dataset=entry.training_dataset,
        hub_repo=entry.hub_repo,
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
