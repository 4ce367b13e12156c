"""`modelops rollback --direct`: removes an agent's `routing` from its file with the Kubernetes API alone."""

from __future__ import annotations

from modelops.client import AsyncClient, Conflict
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.record import MalformedRecord
from modelops.tools.errors import ToolRefused
from modelops.tools.situation import Place, why_not_on_stable

MAX_CONFLICTS = 20
LEAVE_PROMOTED = (
    "To leave a model that was promoted, use `modelops rollback` without --direct, while the operator runs"
)


class RollbackError(ToolRefused):
    """The agent was not routed back to stable. The message says why, and what to do."""


async def go_back_directly(client: AsyncClient, place: Place, agent_model: str, *, to: str | None) -> str:
    """Remove the agent's routing; returns what was done.

    Raises:
        RollbackError: the agent is not on stable after that, or `to` was given.
    """
    if to:
        raise RollbackError(
            f"--to {to} needs the operator, because --direct only removes `routing`: leave one of them out"
        )
    message = await remove_routing(client, *place)
    namespace, config_map, key, agent = place
    found = await client.config_map(config_map, namespace=namespace) or {}
    text = (found.get("data") or {}).get(key, "")
    try:
        record = await client.record(agent_model, namespace=namespace)
    except MalformedRecord:
        record = None
    problem = why_not_on_stable(place, text, record, agent_model)
    if problem:
        raise RollbackError(f"no session of {agent} goes to a canary, but it is not on stable: {problem}")
    return message


async def remove_routing(client: AsyncClient, namespace: str, config_map: str, key: str, agent: str) -> str:
    """Remove `routing`, conditional on the resourceVersion that was read. After a conflict, read and try again."""
    for _ in range(MAX_CONFLICTS):
        found = await client.config_map(config_map, namespace=namespace)
        if found is None:
            raise RollbackError(
                f"ConfigMap {config_map} does not exist in namespace {namespace}: name another with --config-map or -n"
            )
        text = (found.get("data") or {}).get(key)
        if text is None:
            problem = missing_key_problem(
                config_map, key, data=found.get("data"), binary=found.get("binaryData")
            )
            raise RollbackError(f"{problem}, or name another key with --key")
        try:
            entry = agentsfile.parse(text, agent)
            if entry.routing is None:
                where = f"{config_map}/{key}"
                return f"{agent} has no routing in {where}: it is on stable{_serves(entry)}. {LEAVE_PROMOTED}"
            changed = agentsfile.with_routing(text, agent, None)
        except agentsfile.AgentsFileError as error:
            raise RollbackError(f"ConfigMap {config_map}, key {key}: {error}") from error
        version = found["metadata"]["resourceVersion"]
        try:
            await client.patch_config_map(
                config_map, {"data": {key: changed}}, namespace=namespace, resource_version=version
            )
        except Conflict:
            continue
        done = f"{agent} is on stable: routing was removed from {config_map}/{key} in {namespace}{_serves(entry)}"
        promoted = entry.routing.rollout.state == "Promoted"
        return f"{done}. A rollout has promoted that model. {LEAVE_PROMOTED}" if promoted else done
    raise RollbackError(
        f"ConfigMap {config_map} changed {MAX_CONFLICTS} times while it was edited: run the command again"
    )


def _serves(entry: agentsfile.AgentEntry) -> str:
    """The stable model of the file, such as "; v1.0.0 (org/m) serves"; empty where it names none."""
    stable = entry.stable
    if stable is None or stable.model is None:
        return ""
    return f"; {stable.version} ({stable.model}) serves" if stable.version else f"; {stable.model} serves"
