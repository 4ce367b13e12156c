"""`modelops rollback --direct`: removes an agent's `routing` from its file with the Kubernetes API alone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelops.cli.agent_situation import Place, read_record, why_not_on_stable
from modelops.cli.errors import CommandError
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.record import MalformedRecord

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

MAX_CONFLICTS = 20
LEAVE_PROMOTED = (
    "To leave a model that was promoted, use `modelops rollback` without --direct, while the operator runs"
)


class RollbackError(CommandError):
    """The agent was not routed back to stable. The message says why, and what to do."""


def go_back_directly(core: CoreV1Api, place: Place, arguments: argparse.Namespace) -> str:
    """Remove the agent's routing; returns what was done.

    Raises:
        RollbackError: the agent is not on stable after that, or `--to` was given.
    """
    if arguments.to:
        raise RollbackError(
            f"--to {arguments.to} needs the operator, because --direct only removes `routing`: leave one of them out"
        )
    message = remove_routing(core, *place)
    namespace, config_map, key, agent = place
    text = (core.read_namespaced_config_map(config_map, namespace).data or {}).get(key, "")
    try:
        record = read_record(core, namespace, arguments.agent_model)
    except MalformedRecord:
        record = None
    problem = why_not_on_stable(place, text, record, arguments.agent_model)
    if problem:
        raise RollbackError(f"no session of {agent} goes to a canary, but it is not on stable: {problem}")
    return message


def remove_routing(core: CoreV1Api, namespace: str, config_map: str, key: str, agent: str) -> str:
    """Remove `routing`, conditional on the resourceVersion that was read. After a conflict, read and try again."""
    from kubernetes.client import ApiException

    for _ in range(MAX_CONFLICTS):
        found = core.read_namespaced_config_map(config_map, namespace)
        text = (found.data or {}).get(key)
        if text is None:
            problem = missing_key_problem(config_map, key, data=found.data, binary=found.binary_data)
            raise RollbackError(f"{problem}, or name another key with --key")
        try:
            entry = agentsfile.parse(text, agent)
            if entry.routing is None:
                where = f"{config_map}/{key}"
                return f"{agent} has no routing in {where}: it is on stable{_serves(entry)}. {LEAVE_PROMOTED}"
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
