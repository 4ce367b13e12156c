"""`modelops registry`: prints the records as registry.json, and rebuilds a record."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from modelops.api.v1alpha1.names import GROUP, RECORD_LABEL, VERSION
from modelops.cli import hub_access
from modelops.cli.kube_access import add_arguments, connect
from modelops.domain.record import REGISTRY_KEY


def register(subparsers: Any) -> None:
    """Add `registry export` and `registry rebuild`."""
    parser = subparsers.add_parser(
        "registry",
        help="print the model registry, or rebuild a record",
        description="Print the records of all agents as one registry.json, or rebuild a record from the Hub.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    export = verbs.add_parser("export", help="print registry.json")
    add_arguments(export)
    export.set_defaults(run=run_export)
    rebuild = verbs.add_parser(
        "rebuild",
        help="add to a record what the Hub still knows",
        description="Add to the record of an agent what its repositories on the Hub contain: versions with their "
        "lineage, version numbers in use, and TrainingRuns that have trained. If the record is lost, it is first made "
        "from the cluster, as the operator makes it. Nothing in a record is changed or removed. HF_TOKEN must be able "
        "to read the organisation's private repositories.",
    )
    rebuild.add_argument(
        "agent_model", nargs="?", help="name of an AgentModel (default: all of the namespace)"
    )
    add_arguments(rebuild)
    hub_access.add_arguments(rebuild)
    rebuild.add_argument("--dry-run", action="store_true", help="only print what would be added")
    rebuild.set_defaults(run=run_rebuild)


def run_rebuild(arguments: argparse.Namespace) -> int:
    """Run `registry rebuild`; it is imported only now, because it needs the Hub's client."""
    from modelops.cli import rebuild

    return rebuild.run(arguments)


def run_export(arguments: argparse.Namespace) -> int:
    """Print the registry. Exit status 2: no cluster."""
    from kubernetes import client

    if not connect(arguments, command="registry"):
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
    """Set the status of each canary to `canary_<n>pct`: its weight is in the Rollout, not in the record."""
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
