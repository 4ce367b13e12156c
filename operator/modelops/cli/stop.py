"""`modelops stop`: the emergency stop of an agent, of a namespace, or of all agents."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add the command."""
    from modelops.cli.completion import names

    parser = subparsers.add_parser(
        "stop",
        help="emergency stop: nothing new is started, and canaries go back to stable",
        description=(
            "Emergency stop. Nothing new is started for the agents that it holds: no rollout begins, gets more "
            "sessions or is promoted, and no training or evaluation is submitted. Active rollouts go back to "
            "stable, and do not begin again. Trainings that run go on, and an undo works. With --lift new things "
            "may start again. Exit status 0: done, or done already; 1: refused; 2: no cluster."
        ),
    )
    scope = parser.add_mutually_exclusive_group()
    agent = scope.add_argument("--agent", metavar="AGENT", help="stop this agent only")
    agent.completer = names("agent_models")
    scope.add_argument(
        "--all", action="store_true", dest="everything", help="stop all agents of the installation"
    )
    parser.add_argument(
        "--reason", default="", help="why, for whoever finds the stop; needed unless --lift is given"
    )
    parser.add_argument("--lift", action="store_true", help="lift the stop that the other arguments name")
    parser.add_argument(
        "--operator-namespace",
        default="modelops-system",
        help="with --all: namespace of the operator (default: %(default)s)",
    )
    session.add_arguments(
        parser,
        namespace="namespace of the agents; without --agent and --all, all its agents are stopped (default: that of "
        "the kubeconfig's context)",
    )
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Set or lift a stop."""
    return session.run_with_client("stop", arguments, _stop)


async def _stop(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.domain.stop import StopScope
    from modelops.tools.stopping import set_stop

    scope = StopScope.NAMESPACE
    if arguments.everything:
        scope = StopScope.ALL
    elif arguments.agent:
        scope = StopScope.AGENT
    change = await set_stop(
        client,
        scope=scope,
        agent=arguments.agent or "",
        reason=arguments.reason,
        lift=arguments.lift,
        operator_namespace=arguments.operator_namespace,
    )
    output.show(
        change,
        arguments.output,
        names=[(change.kind, change.name)],
        table=lambda: output.say(change.message),
    )
    return 0
