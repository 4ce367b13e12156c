"""Routes an agent back to its stable model, or from a promoted model to the version before it."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.names import record_name
from modelops.client import AsyncClient, NotFound
from modelops.domain import agentsfile
from modelops.domain.reasons import AgentModelReason
from modelops.domain.record import Record
from modelops.domain.rollout.state import same_target
from modelops.domain.rollout.status import TERMINAL
from modelops.domain.undo import previous_version, undone_at, unrecorded_mark, why_not_settled
from modelops.tools.amounts import usd
from modelops.tools.direct_rollback import RollbackError
from modelops.tools.names import create_once
from modelops.tools.situation import Situation, active_rollouts, read_situation, why_not_on_stable


async def go_back(
    client: AsyncClient,
    agent_model: str,
    *,
    to: str | None = None,
    max_usd: str = "1",
    created_by: str = "modelops",
) -> str:
    """Abort what is active. If nothing is, create a Rollout to the version before. Returns what was done.

    With `to` the Rollout is created in both cases, unless the abort goes back to that version.

    Raises:
        RollbackError: the file has a canary that belongs to no running rollout, or file or record cannot be read, or
            they name different models, or `to` never served.
    """
    namespace = await client.namespace()
    now = await read_situation(client, agent_model)
    going_back = _running_undo(now, to)
    spared = going_back["metadata"]["uid"] if going_back is not None else ""
    aborted = await abort_rollouts(client, now, spared=spared)
    if going_back is not None:
        name, version = going_back["metadata"]["name"], going_back["spec"]["candidate"]["version"]
        already = (
            f"rollout {name} goes back to {version} already{_waits(going_back)}; {_watch(namespace, name)}"
        )
        return "\n".join(filter(None, [aborted, already]))
    if aborted:
        undone = await _then_undo(client, now, to=to, max_usd=max_usd, created_by=created_by, aborted=aborted)
        return "\n".join([aborted, *undone])
    under_way = _accepted_undo(now)
    if under_way and to in (None, now.record.undo.to if now.record and now.record.undo else to):
        return under_way
    problem = why_not_on_stable(now.place, now.text, None if to else now.record, agent_model)
    if problem:
        raise RollbackError(f"no Rollout is active for {agent_model}, but it is not on stable: {problem}")
    return await _undo(
        client,
        now.record,
        agent_model,
        entry=now.entry,
        to=to,
        max_usd=max_usd,
        created_by=created_by,
        reported=_reported_problem(now.agent_model),
    )


async def _then_undo(
    client: AsyncClient, now: Situation, *, to: str | None, max_usd: str, created_by: str, aborted: str
) -> tuple[str, ...]:
    """After an abort: create the Rollout to `to`, which waits until the abort has ended; nothing without `to`."""
    if not to or (now.record is not None and now.record.stable.version == to):
        return ()
    try:
        made = await _undo(
            client,
            now.record,
            now.name,
            entry=now.entry,
            to=to,
            max_usd=max_usd,
            created_by=created_by,
            reported=None,
        )
        return (made,)
    except RollbackError as error:
        raise RollbackError(f"{aborted}; but --to {to} is not done: {error}") from error


async def abort_rollouts(client: AsyncClient, now: Situation, *, spared: str = "") -> str:
    """Set spec.abort of the rollout that has the agent lock, and of one to which the agents' file still routes.

    The file determines what is served. The record has the agent lock; status.activeRollout may lag behind it. Returns
    what was done; empty where nothing was active. `spared`: uid of a rollout that goes back already.

    Raises:
        RollbackError: the file has a canary that belongs to no running rollout, or the file cannot be read.
    """
    namespace, config_map, key, agent = now.place
    names = {uid: name for uid, name in active_rollouts(now).items() if uid != spared}
    routing = now.entry.routing if now.entry is not None else None
    served = routing.rollout.uid if routing is not None and routing.weight else ""
    if served and served not in names:
        names |= {
            uid: item["metadata"]["name"]
            for item in now.rollouts
            if (uid := item["metadata"]["uid"]) == served
        }
    aborted = {uid: name for uid, name in names.items() if await _abort(client, name, uid)}
    messages = [f"rollout {name} is being aborted; {_watch(namespace, name)}" for name in aborted.values()]
    if routing is not None and served and served not in aborted:
        orphan = (
            f"{agent} has {routing.weight} percent of its sessions on a canary in {config_map}/{key}, but no running "
            f"Rollout has its uid {served}: remove the canary with "
            f"`modelops rollback {now.name} -n {namespace} --direct`"
        )
        raise RollbackError("; ".join([*messages, orphan]))
    if not aborted and now.unreadable:
        raise RollbackError("; ".join([f"it is unknown whether {now.name} is on stable", *now.unreadable]))
    return "\n".join([*messages, *now.unreadable])


async def _undo(
    client: AsyncClient,
    record: Record | None,
    agent_model: str,
    *,
    entry: agentsfile.AgentEntry | None,
    to: str | None,
    max_usd: str,
    created_by: str,
    reported: str | None,
) -> str:
    """Create a Rollout to the version that served before. Returns what was done, or why nothing.

    `reported`: why agents may not use stable, by what the operator reports; it does not keep an undo from being made.
    Raises RollbackError where there is no record, or `to` never served.
    """
    namespace = await client.namespace()
    if record is None:
        raise RollbackError(
            f"it is unknown which version of {agent_model} is stable, and which served before: ConfigMap "
            f"{record_name(agent_model)} does not exist. The operator creates it while it runs; call this again then. "
            f"To remove a canary without it, use `modelops rollback {agent_model} -n {namespace} --direct`"
        )
    on_stable = f"no Rollout is active for {agent_model}: it is on stable"
    target = to or previous_version(record, entry) or ""
    previous = record.previous
    left = not target and previous is not None and undone_at(record, previous)
    serves = target == record.stable.version and (entry is None or same_target(entry.stable, record.stable))
    if not target or serves:
        if reported:
            raise RollbackError(
                f"no Rollout is active for {agent_model}, but it is not on stable: {reported}"
            )
        if left and previous is not None:
            return (
                f"{on_stable} {record.stable.version}, and the version before, {previous.version}, was left by an "
                f"undo. To serve it again, use `modelops rollback {agent_model} -n {namespace} --to {previous.version}`"
            )
        return f"{agent_model} is on {target} already" if to else on_stable
    if target not in record.served:
        known = ", ".join(sorted(record.served))
        raise RollbackError(f"{target} never served {agent_model}: use one of {known}, or a new Rollout")
    made, _ = await create_once(
        client,
        client.rollouts,
        agent_model,
        "undo",
        {
            "agentModelRef": {"name": agent_model},
            "candidate": {"version": target},
            "strategy": {"immediate": {}},
            "maxUSD": usd(max_usd),
        },
        created_by=created_by,
    )
    name = made.metadata.name
    return f"rollout {name} goes back from {record.stable.version} to {target}; {_watch(namespace, name)}"


def _accepted_undo(now: Situation) -> str:
    """What is said of an undo that is accepted, or made directly, and not finished; empty where none is."""
    record, entry = now.record, now.entry
    if (
        record is None
        or entry is None
        or (record.undo is None and unrecorded_mark(record, entry.routing) is None)
    ):
        return ""
    shown = ((now.agent_model.get("status") or {}).get("undo") or {}).get("message")
    return f"{now.name} is going back already: {shown or why_not_settled(record, entry)}"


def _reported_problem(found: Any) -> str | None:
    """What the operator says about the agents' processes and the stable endpoint."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    ready: dict[str, str] = next((c for c in conditions if c.get("type") == "Ready"), {})
    reasons = {AgentModelReason.AgentsNotInSync.value, AgentModelReason.EndpointNotRunning.value}
    return f"{ready['reason']}: {ready.get('message', '')}" if ready.get("reason") in reasons else None


