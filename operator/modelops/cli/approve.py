"""`modelops approve`: shows the offer of a TrainingRun or Rollout, and approves exactly that in the caller's name."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.cli.explain import kind_and_name

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "approve",
        help="approve what a TrainingRun or Rollout asks for",
        description=(
            "Show the offer of a TrainingRun or Rollout that waits for an approval, and what it costs. Then write "
            "spec.approval with your user name and the digest of this offer. If the offer changes in between, the "
            "approval does not count."
        ),
    )
    session.add_named(
        parser,
        "name",
        *("training_runs", "rollouts"),
        help="name of the TrainingRun or Rollout, or kind/name, such as rollout/docs-v1-1",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="approve without asking for confirmation")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: it is approved; 1: it cannot be approved, or the user declined; 2: no cluster."""
    return session.run_with_client("approve", arguments, _approve)


async def _approve(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import approval
    from modelops.tools.waiting import follow

    kind, name = kind_and_name(arguments.name)
    offer = await approval.read_offer(client, name, kind=kind)
    for_people = arguments.output == "table"
    described = dict(offer.lines)
    if for_people:
        output.print_fields(described)
    else:  # It belongs to the question.
        print("\n".join(f"{name:<14}{value}" for name, value in described.items()), file=sys.stderr)
    if offer.given is None:
        user = (await client.whoami()).name
        await approval.refuse_self_approval(client, offer.object, user)
        sys.stdout.flush()
        if not output.confirm(f"\nApprove as {user}?", yes=arguments.yes):
            print("not approved", file=sys.stderr)
            return 1
    change = await approval.approve(client, offer)
    names = [(change.kind, change.name)]
    follows = f"; follow it with: {follow(offer.object)}" if change.done else ""
    output.show(
        change, arguments.output, names=names, table=lambda: output.say(f"\n{change.message}{follows}")
    )
    return 0
