"""`modelops spend`: what agents have spent this month."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "spend",
        help="show what agents have spent this month",
        description="Show budget, bookings, reservations and running endpoints of the current month (UTC).",
    )
    session.add_named(
        parser, "agent", "agent_models", nargs="?", help="the agent (default: every agent of the namespace)"
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("spend", arguments, _spend)


async def _spend(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.spending import spending

    found = await spending(client, arguments.agent)
    place = await client.namespace()
    rows = [
        (
            one.agent_name,
            one.month,
            output.money(one.budget_usd),
            output.money(one.settled_usd),
            output.money(one.reserved_usd),
            output.money(one.standing_usd),
            output.money(one.left_usd),
            f"{output.money(one.endpoints_usd_per_hour)}/h",
        )
        for one in found
    ]
    columns = ("AGENT", "MONTH", "BUDGET", "BOOKED", "RESERVED", "ENDPOINTS", "LEFT", "RUNNING")
    output.show(
        found,
        arguments.output,
        names=[("AgentModel", one.agent_name.replace("_", "-")) for one in found],
        table=lambda: output.print_table(columns, rows, none=f"namespace {place} has no AgentModel"),
    )
    return 0
