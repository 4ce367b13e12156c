"""`modelops registry`: prints the records as registry.json, and rebuilds a record."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelops.cli import hub_access, output, session

if TYPE_CHECKING:
    from modelops.api.v1alpha1.rollout import Rollout
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add `registry export` and `registry rebuild`."""
    parser = subparsers.add_parser(
        "registry",
        help="print the model registry, or rebuild a record",
        description="Print the records of all agents as one registry.json, or rebuild a record from the Hub.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    export = verbs.add_parser("export", help="print registry.json")
    session.add_arguments(export)
    export.set_defaults(run=run_export)
    rebuild = verbs.add_parser(
        "rebuild",
        help="add to a record what the Hub still knows",
        description="Add to the record of an agent what its repositories on the Hub contain: versions with their "
        "lineage, version numbers in use, and TrainingRuns that have trained. If the record is lost, it is first made "
        "from the cluster, as the operator makes it. Nothing in a record is changed or removed. HF_TOKEN must be able "
        "to read the organisation's private repositories.",
    )
    session.add_named(
        rebuild,
        "agent_model",
        "agent_models",
        nargs="?",
        help="name of an AgentModel (default: all of the namespace)",
    )
    session.add_arguments(rebuild)
    hub_access.add_arguments(rebuild)
    rebuild.add_argument("--dry-run", action="store_true", help="only print what would be added")
    output.add_arguments(rebuild)
    rebuild.set_defaults(run=run_rebuild)


def run_rebuild(arguments: argparse.Namespace) -> int:
    """Exit status 0: the record is complete, or would be; 1: something cannot be read; 2: no cluster or no Hub."""
    from modelops.cli.hub_errors import run_with_hub

    return run_with_hub("registry rebuild", arguments, _rebuild)


async def _rebuild(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.cli.rebuild import rebuild_records

    return await rebuild_records(client, arguments)


def run_export(arguments: argparse.Namespace) -> int:
    """Print the registry. Exit status 1: a record cannot be read; 2: no cluster."""
    return session.run_with_client("registry export", arguments, _export)


async def _export(client: AsyncClient, _: argparse.Namespace) -> int:
    json.dump(await read_registry(client), sys.stdout, indent=2)
    print()
    return 0


async def read_registry(client: AsyncClient) -> dict[str, Any]:
    """The records of a namespace as one registry.json. Raises ToolRefused where one cannot be read."""
    from modelops.api.v1alpha1.names import RECORD_LABEL
    from modelops.domain.record import REGISTRY_KEY
    from modelops.tools.errors import ToolRefused

    registry: dict[str, Any] = {}
    for record in await client.config_maps(label_selector=RECORD_LABEL):
        name = record["metadata"]["name"]
        try:
            registry.update(json.loads((record.get("data") or {})[REGISTRY_KEY]))
        except (KeyError, ValueError) as error:
            raise ToolRefused(
                f"ConfigMap {name}, key {REGISTRY_KEY}, cannot be read: {error!r}; restore it from a backup, or "
                "delete it so that the operator rebuilds it"
            ) from error
    return with_canaries(registry, (await client.rollouts.list()).items)


def with_canaries(registry: dict[str, Any], rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """Set the status of each canary to `canary_<n>pct`: its weight is in the Rollout, not in the record."""
    shares = {
        rollout.status.candidate.version: (rollout.status.candidate.model, rollout.status.weight)
        for rollout in rollouts
        if rollout.status.phase.value in ("Progressing", "Promoting") and rollout.status.candidate
    }
    for agent in registry.values():
        for entry in agent["history"]:
            model, weight = shares.get(entry["version"], ("", 0))
            if model == entry["model"] and weight:
                entry["deployment_status"] = f"canary_{weight}pct"
    return registry
