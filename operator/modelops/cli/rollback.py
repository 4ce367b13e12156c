"""`modelops rollback`: routes an agent back to its stable model, or from a promoted model to the version before it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.api.v1alpha1.names import GROUP, VERSION, record_name
from modelops.cli.kube_access import add_arguments, connect
from modelops.domain import agentsfile
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.rollout.state import same_target
from modelops.domain.rollout.status import TERMINAL

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

MAX_CONFLICTS = 20


class RollbackError(Exception):
    """The agent was not routed back to stable. The message says why, and what to do."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "rollback",
        help="route an agent back to its stable model, or to the version before it",
        description=(
            "Abort the agent's active Rollout, and a Rollout to which the agents' file still routes requests. If there "
            "is none, create a Rollout that goes back at once to the version that served before. With --direct only "
            "the Kubernetes API is needed: the agent's `routing` is removed from the ConfigMap, so that all requests "
            "go to stable; if the operator runs, it then ends the rollout."
        ),
    )
    parser.add_argument("agent_model", help="name of the AgentModel, such as docs")
    add_arguments(parser)
    parser.add_argument(
        "--to",
        metavar="VERSION",
        help="go back to this version, which served before (default: the previous one)",
    )
    parser.add_argument(
        "--max-usd",
        default="1",
        help="the most that the undo may cost; it costs something only if an endpoint must be started "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--direct", action="store_true", help="change the agents' file directly, without the operator"
    )
    parser.add_argument("--config-map", help="with --direct: the ConfigMap, if the AgentModel cannot be read")
    parser.add_argument(
        "--key", default="agents.yaml", help="with --config-map: key of the file (default: %(default)s)"
    )
    parser.add_argument(
        "--agent", help="with --config-map: name of the agent in the file (default: AGENT_MODEL with _ for -)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the agent goes back, or is on stable; 1: neither, or unknown; 2: no cluster."""
    from kubernetes import client

    if not connect(arguments, command="rollback"):
        return 2
    try:
        if arguments.direct:
            print(remove_routing(client.CoreV1Api(), *find_file(client.CustomObjectsApi(), arguments)))
        else:
            print(go_back(client.CustomObjectsApi(), client.CoreV1Api(), arguments))
    except RollbackError as error:
        print(f"modelops rollback: {error}", file=sys.stderr)
        return 1
    except client.ApiException as error:
        print(f"modelops rollback: the API server answered {error.status}: {error.reason}", file=sys.stderr)
        return 1
    return 0


def go_back(objects: Any, core: CoreV1Api, arguments: argparse.Namespace) -> str:
    """Abort what is active. If nothing is, create a Rollout to the version before. Returns what was done.

    Raises:
        RollbackError: the file has a canary that belongs to no running rollout, or file or record cannot be read, or
            they name different models, or `--to` never served.
    """
    namespace, agent_model = arguments.namespace, arguments.agent_model
    found = objects.get_namespaced_custom_object(GROUP, VERSION, namespace, "agentmodels", agent_model)
    unreadable: list[str] = []
    record = _read_record(core, namespace, found, unreadable)
    listed = [r for r in _rollouts(objects, namespace) if _names(r, agent_model)]
    going_back = _running_undo(listed, record, arguments.to)
    entry = _read_entry(core, *_file_of(namespace, found), unreadable)
    spared = going_back["metadata"]["uid"] if going_back is not None else ""
    aborted = abort_rollouts(objects, found, record, entry, arguments, unreadable, spared=spared)
    if going_back is not None:
        name, version = going_back["metadata"]["name"], going_back["spec"]["candidate"]["version"]
        already = f"rollout {name} goes back to {version} already: {_watch(namespace, name)}"
        return "\n".join(filter(None, [aborted, already]))
    if aborted or record is None or entry is None:
        return aborted or f"no Rollout is active for {agent_model}: it is on stable"
    return _undo(objects, record, entry, arguments)


def abort_rollouts(
    objects: Any,
    found: Any,
    record: Record | None,
    entry: agentsfile.AgentEntry | None,
    arguments: argparse.Namespace,
    unreadable: list[str],
    *,
    spared: str = "",
) -> str:
    """Set spec.abort of the rollout that has the agent lock, and of one to which the agents' file still routes.

    The file determines what is served. The record has the agent lock; status.activeRollout may lag behind it. Returns
    what was done; empty where nothing was active. `spared`: uid of a rollout that goes back already.

    Raises:
        RollbackError: the file has a canary that belongs to no running rollout, or the file cannot be read.
    """
    namespace, agent_model = arguments.namespace, arguments.agent_model
    names = {uid: name for uid, name in _active_rollouts(found, record).items() if uid != spared}
    file_key = _file_of(namespace, found)
    routing = entry.routing if entry is not None else None
    served = routing.rollout.uid if routing is not None and routing.weight else ""
    if served and served not in names:
        names |= {
            uid: item["metadata"]["name"]
            for item in _rollouts(objects, namespace)
            if (uid := item["metadata"]["uid"]) == served
        }
    aborted = {uid: name for uid, name in names.items() if _abort(objects, namespace, name, uid)}
    messages = [f"rollout {name} is being aborted: {_watch(namespace, name)}" for name in aborted.values()]
    if routing is not None and served and served not in aborted:
        _, config_map, key, agent = file_key
        orphan = (
            f"{agent} has {routing.weight} percent of its sessions on a canary in {config_map}/{key}, but no running "
            f"Rollout has its uid {served}: remove the canary with "
            f"`modelops rollback {agent_model} -n {namespace} --direct`"
        )
        raise RollbackError("; ".join([*messages, orphan]))
    if not aborted and unreadable:
        raise RollbackError("; ".join([f"it is unknown whether {agent_model} is on stable", *unreadable]))
    return "\n".join([*messages, *unreadable])


def _undo(objects: Any, record: Record, entry: agentsfile.AgentEntry, arguments: argparse.Namespace) -> str:
    """Create a Rollout to the version that served before; nothing is active. Returns what was done, or why nothing."""
    namespace, agent_model, stable = arguments.namespace, arguments.agent_model, record.stable
    if not same_target(entry.stable, stable):
        named = entry.stable.model if entry.stable else "no model"
        raise RollbackError(
            f"the agents' file names {named} as the stable model of {agent_model}, and the record names {stable.model} "
            f"({stable.version}): make the file agree with the record first"
        )
    on_stable = f"no Rollout is active for {agent_model}: it is on stable"
    target = arguments.to or (record.previous.version if record.previous else "")
    if not target or target == stable.version:
        return on_stable if not arguments.to else f"{agent_model} is on {stable.version} already"
    if target not in record.served:
        known = ", ".join(sorted(record.served))
        raise RollbackError(f"{target} never served {agent_model}: use one of {known}, or a new Rollout")
    if target in record.undone and not arguments.to:
        return (
            f"{on_stable} {stable.version}, and the version before, {target}, was left by an undo. To serve it again, "
            f"use `modelops rollback {agent_model} -n {namespace} --to {target}`"
        )
    made = objects.create_namespaced_custom_object(
        GROUP,
        VERSION,
        namespace,
        "rollouts",
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Rollout",
            "metadata": {"generateName": f"{agent_model[:40]}-undo-"},
            "spec": {
                "agentModelRef": {"name": agent_model},
                "candidate": {"version": target},
                "strategy": {"immediate": {}},
                "maxUSD": arguments.max_usd,
            },
        },
    )
    name = made["metadata"]["name"]
    return f"rollout {name} goes back from {stable.version} to {target}: {_watch(namespace, name)}"


