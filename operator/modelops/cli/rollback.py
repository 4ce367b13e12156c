"""`modelops rollback`: routes an agent back to its stable model, or from a promoted model to the version before it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.api.v1alpha1.names import GROUP, VERSION, record_name
from modelops.cli.agent_situation import (
    Situation,
    active_rollouts,
    find_file,
    read_situation,
    why_not_on_stable,
)
from modelops.cli.direct_rollback import RollbackError, go_back_directly
from modelops.cli.errors import CommandError
from modelops.cli.kube_access import add_arguments, api_problem, connect
from modelops.domain.reasons import AgentModelReason
from modelops.domain.record import Record
from modelops.domain.rollout.status import TERMINAL

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api


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
            print(
                go_back_directly(
                    client.CoreV1Api(), find_file(client.CustomObjectsApi(), arguments), arguments
                )
            )
        else:
            print(go_back(client.CustomObjectsApi(), client.CoreV1Api(), arguments))
    except CommandError as error:
        print(f"modelops rollback: {error}", file=sys.stderr)
        return 1
    except client.ApiException as error:
        print(f"modelops rollback: {api_problem(error)}", file=sys.stderr)
        return 1
    return 0


def go_back(objects: Any, core: CoreV1Api, arguments: argparse.Namespace) -> str:
    """Abort what is active. If nothing is, create a Rollout to the version before. Returns what was done.

    With `--to` the Rollout is created in both cases, unless the abort goes back to that version.

    Raises:
        RollbackError: the file has a canary that belongs to no running rollout, or file or record cannot be read, or
            they name different models, or `--to` never served.
    """
    namespace, agent_model = arguments.namespace, arguments.agent_model
    now = read_situation(objects, core, namespace, agent_model)
    going_back = _running_undo(now, arguments.to)
    spared = going_back["metadata"]["uid"] if going_back is not None else ""
    aborted = abort_rollouts(objects, now, spared=spared)
    if going_back is not None:
        name, version = going_back["metadata"]["name"], going_back["spec"]["candidate"]["version"]
        already = (
            f"rollout {name} goes back to {version} already{_waits(going_back)}: {_watch(namespace, name)}"
        )
        return "\n".join(filter(None, [aborted, already]))
    if aborted:
        return "\n".join([aborted, *_then_undo(objects, now, arguments, aborted=aborted)])
    problem = why_not_on_stable(now.place, now.text, now.record, agent_model)
    if problem:
        raise RollbackError(f"no Rollout is active for {agent_model}, but it is not on stable: {problem}")
    return _undo(objects, now.record, arguments, reported=_reported_problem(now.agent_model))


def _then_undo(
    objects: Any, now: Situation, arguments: argparse.Namespace, *, aborted: str
) -> tuple[str, ...]:
    """After an abort: create the Rollout to `--to`, which waits until the abort has ended; nothing without `--to`."""
    if not arguments.to or (now.record is not None and now.record.stable.version == arguments.to):
        return ()
    try:
        return (_undo(objects, now.record, arguments, reported=None),)
    except RollbackError as error:
        raise RollbackError(f"{aborted}; but --to {arguments.to} is not done: {error}") from error


def abort_rollouts(objects: Any, now: Situation, *, spared: str = "") -> str:
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
    aborted = {uid: name for uid, name in names.items() if _abort(objects, namespace, name, uid)}
    messages = [f"rollout {name} is being aborted: {_watch(namespace, name)}" for name in aborted.values()]
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


def _undo(objects: Any, record: Record | None, arguments: argparse.Namespace, *, reported: str | None) -> str:
    """Create a Rollout to the version that served before. Returns what was done, or why nothing.

    `reported`: why agents may not use stable, by what the operator reports; it does not keep an undo from being made.
    Raises RollbackError where there is no record, or `--to` never served.
    """
    namespace, agent_model = arguments.namespace, arguments.agent_model
    if record is None:
        raise RollbackError(
            f"it is unknown which version of {agent_model} is stable, and which served before: ConfigMap "
            f"{record_name(agent_model)} does not exist. The operator creates it while it runs; call this again then. "
            f"To remove a canary without it, use `modelops rollback {agent_model} -n {namespace} --direct`"
        )
    on_stable = f"no Rollout is active for {agent_model}: it is on stable"
    target = arguments.to or (record.previous.version if record.previous else "")
    left = target in record.undone and not arguments.to
    if not target or target == record.stable.version or left:
        if reported:
            raise RollbackError(
                f"no Rollout is active for {agent_model}, but it is not on stable: {reported}"
            )
        if left:
            return (
                f"{on_stable} {record.stable.version}, and the version before, {target}, was left by an undo. To serve "
                f"it again, use `modelops rollback {agent_model} -n {namespace} --to {target}`"
            )
        return f"{agent_model} is on {target} already" if arguments.to else on_stable
    if target not in record.served:
        known = ", ".join(sorted(record.served))
        raise RollbackError(f"{target} never served {agent_model}: use one of {known}, or a new Rollout")
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
    return f"rollout {name} goes back from {record.stable.version} to {target}: {_watch(namespace, name)}"


def _reported_problem(found: Any) -> str | None:
    """What the operator says about the agents' processes and the stable endpoint."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    ready: dict[str, str] = next((c for c in conditions if c.get("type") == "Ready"), {})
    reasons = {AgentModelReason.AgentsNotInSync.value, AgentModelReason.EndpointNotRunning.value}
    return f"{ready['reason']}: {ready.get('message', '')}" if ready.get("reason") in reasons else None


def _watch(namespace: str, name: str) -> str:
    return f"kubectl -n {namespace} get rollouts.{GROUP} {name} --watch"


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
