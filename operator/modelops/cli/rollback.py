"""`modelops rollback`: put an agent back on stable, with the operator or without it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.api.v1alpha1.names import GROUP, VERSION, record_name
from modelops.cli.kube_access import add_arguments, connected
from modelops.domain import agentsfile
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.rollout.status import TERMINAL

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

MOST_CONFLICTS = 20


class CannotRollBack(Exception):
    """Why nothing was put back; the message says what to do."""


def register(subparsers: Any) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "rollback",
        help="put an agent back on its stable model",
        description=(
            "Aborts the agent's active Rollout, and one that the agents' file still routes to. With --direct it "
            "needs nothing but the Kubernetes API: it removes the agent's `routing` from the ConfigMap, which is "
            "stable by definition, and a running operator ends the rollout."
        ),
    )
    parser.add_argument("agent_model", help="name of the AgentModel, such as docs")
    add_arguments(parser)
    parser.add_argument(
        "--direct", action="store_true", help="write the agents' file itself, without the operator"
    )
    parser.add_argument(
        "--config-map", help="with --direct: the ConfigMap, where the AgentModel cannot be read"
    )
    parser.add_argument("--key", default="agents.yaml", help="with --config-map: key of the file")
    parser.add_argument("--agent", help="with --config-map: name of the agent in the file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 where a rollout is being aborted, or the file says that the agent is on stable."""
    from kubernetes import client

    if not connected(arguments, command="rollback"):
        return 2
    try:
        if arguments.direct:
            print(remove_routing(client.CoreV1Api(), *target(client.CustomObjectsApi(), arguments)))
        else:
            print(
                abort_active(
                    client.CustomObjectsApi(), client.CoreV1Api(), arguments.namespace, arguments.agent_model
                )
            )
    except CannotRollBack as error:
        print(f"modelops rollback: {error}", file=sys.stderr)
        return 1
    except client.ApiException as error:
        print(f"modelops rollback: the API server answered {error.status}: {error.reason}", file=sys.stderr)
        return 1
    return 0


def abort_active(objects: Any, core: CoreV1Api, namespace: str, agent_model: str) -> str:
    """Sets spec.abort of the rollout that holds the agent, and of one that the agents' file still routes to.

    The file says what is served, the record who may change it; status.activeRollout shows the record, later.

    Raises:
        CannotRollBack: the file has a canary that no running rollout answers for, or nobody can say.
    """
    found = objects.get_namespaced_custom_object(GROUP, VERSION, namespace, "agentmodels", agent_model)
    unread: list[str] = []
    names = _holders(core, namespace, found, unread)
    where = _file_of(namespace, found)
    block = _routing(core, *where, unread)
    served = block.rollout.uid if block is not None and block.weight else ""
    if served and served not in names:
        listed = objects.list_namespaced_custom_object(GROUP, VERSION, namespace, "rollouts")
        names |= {
            uid: item["metadata"]["name"]
            for item in listed["items"]
            if (uid := item["metadata"]["uid"]) == served
        }
    aborted = {uid: name for uid, name in names.items() if _abort(objects, namespace, name, uid)}
    said = [
        f"rollout {name} is being aborted: kubectl -n {namespace} get rollouts.{GROUP} {name} --watch"
        for name in aborted.values()
    ]
    if block is not None and served and served not in aborted:
        _, config_map, key, agent = where
        orphan = (
            f"{agent} has {block.weight} percent on a canary in {config_map}/{key}, and no running Rollout has "
            f"its uid {served}: `modelops rollback {agent_model} -n {namespace} --direct` removes it"
        )
        raise CannotRollBack("; ".join([*said, orphan]))
    if not aborted and unread:
        raise CannotRollBack("; ".join(["whether it is on stable cannot be said", *unread]))
    return "\n".join([*said, *unread]) or f"no Rollout is active for {agent_model}: it is on stable"


def _holders(core: CoreV1Api, namespace: str, found: Any, unread: list[str]) -> dict[str, str]:
    """Names by uid of who holds the agent, by its record and by its status."""
    from kubernetes.client import ApiException

    shown = (found.get("status") or {}).get("activeRollout") or {}
    holders = {shown["uid"]: shown["name"]} if shown.get("name") else {}
    name = record_name(found["metadata"]["name"])
    try:
        active = Record.from_data(core.read_namespaced_config_map(name, namespace).data or {}).active
    except MalformedRecord as error:
        unread.append(f"ConfigMap {name}: {error}")
    except ApiException as error:
        if error.status != 404:
            unread.append(f"ConfigMap {name}: the API server answered {error.status}: {error.reason}")
    else:
        if active is not None:
            holders[active.uid] = active.name
    return holders


def _routing(
    core: CoreV1Api, namespace: str, config_map: str, key: str, agent: str, unread: list[str]
) -> agentsfile.RoutingBlock | None:
    """The agent's block in the agents' file."""
    from kubernetes.client import ApiException

    try:
        text = (core.read_namespaced_config_map(config_map, namespace).data or {}).get(key)
        if text is not None:
            return agentsfile.parse(text, agent).routing
        unread.append(f"ConfigMap {config_map} in {namespace} has no key {key}")
    except agentsfile.AgentsFileError as error:
        unread.append(f"ConfigMap {config_map}, key {key}: {error}")
    except ApiException as error:
        unread.append(f"ConfigMap {config_map}: the API server answered {error.status}: {error.reason}")
    return None


def _abort(objects: Any, namespace: str, name: str, uid: str) -> bool:
    """Whether the rollout is there, has not ended, and was told to abort."""
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


def target(objects: Any, arguments: argparse.Namespace) -> tuple[str, str, str, str]:
    """Namespace, ConfigMap, key and agent: from the AgentModel, or as given."""
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
    """Removes `routing` under the resourceVersion that was read; a conflict is read and tried again."""
    from kubernetes.client import ApiException

    for _ in range(MOST_CONFLICTS):
        found = core.read_namespaced_config_map(config_map, namespace)
        text = (found.data or {}).get(key)
        if text is None:
            raise CannotRollBack(
                f"ConfigMap {config_map} in {namespace} has no key {key}: name it with --key"
            )
        try:
            if agentsfile.parse(text, agent).routing is None:
                return f"{agent} has no routing in {config_map}/{key}: it is on stable"
            changed = agentsfile.with_routing(text, agent, None)
        except agentsfile.AgentsFileError as error:
            raise CannotRollBack(f"ConfigMap {config_map}, key {key}: {error}") from error
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
    raise CannotRollBack(
        f"ConfigMap {config_map} changed {MOST_CONFLICTS} times while it was edited: try again"
    )