def _watch(namespace: str, name: str) -> str:
    return f"kubectl -n {namespace} get rollouts.{GROUP} {name} --watch"


def _rollouts(objects: Any, namespace: str) -> list[Any]:
    found: list[Any] = objects.list_namespaced_custom_object(GROUP, VERSION, namespace, "rollouts")["items"]
    return found


def _names(rollout: Any, agent_model: str) -> bool:
    return bool(rollout["spec"]["agentModelRef"]["name"] == agent_model)


def _running_undo(rollouts: list[Any], record: Record | None, to: str | None) -> Any:
    """The rollout that goes back already, so that a second call repeats the first; None where there is none."""
    for rollout in rollouts:
        spec, phase = rollout["spec"], (rollout.get("status") or {}).get("phase")
        version = spec["candidate"].get("version")
        served = record is not None and version in record.served
        runs = (
            phase not in TERMINAL and not spec.get("abort") and "deletionTimestamp" not in rollout["metadata"]
        )
        if runs and served and "immediate" in spec["strategy"] and to in (None, version):
            return rollout
    return None


def _read_record(core: CoreV1Api, namespace: str, found: Any, unreadable: list[str]) -> Record | None:
    """Return the agent's record; None where there is none. A record that cannot be read is added to `unreadable`."""
    from kubernetes.client import ApiException

    name = record_name(found["metadata"]["name"])
    try:
        return Record.from_data(core.read_namespaced_config_map(name, namespace).data or {})
    except MalformedRecord as error:
        unreadable.append(f"ConfigMap {name}: {error}")
    except ApiException as error:
        if error.status != 404:
            unreadable.append(f"ConfigMap {name}: the API server answered {error.status}: {error.reason}")
    return None


