"""`modelops prune`: removes old repositories from the Hub, and gives the reason for each one that stays."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from modelops.cli import hub_access, output, session
from modelops.cli.lineage import parse_example_id

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.domain.pruning import PruneDecision

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]+)([dhms])")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "prune",
        help="remove old models and datasets from the Hub",
        description="List the repositories of an agent, whether each would be removed, and why. With --yes remove them "
        "and write that into the record. Models that are stable, previous, served, candidates of a Rollout, or being "
        "trained always stay. With --example: remove everything that contains this example, whatever its age. HF_TOKEN "
        "must be able to delete the organisation's repositories. Exit status 1: a repository with the example stays.",
    )
    session.add_named(
        parser,
        "agent_model",
        "agent_models",
        nargs="?",
        help="name of an AgentModel (default: all of the namespace)",
    )
    session.add_arguments(parser)
    hub_access.add_arguments(parser)
    parser.add_argument(
        "--older-than",
        type=parse_duration,
        default="90d",
        help="minimum age, such as 90d or 12h (default: %(default)s)",
    )
    parser.add_argument(
        "--keep",
        type=parse_count,
        default=3,
        help="number of newest versions that always stay (default: %(default)s)",
    )
    parser.add_argument("--example", type=parse_example_id, help="id of a LangSmith example")
    parser.add_argument(
        "--yes", action="store_true", help="remove the repositories; without --yes nothing is changed"
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="default: %(default)s"
    )
    parser.set_defaults(run=run)


def parse_duration(text: str) -> timedelta:
    """Parse a number with a unit, such as 90d. Raises ArgumentTypeError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration: write a number and d, h, m or s, such as 90d"
        )
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def parse_count(text: str) -> int:
    """Parse a number of at least 1: the newest version determines the next version. Raises ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: keep at least 1 version")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: done; 1: a repository with the example stays, or a record cannot be read; 2: no cluster or Hub."""
    from modelops.cli.hub_errors import run_with_hub

    return run_with_hub("prune", arguments, prune)


async def prune(client: AsyncClient, arguments: argparse.Namespace) -> int:
    """Decide on all repositories of the chosen agents, remove them with --yes, and print the verdicts."""
    from modelops.cli.cluster_agents import ClusterAgents
    from modelops.cli.repository_removal import decide_and_remove, read_hub
    from modelops.domain.pruning import PrunePolicy

    agents = ClusterAgents(client)
    namespace = await client.namespace()
    names = [arguments.agent_model] if arguments.agent_model else []
    chosen = await agents.list_named(namespace, names)
    records = (one.record for one in chosen if one.record is not None)
    org = hub_access.resolve_organisation(arguments, records)
    hub_contents = await hub_access.query_hub(lambda hub: read_hub(hub, org, arguments.example))
    policy = PrunePolicy(older_than=arguments.older_than, keep=arguments.keep)
    decisions: list[PruneDecision] = []
    try:
        for snapshot in chosen:
            decisions += await decide_and_remove(
                agents, snapshot, hub_contents, policy, removes=arguments.yes
            )
    finally:
        print_verdicts(arguments, decisions)
    stays = arguments.example and any(not decision.removed for decision in decisions)
    return 1 if stays else 0


def print_verdicts(arguments: argparse.Namespace, decisions: Sequence[PruneDecision]) -> None:
    """Print a table, or JSON with `-o json`."""
    if arguments.output == "json":
        print(json.dumps([asdict(decision) for decision in decisions], indent=2))
        return
    action = "removed" if arguments.yes else "would be removed"
    rows = [
        (
            action if decision.removed else "kept",
            decision.kind,
            decision.version,
            decision.repo,
            decision.reason
            + (f"; first: {decision.remedy}" if decision.remedy and arguments.example else ""),
        )
        for decision in decisions
    ]
    heads = ("ACTION", "KIND", "VERSION", "REPOSITORY", "REASON")
    output.print_table(heads, rows, none="no repository of the agent is on the Hub")
    removed = sum(decision.removed for decision in decisions)
    if arguments.example:
        print(
            f"\n{removed} of {len(decisions)} repositories with the example "
            f"{'were' if arguments.yes else 'would be'} removed; delete the example in LangSmith, too"
        )
    elif not arguments.yes:
        print(
            f"\n{removed} of {len(decisions)} repositories would be removed; nothing was changed: use --yes to remove"
        )