def _watch(namespace: str, name: str) -> str:
    return f"follow it with: modelops watch {name} -n {namespace}"


def _waits(rollout: Any) -> str:
    """What the rollout says of itself now, such as ", and says SecretNotUsable: ..."; empty where it says nothing."""
    conditions = (rollout.get("status") or {}).get("conditions") or ()
    ready: dict[str, str] = next((c for c in conditions if c.get("type") == "Ready"), {})
    return f", and says {ready['reason']}: {ready.get('message', '')}" if ready.get("reason") else ""


def _running_undo(now: Situation, to: str | None) -> Any:
    """The rollout that goes back already, so that a second call repeats the first; None where there is none."""
    for rollout in (r for r in now.rollouts if r["spec"]["agentModelRef"]["name"] == now.name):
        spec, phase = rollout["spec"], (rollout.get("status") or {}).get("phase")
        version = spec["candidate"].get("version")
        served = now.record is not None and version in now.record.served
        runs = (
            phase not in TERMINAL and not spec.get("abort") and "deletionTimestamp" not in rollout["metadata"]
        )
        if runs and served and "immediate" in spec["strategy"] and to in (None, version):
            return rollout
    return None


async def _abort(client: AsyncClient, name: str, uid: str) -> bool:
    """Set spec.abort. Returns False if the rollout does not exist or has ended."""
    try:
        rollout = await client.rollouts.get_stored(name)
    except NotFound:
        return False
    if rollout["metadata"]["uid"] != uid or (rollout.get("status") or {}).get("phase") in TERMINAL:
        return False
    await client.rollouts.patch(name, {"spec": {"abort": True}}, uid=uid)
    return True
