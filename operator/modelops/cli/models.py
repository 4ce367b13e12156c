"""`modelops models`: an agent's versions, and what serves it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.cli.argument_types import count

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import AgentModels, ModelVersion


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "models",
        help="show an agent's models and their history",
        description="Show what serves an agent, and its trained versions with their scores, newest first.",
    )
    session.add_named(parser, "agent", "agent_models", help="the agent, such as feature_dev")
    parser.add_argument("--limit", type=count, default=50, help="versions of one page (default: %(default)s)")
    parser.add_argument("--page", help="the next versions: what the page before has shown")
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("models", arguments, _models)


async def _models(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.history import list_models

    found = await list_models(client, arguments.agent, limit=arguments.limit, page=arguments.page)
    names = [("AgentModel", found.agent_name.replace("_", "-"))]
    output.show(found, arguments.output, names=names, table=lambda: _print(found))
    return 0


def _print(found: AgentModels) -> None:
    output.say(f"{found.agent_name} is served by {found.current_version}, {found.current_model}")
    print()
    output.print_table(
        ("VERSION", "STATUS", "ACCURACY", "CHANGE", "METHOD", "TRAINED", "BASE MODEL"),
        [_row(one) for one in found.models],
        none="no version has been trained yet",
    )
    if found.next_page:
        following = f"modelops models {found.agent_name} --page {found.next_page}"
        print(f"\n{found.total} versions in all; the next ones: {following}")


def _row(one: ModelVersion) -> tuple[object, ...]:
    accuracy = one.eval_scores.get("accuracy")
    return (
        one.version,
        one.deployment_status,
        output.percent(float(accuracy)) if accuracy is not None else None,
        one.eval_scores.get("baseline_improvement"),
        one.training_method,
        f"{one.training_date:%Y-%m-%d}" if one.training_date else None,
        one.base_model,
    )
