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
    parser.add_argument("--yes", action="store_true", help="approve without asking for confirmation")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the run is approved; 1: it cannot be approved, or the user declined; 2: no cluster."""
    return session.run_with_client("approve", arguments, _approve)


async def _approve(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import approval
    from modelops.tools.waiting import follow

    offer = await approval.read_offer(client, arguments.name)
    output.print_fields(dict(approval.describe_offer(offer)))
    given = offer.spec.approval
    if given is not None and given.digest == offer.status.approval_digest:
        print(f"\nalready approved by {given.approved_by}")
        return 0
    user = (await client.whoami()).name
    await approval.refuse_self_approval(client, offer, user)
    sys.stdout.flush()
    if not output.confirm(f"\nApprove as {user}?", yes=arguments.yes):
        print("not approved", file=sys.stderr)
        return 1
    change = await approval.approve(client, offer)
    print()
    output.say(f"{change.message}; follow it with: {follow(offer)}")
    return 0
