"""`modelops explain`: what an object does, why, and what can be done."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import Explanation

KINDS = {"agentmodel": "AgentModel", "trainingrun": "TrainingRun", "rollout": "Rollout"}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="say what a run, rollout or agent does, and why",
        description="Say what an object does, why, and which commands may help. Exit status 1: there is none of that "
        "name.",
    )
    session.add_named(
        parser,
        "name",
        *("rollouts", "training_runs", "agent_models"),
        help="name of a Rollout, TrainingRun or AgentModel, or kind/name",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("explain", arguments, _explain)


async def _explain(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.explaining import explain, find_object

    kind, name = kind_and_name(arguments.name)
    found = explain(await find_object(client, name, kind=kind))
    output.show(found, arguments.output, names=[(found.kind, found.name)], table=lambda: _print(found))
    return 0


def kind_and_name(text: str) -> tuple[str | None, str]:
    """The kind and the name of `rollout/x`, `rollouts.modelops.code-chef.dev/x` or `x`. Raises ToolRefused."""
    from modelops.tools.errors import ToolRefused

    named, slash, name = text.rpartition("/")
    if not slash:
        return None, text
    kind = KINDS.get(named.partition(".")[0].lower().removesuffix("s"))
    if kind is None:
        raise ToolRefused(f"{named!r} is no kind: use one of {', '.join(KINDS)}")
    return kind, name


def _print(found: Explanation) -> None:
    output.print_fields(
        {
            found.kind: found.name,
            "agent": found.agent_name,
            "phase": found.phase,
            "reason": found.reason,
            "says": found.message,
        }
    )
    if found.conditions:
        print("\nConditions")
        for line in found.conditions:
            print(f"  {line}")
    if found.next_steps:
        print("\nWhat you can do")
        for line in found.next_steps:
            print(f"  {line}")
