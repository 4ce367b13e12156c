"""`modelops retry`: creates a new Rollout with the spec of one that has ended."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import Retry


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "retry",
        help="try a rollout that ended again, under a new name",
        description="Create a new Rollout with the spec of one that has ended without success, since a Rollout runs "
        "only once. What a person said to the old one (paused, promote, abort, approval) is left out. It says what is "
        "different since. Exit status 0: created, or an equal one runs already; 1: refused or declined; 2: no cluster.",
    )
    session.add_named(parser, "name", "rollouts", help="name of the Rollout that has ended")
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run", choices=["server"], help="let the API server check the Rollout, and store nothing"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("retry", arguments, _retry)


async def _retry(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import retrying

    old, spec = await retrying.retry_spec(client, arguments.name)
    if not arguments.dry_run:
        question = (
            f"Rollout {arguments.name} ended as {old.status.phase.value} ({old.status.reason}). Try it again, for at "
            f"most ${spec['maxUSD']}?"
        )
        if not output.confirm(question, yes=arguments.yes):
            print("not started", file=sys.stderr)
            return 1
    found = await retrying.retry_rollout(
        client, arguments.name, created_by="modelops-cli", dry_run=bool(arguments.dry_run)
    )
    output.show(
        found, arguments.output, names=[("Rollout", found.rollout_id)], table=lambda: _print(found, arguments)
    )
    return 0


def _print(found: Retry, arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        print(f"Rollout {found.rollout_id} would be created (server dry run)")
    elif not found.created:
        print(f"Rollout {found.rollout_id} tries it again already")
    else:
        output.say(found.message)
    print(f"{found.retries} ended as {found.ended}")
    for line in found.different:
        print(f"different since: {line}")