def _active_rollouts(found: Any, record: Record | None) -> dict[str, str]:
    """Return the active rollouts in the AgentModel's status and in its record: names by uid."""
    active_status = (found.get("status") or {}).get("activeRollout") or {}
    rollouts = {active_status["uid"]: active_status["name"]} if active_status.get("name") else {}
    if record is not None and record.active is not None:
        rollouts[record.active.uid] = record.active.name
    return rollouts


def _read_entry(
    core: CoreV1Api, namespace: str, config_map: str, key: str, agent: str, unreadable: list[str]
) -> agentsfile.AgentEntry | None:
    """Return the agent's entry of the agents' file; problems are added to `unreadable`."""
    from kubernetes.client import ApiException

    try:
        text = (core.read_namespaced_config_map(config_map, namespace).data or {}).get(key)
        if text is not None:
            return agentsfile.parse(text, agent)
        unreadable.append(f"ConfigMap {config_map} in {namespace} has no key {key}")
    except agentsfile.AgentsFileError as error:
        unreadable.append(f"ConfigMap {config_map}, key {key}: {error}")
    except ApiException as error:
        unreadable.append(f"ConfigMap {config_map}: the API server answered {error.status}: {error.reason}")
    return None


def _abort(objects: Any, namespace: str, name: str, uid: str) -> bool:
    """Set spec.abort. Returns False if the rollout does not exist or has ended."""
    from kubernetes.client import ApiException

    try:
        rollout = objects.get_namespaced_custom_object(GROUP, VERSION, namespace, "rollouts", name)
    except ApiException as error:
        if error.status == 404:
            return False
        raise
    if rollout["metadata"]["uid"] != uid or (rollout.get("status") or {}).get("phase") in TERMINAL:
        return False
    objects.patch_namespaced_custom_object(
        GROUP, VERSION, namespace, "rollouts", name, {"spec": {"abort": True}}
    )
    return True


def find_file(objects: Any, arguments: argparse.Namespace) -> tuple[str, str, str, str]:
    """Return namespace, ConfigMap, key and agent, from the AgentModel or from the arguments."""
    if arguments.config_map:
        return (
            arguments.namespace,
            arguments.config_map,
            arguments.key,
            arguments.agent or arguments.agent_model.replace("-", "_"),
        )
    found = objects.get_namespaced_custom_object(
        GROUP, VERSION, arguments.namespace, "agentmodels", arguments.agent_model
    )
    return _file_of(arguments.namespace, found)


def _file_of(namespace: str, found: Any) -> tuple[str, str, str, str]:
    reference = found["spec"]["config"]["configMapRef"]
    return namespace, reference["name"], reference.get("key", "agents.yaml"), found["spec"]["agent"]


def remove_routing(core: CoreV1Api, namespace: str, config_map: str, key: str, agent: str) -> str:
    """Remove `routing`, conditional on the resourceVersion that was read. After a conflict, read and try again."""
    from kubernetes.client import ApiException

    for _ in range(MAX_CONFLICTS):
        found = core.read_namespaced_config_map(config_map, namespace)
        text = (found.data or {}).get(key)
        if text is None:
            raise RollbackError(
                f"ConfigMap {config_map} in {namespace} has no key {key}: name the key with --key"
            )
        try:
            if agentsfile.parse(text, agent).routing is None:
                return (
                    f"{agent} has no routing in {config_map}/{key}: it is on stable. To leave a model that was "
                    "promoted, use `modelops rollback` without --direct, while the operator runs"
                )
            changed = agentsfile.with_routing(text, agent, None)
        except agentsfile.AgentsFileError as error:
            raise RollbackError(f"ConfigMap {config_map}, key {key}: {error}") from error
        assert found.metadata is not None
        version = found.metadata.resource_version
        try:
            core.patch_namespaced_config_map(
                config_map, namespace, {"metadata": {"resourceVersion": version}, "data": {key: changed}}
            )
        except ApiException as error:
            if error.status == 409:
                continue
            raise
        return f"{agent} is on stable: routing was removed from {config_map}/{key} in {namespace}"
    raise RollbackError(
        f"ConfigMap {config_map} changed {MAX_CONFLICTS} times while it was edited: run the command again"
    )
