"""`modelops rollback`: routes an agent back to its stable model, or from a promoted model to the version before it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.situation import Place


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "rollback",
        help="route an agent back to its stable model, or to the version before it",
        description=(
            "Abort the agent's active Rollout, and a Rollout to which the agents' file still routes requests. If there "
            "is none, create a Rollout that goes back at once to the version that served before. With --direct only "
            "the Kubernetes API is needed: a canary is removed from the ConfigMap, or without one the version before "
            "is written there; if the operator runs, it takes that over."
        ),
    )
    session.add_named(parser, "agent_model", "agent_models", help="name of the AgentModel, such as docs")
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument(
        "--to",
        metavar="VERSION",
        help="go back to this version, which served before (default: the previous one)",
    )
    parser.add_argument(
        "--max-usd",
        default="1",
        help="the most that the undo may cost; it costs something only if an endpoint must be started "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--direct", action="store_true", help="change the agents' file directly, without the operator"
    )
    parser.add_argument("--config-map", help="with --direct: the ConfigMap, if the AgentModel cannot be read")
    parser.add_argument(
        "--key", default="agents.yaml", help="with --config-map: key of the file (default: %(default)s)"
    )
    parser.add_argument(
        "--agent", help="with --config-map: name of the agent in the file (default: AGENT_MODEL with _ for -)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the agent goes back, or is on stable; 1: neither, or unknown; 2: no cluster."""
    return session.run_with_client("rollback", arguments, _go_back)


async def _go_back(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.direct_rollback import go_back_directly
    from modelops.tools.results import RollbackResult
    from modelops.tools.rollback import go_back

    if arguments.direct:
        place = await _place(client, arguments)
        said = await go_back_directly(client, place, arguments.agent_model, to=arguments.to)
    else:
        said = await go_back(
            client,
            arguments.agent_model,
            to=arguments.to,
            max_usd=arguments.max_usd,
            created_by="modelops-cli",
        )
    output.show(
        RollbackResult(agent_name=arguments.agent_model, message=said),
        arguments.output,
        names=[("AgentModel", arguments.agent_model)],
        table=lambda: output.say(said),
    )
    return 0


async def _place(client: AsyncClient, arguments: argparse.Namespace) -> Place:
    """Namespace, ConfigMap, key and agent, from the AgentModel or from the arguments."""
    from modelops.tools.situation import file_of

    namespace = await client.namespace()
    if arguments.config_map:
        agent = arguments.agent or arguments.agent_model.replace("-", "_")
        return namespace, arguments.config_map, arguments.key, agent
    return file_of(namespace, await client.agent_models.get_stored(arguments.agent_model))
