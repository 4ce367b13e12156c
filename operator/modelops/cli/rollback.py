"""`modelops rollback`: put an agent back on stable, with the operator or without it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.api.v1alpha1.names import GROUP, VERSION
from modelops.cli.kube_access import add_arguments, connected
from modelops.domain import agentsfile

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
            "Aborts the agent's active Rollout. With --direct it needs nothing but the Kubernetes API: it "
            "removes the agent's `routing` from the ConfigMap, which is stable by definition, and a running "
            "operator ends the rollout."
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
    """Exit status 0 where the agent is back on stable or nothing was active."""
    from kubernetes import client

    if not connected(arguments, command="rollback"):
        return 2
    try:
        if arguments.direct:
            print(remove_routing(client.CoreV1Api(), *target(client.CustomObjectsApi(), arguments)))
        else:
            print(abort_active(client.CustomObjectsApi(), arguments.namespace, arguments.agent_model))
    except CannotRollBack as error:
        print(f"modelops rollback: {error}", file=sys.stderr)
        return 1
    except client.ApiException as error:
        print(f"modelops rollback: the API server answered {error.status}: {error.reason}", file=sys.stderr)
        return 1
    return 0


def abort_active(objects: Any, namespace: str, agent_model: str) -> str:
    """Sets spec.abort of the rollout that holds the agent."""
    found = objects.get_namespaced_custom_object(GROUP, VERSION, namespace, "agentmodels", agent_model)
    active = (found.get("status") or {}).get("activeRollout")
    if not active or not active.get("name"):
        return f"no Rollout is active for {agent_model}: it is on stable"
    name = active["name"]
    objects.patch_namespaced_custom_object(
        GROUP, VERSION, namespace, "rollouts", name, {"spec": {"abort": True}}
    )
    return f"rollout {name} is being aborted: kubectl -n {namespace} get rollouts.{GROUP} {name} --watch"


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
    reference = found["spec"]["config"]["configMapRef"]
    return arguments.namespace, reference["name"], reference.get("key", "agents.yaml"), found["spec"]["agent"]


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
