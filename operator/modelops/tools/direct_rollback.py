"""`modelops rollback --direct`: takes an agent back with the Kubernetes API alone (protocol, Direct undo 1 and 2).

A canary ends, or a version that served before serves again: one conditional write of the agents' file. The operator is
not needed; when it runs, it takes the undo over from the mark that the write leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelops.client import AsyncClient, ClientError, Conflict
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.record import BY_DIRECT, MalformedRecord, Record, Target
from modelops.domain.rollout.state import same_target, stable_keys
from modelops.domain.undo import previous_version, unrecorded_mark
from modelops.tools.errors import ToolRefused
from modelops.tools.situation import Place, why_not_on_stable

MAX_CONFLICTS = 20
WITHOUT_RECORD = (
    "To leave a model that was promoted, the record is needed, which cannot be read: use `modelops rollback` without "
    "--direct, while the operator runs"
)


class RollbackError(ToolRefused):
    """The agent was not routed back. The message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The agents' file as it was read, with its ConfigMap's resourceVersion."""

    version: str
    text: str
    entry: agentsfile.AgentEntry


async def go_back_directly(client: AsyncClient, place: Place, agent_model: str, *, to: str | None) -> str:
    """End a canary; without one, or with `to`, write that version into the file. Returns what was done.

    Without `to` and without a canary it is the previous version. A second call repeats the first and never returns.
    Raises:
        RollbackError: the agent is not where it should be after that, or it is not clear which version is meant.
    """
    for _ in range(MAX_CONFLICTS):
        found, record = await _read(client, place), await _record(client, place, agent_model)
        target = _target(place, found, record, agent_model, to=to)
        if isinstance(target, str):
            return target
        changed, said, generation = _edited(place, found, record, target)
        if changed != found.text:
            data = {"data": {place[2]: changed}}
            try:
                await client.patch_config_map(
                    place[1], data, namespace=place[0], resource_version=found.version
                )
            except Conflict:
                continue
        problem = why_not_on_stable(place, changed, record if target is None else None, agent_model)
        if problem:
            raise RollbackError(f"{said}, but agents may not follow: {problem}")
        return said if target is None else said + await _ask_by_field(client, agent_model, target, generation)
    raise RollbackError(
        f"ConfigMap {place[1]} changed {MAX_CONFLICTS} times while it was edited: run the command again"
    )


async def _read(client: AsyncClient, place: Place) -> _Found:
    namespace, config_map, key, agent = place
    item: Any = await client.config_map(config_map, namespace=namespace)
    if item is None:
        raise RollbackError(
            f"ConfigMap {config_map} does not exist in namespace {namespace}: name another with --config-map or -n"
        )
    text = (item.get("data") or {}).get(key)
    if text is None:
        problem = missing_key_problem(config_map, key, data=item.get("data"), binary=item.get("binaryData"))
        raise RollbackError(f"{problem}, or name another key with --key")
    try:
        entry = agentsfile.parse(text, agent)
    except agentsfile.AgentsFileError as error:
        raise RollbackError(f"ConfigMap {config_map}, key {key}: {error}") from error
    return _Found(version=item["metadata"]["resourceVersion"], text=text, entry=entry)


async def _record(client: AsyncClient, place: Place, agent_model: str) -> Record | None:
    try:
        found: Record | None = await client.record(agent_model, namespace=place[0])
    except MalformedRecord:
        return None
    return found


def _target(
    place: Place, found: _Found, record: Record | None, agent_model: str, *, to: str | None
) -> Target | str | None:
    """The version to write; None where only the canary is to end; or what is said because nothing is to be done.

    Raises:
        RollbackError: it is not clear which version is meant, or it cannot be served.
    """
    entry, where = found.entry, f"{place[1]}/{place[2]}"
    canary = entry.routing is not None and entry.routing.weight > 0
    if record is None:
        if to:
            raise RollbackError(
                f"--to {to} is not done: the record of {agent_model} cannot be read. {WITHOUT_RECORD}"
            )
        if entry.routing is not None:
            return None
        _check(place, found, None, agent_model)
        return f"{place[3]} has no routing in {where}: it is on stable{_serves(entry)}. {WITHOUT_RECORD}"
    if not to and canary:
        return None
    if not to and unrecorded_mark(record, entry.routing) is None and record.undo is None:
        _check(place, found, record, agent_model)
    version = to or previous_version(record, entry)
    if version is None:
        known = ", ".join(v for v in sorted(record.served) if v != record.stable.version)
        more = f" To serve another version, name it with --to: {known}" if known else ""
        return f"{place[3]} is on stable{_serves(entry)}, and there is no version before to go back to.{more}"
    target = record.served.get(version)
    if target is None:
        known = ", ".join(sorted(record.served))
        raise RollbackError(f"{version} never served {agent_model}: use one of {known}, or a new Rollout")
    endpoint = next((e for e in record.endpoints if e.name == target.endpoint_name), None)
    if target.endpoint_name and (endpoint is None or endpoint.is_ending):
        raise RollbackError(
            f"the endpoint {target.endpoint_name} of {version} was stopped, so agents would only get errors: use "
            f"`modelops rollback {agent_model} -n {place[0]} --to {version}` without --direct, which starts it first"
        )
    if same_target(entry.stable, target) and not canary:
        _check(place, found, None, agent_model)
        return f"{place[3]} is on {version} already{_serves(entry)}"
    return target


def _check(place: Place, found: _Found, record: Record | None, agent_model: str) -> None:
    """Raises RollbackError where agents cannot read the file, or where file and record differ."""
    problem = why_not_on_stable(place, found.text, record, agent_model)
    if problem:
        raise RollbackError(f"no session of {place[3]} goes to a canary, but it is not on stable: {problem}")


def _edited(
    place: Place, found: _Found, record: Record | None, target: Target | None
) -> tuple[str, str, int]:
    """The file's new text, what is said of it, and the generation of its mark.

    Raises:
        RollbackError: the file cannot be changed without touching what belongs to other people.
    """
    namespace, config_map, key, agent = place
    where, entry = f"{config_map}/{key} in {namespace}", found.entry
    block = entry.routing
    clock = int(datetime.now(UTC).timestamp() * 1000)
    generation = max(block.generation if block else 0, record.marked if record else 0, clock) + 1
    try:
        if target is None:
            changed = agentsfile.with_routing(found.text, agent, None)
            said = f"{agent} is on stable: routing was removed from {where}{_serves(entry)}"
            promoted = block is not None and block.rollout.state == "Promoted"
            return (
                changed,
                f"{said}. A rollout has promoted that model. {WITHOUT_RECORD}" if promoted else said,
                0,
            )
        mark = agentsfile.RoutingBlock.undone(by=BY_DIRECT, to=target.version, generation=generation)
        changed = agentsfile.edit(found.text, agent, stable=stable_keys(target), routing=mark)
    except agentsfile.AgentsFileError as error:
        raise RollbackError(f"ConfigMap {config_map}, key {key}: {error}") from error
    left = entry.stable.version if entry.stable and entry.stable.version else "another model"
    said = f"{agent} went back from {left} to {target.version} ({target.model}) in {where}"
    return changed, f"{said}. The operator takes it over when it runs", generation


async def _ask_by_field(client: AsyncClient, agent_model: str, target: Target, generation: int) -> str:
    """Sets spec.undo, too, where it can: GitOps may overwrite the mark before the operator has seen it."""
    undo = {"to": target.version, "id": f"direct-{generation}"}
    try:
        await client.agent_models.patch(agent_model, {"spec": {"undo": undo}})
    except ClientError:
        return ""
    return f", and spec.undo of AgentModel {agent_model} says so"


def _serves(entry: agentsfile.AgentEntry) -> str:
    """The stable model of the file, such as "; v1.0.0 (org/m) serves"; empty where it names none."""
    stable = entry.stable
    if stable is None or stable.model is None:
        return ""
    return f"; {stable.version} ({stable.model}) serves" if stable.version else f"; {stable.model} serves"
