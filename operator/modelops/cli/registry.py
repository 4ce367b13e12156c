"""`modelops registry`: the model registry in the form of config/models/registry.json, and its recovery."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from modelops.api.v1alpha1.names import GROUP, RECORD_LABEL, VERSION
from modelops.cli import hub_access
from modelops.cli.kube_access import add_arguments, connected
from modelops.domain.record import REGISTRY_KEY


def register(subparsers: Any) -> None:
    """Adds the subcommands."""
    parser = subparsers.add_parser(
        "registry",
        help="show the model registry",
        description="The records of all agents, as one registry.json.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    export = verbs.add_parser("export", help="print registry.json")
    add_arguments(export)
    export.set_defaults(run=run)
    rebuild = verbs.add_parser(
        "rebuild",
        help="put into a record what the Hub remembers",
        description="Adds to the record of an agent what its repositories on the Hub say: versions and their "
        "lineage, numbers that are taken, runs that have trained. A record that is gone is made from the cluster "
        "first, as the operator makes it. Nothing in a record is changed or removed. HF_TOKEN must read the "
        "organisation's private repositories.",
    )
    rebuild.add_argument(
        "agent_model", nargs="?", help="name of an AgentModel (default: all of the namespace)"
    )
    add_arguments(rebuild)
    hub_access.add_arguments(rebuild)
    rebuild.add_argument("--dry-run", action="store_true", help="only say what would be added")
    rebuild.set_defaults(run=rebuilding)


def rebuilding(arguments: argparse.Namespace) -> int:
    """The work of `registry rebuild`, which needs the Hub's client."""
    from modelops.cli import rebuild

    return rebuild.run(arguments)


def run(arguments: argparse.Namespace) -> int:
    """Prints the registry; exit status 2 where there is no cluster."""
    from kubernetes import client

    if not connected(arguments, command="registry"):
        return 2
    core, objects = client.CoreV1Api(), client.CustomObjectsApi()
    records = core.list_namespaced_config_map(arguments.namespace, label_selector=RECORD_LABEL).items
    listed: Any = objects.list_namespaced_custom_object(GROUP, VERSION, arguments.namespace, "rollouts")
    registry: dict[str, Any] = {}
    for record in records:
        registry.update(json.loads((record.data or {})[REGISTRY_KEY]))
    json.dump(with_canaries(registry, listed["items"]), sys.stdout, indent=2)
    print()
    return 0


def with_canaries(registry: dict[str, Any], rollouts: list[dict[str, Any]]) -> dict[str, Any]:
    """A version that a rollout is trying shows its share, `canary_<n>pct`, which the record does not hold."""
    shares = {
        status["candidate"]["version"]: (status["candidate"]["model"], status.get("weight", 0))
        for rollout in rollouts
        if (status := rollout.get("status") or {}).get("phase") in ("Progressing", "Promoting")
        and status.get("candidate")
    }
    for agent in registry.values():
        for entry in agent["history"]:
            model, weight = shares.get(entry["version"], ("", 0))
            if model == entry["model"] and weight:
                entry["deployment_status"] = f"canary_{weight}pct"
    return registry
