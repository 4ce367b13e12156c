"""Finds the model that a person names in the history of an agent."""

from __future__ import annotations

import re
from typing import Any, Final

from modelops.api.v1alpha1.agentmodel import AgentModel, ServedVersion
from modelops.client import AsyncClient, Forbidden
from modelops.domain.nearest import did_you_mean
from modelops.domain.record import MalformedRecord, Record, RegistryEntry, Target
from modelops.tools.errors import ToolRefused

NEWEST: Final = "candidate"
"""Stands for the newest version that was trained and never served."""
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


async def read_record(client: AsyncClient, agent: AgentModel) -> Record:
    """The agent's record; for a caller who may not read ConfigMaps, what the AgentModel's status shows of it.

    Raises:
        ToolRefused: there is none yet, or it cannot be read.
    """
    name = agent.metadata.name
    record: Record | None
    try:
        record = await client.record(name)
    except Forbidden:
        record = _shown_in_status(agent)
    except MalformedRecord as error:
        raise ToolRefused(f"the history of agent {agent.spec.agent} cannot be read: {error}") from error
    if record is None:
        raise ToolRefused(
            f"agent {agent.spec.agent} has no history yet: the operator makes it while it runs. "
            f"`modelops explain {name}` says what it waits for"
        )
    return record


def _shown_in_status(agent: AgentModel) -> Record | None:
    """The newest versions, without their scores and lineage; None before the operator has seen the agent."""
    status = agent.status
    if status.stable is None:
        return None
    targets = [_target(one) for one in (status.stable, status.previous) if one is not None]
    served = {target.version: target for target in targets}
    entries = tuple(
        RegistryEntry(
            version=one.version,
            model=one.model,
            base_model="",
            training_method="",
            training_dataset="",
            trained_at=one.trained_at.isoformat() if one.trained_at else "",
            hub_repo=one.model,
            deployment_status=one.deployment_status,
        )
        for one in reversed(status.versions)
        if one.trained_at is not None
    )
    config = agent.spec.config.config_map_ref
    return Record(
        agent=agent.spec.agent,
        config_map=config.name,
        config_key=config.key,
        stable=targets[0],
        deployed_at="",
        served=served,
        history=entries,
    )


def _target(one: ServedVersion) -> Target:
    return Target(
        version=one.version,
        model=one.model,
        endpoint=one.endpoint.value,
        endpoint_url=one.endpoint_url,
        api_key_env="",
        revision=one.revision,
    )


def candidate_of(record: Record, named: str) -> dict[str, Any]:
    """`spec.candidate` of a Rollout for a model that a person names.

    `named`: a version (v1.1.0), a repository of the history (organisation/name), a repository at a commit
    (organisation/name@40 digits), or `candidate` for the newest version that was trained and never served.

    Raises:
        ToolRefused: nothing in the history fits, with what is there.
    """
    entries = list(reversed(record.history))
    if named == NEWEST:
        newest = next((one for one in entries if one.version not in record.served), None)
        if newest is None:
            raise ToolRefused(f"agent {record.agent} has no version that never served: train one first")
        return {"version": newest.version}
    versions = {one.version for one in entries} | set(record.served)
    if named in versions or f"v{named}" in versions:
        return {"version": named if named in versions else f"v{named}"}
    for entry in entries:
        if named in (entry.hub_repo, entry.model):
            return {"version": entry.version}
    for version, target in record.served.items():
        if named == target.model:
            return {"version": version}
    repository, _, revision = named.partition("@")
    if _COMMIT.match(revision) and "/" in repository:
        return {"model": {"repo": repository, "revision": revision}}
    known = [*versions, *(one.hub_repo for one in entries if one.hub_repo)]
    hint = did_you_mean(named, known, none="it has no versions yet")
    hint = hint if hint.endswith("?") else f"{hint}."
    raise ToolRefused(
        f"the history of agent {record.agent} has no model {named!r}: {hint} A repository that ModelOps did not train "
        "needs its commit: organisation/name@<40 hexadecimal digits>"
    )
