"""`modelops drill rollback`: rehearses a rollback, and shows how many seconds a real one would take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import DrillReport


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "drill rollback",
        help="rehearse a rollback, and record the seconds",
        description="Rehearse a rollback: the operator writes the agent's routing anew, with the same models, and "
        "measures until each agent process has confirmed it. No session moves. It is refused while a rollout, an undo "
        "or a watch is under way. The result stays in status.lastDrill. Exit status 0: all confirmed; 1: not all did, "
        "or it was refused; 2: no cluster.",
    )
    session.add_named(parser, "agent_model", "agent_models", help="name of the AgentModel, such as docs")
    parser.add_argument("--id", help="name of the rehearsal (default: the time)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=90.0,
        help="seconds to wait for the result (default: %(default)s)",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("drill rollback", arguments, _drill)


async def _drill(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.drill import drill_rollback

    found = await drill_rollback(
        client, arguments.agent_model, drill_id=arguments.id, timeout=arguments.timeout
    )
    names = [("AgentModel", found.agent_model)]
    output.show(found, arguments.output, names=names, table=lambda: _print(found))
    return 0 if found.outcome == "Confirmed" else 1


def _print(found: DrillReport) -> None:
    output.print_fields(
        {
            "drill": found.drill_id,
            "agent": found.agent_name,
            "outcome": found.outcome,
            "to write": None if found.write_seconds is None else f"{found.write_seconds:.2f} s",
            "in effect after": None if found.effect_seconds is None else f"{found.effect_seconds:.2f} s",
            "processes": found.agents,
            "not confirmed": ", ".join(found.unconfirmed),
            "says": found.message,
        }
    )
