"""`modelops approve`: shows a TrainingRun's request for approval, and approves exactly that in the caller's name."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "approve",
        help="approve the cost of a TrainingRun",
        description=(
            "Show the offer of a TrainingRun in the phase AwaitingApproval: its data, hardware and cost. Then write "
            "spec.approval with your user name and the digest of this offer. If the offer changes in between, the "
            "approval does not count."
        ),
    )
    session.add_named(
        parser, "name", "training_runs", help="name of the TrainingRun, such as docs-2025-12-09"
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="approve without asking for confirmation")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the run is approved; 1: it cannot be approved, or the user declined; 2: no cluster."""
    return session.run_with_client("approve", arguments, _approve)


async def _approve(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import approval
    from modelops.tools.waiting import follow

    offer = await approval.read_offer(client, arguments.name)
    for_people = arguments.output == "table"
    described = dict(approval.describe_offer(offer))
    if for_people:
        output.print_fields(described)
    else:  # It belongs to the question.
        print("\n".join(f"{name:<14}{value}" for name, value in described.items()), file=sys.stderr)
    given = offer.spec.approval
    if given is None or given.digest != offer.status.approval_digest:
        user = (await client.whoami()).name
        await approval.refuse_self_approval(client, offer, user)
        sys.stdout.flush()
        if not output.confirm(f"\nApprove as {user}?", yes=arguments.yes):
            print("not approved", file=sys.stderr)
            return 1
    change = await approval.approve(client, offer)
    names = [(change.kind, change.name)]
    follows = f"; follow it with: {follow(offer)}" if change.done else ""
    output.show(
        change, arguments.output, names=names, table=lambda: output.say(f"\n{change.message}{follows}")
    )
    return 0
