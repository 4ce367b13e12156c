"""`modelops promote`: goes on with a canary that waits, skips its step, or promotes its candidate at once."""

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
        "promote",
        help="go on with a canary that waits for a person",
        description="Open the step at which a Rollout waits for a person: a pause without a duration, or an analysis "
        "that has shown nothing in its time. A breach, agents that are not in sync, spec.paused and a missing approval "
        "still hold it, and an abort wins. It cannot be taken back. Exit status 0: done, or done already; 1: refused "
        "or declined; 2: no cluster.",
    )
    session.add_named(parser, "name", "rollouts", help="name of the Rollout")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--skip-step",
        action="store_true",
        help="end the step that runs early, also a pause with a duration; at a weight, open the next pause beforehand",
    )
    how.add_argument(
        "--full",
        action="store_true",
        help="leave out all steps that are left, and promote the candidate at once",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("promote", arguments, _promote)


async def _promote(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import promoting

    found = await promoting.promotion_of(
        client, arguments.name, full=arguments.full, skip_step=arguments.skip_step
    )
    asks = found.promote is not None and (arguments.full or arguments.skip_step)
    if asks and not output.confirm(f"{found.words}. Do it?", yes=arguments.yes):
        print("not promoted", file=sys.stderr)
        return 1
    change = await promoting.open_steps(client, found)
    output.show(
        change,
        arguments.output,
        names=[(change.kind, change.name)],
        table=lambda: output.say(change.message),
    )
    return 0
