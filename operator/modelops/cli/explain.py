"""`modelops explain`: what an object does, what happened to it, why, and what can be done."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.api.v1alpha1.meta import Condition
    from modelops.client import AsyncClient
    from modelops.tools.results import Explanation

KINDS = {"agentmodel": "AgentModel", "trainingrun": "TrainingRun", "rollout": "Rollout"}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="say what a run, rollout or agent does, and why",
        description="Tell the story of an object: what happened to it and when, how long each step lasted, the numbers "
        "that decided, what it waits for, and which commands may help. Exit status 1: there is none of that name.",
    )
    session.add_named(
        parser,
        "name",
        *("rollouts", "training_runs", "agent_models"),
        help="name of a Rollout, TrainingRun or AgentModel, or kind/name",
    )
    parser.add_argument("name_of_kind", nargs="?", metavar="NAME", help="the name, where its kind is first")
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("explain", arguments, _explain)


async def _explain(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.explaining import explain_with_story, find_object

    of_kind = arguments.name_of_kind
    kind, name = kind_and_name(f"{arguments.name}/{of_kind}" if of_kind else arguments.name)
    value = await find_object(client, name, kind=kind)
    found = await explain_with_story(client, value)
    names = [(found.kind, found.name)]
    output.show(found, arguments.output, names=names, table=lambda: _print(found, value.status.conditions))
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


def _print(found: Explanation, conditions: Sequence[Condition]) -> None:
    from modelops.cli.story import print_story

    output.print_fields(
        {
            found.kind: found.name,
            "agent": found.agent_name,
            "phase": found.phase,
            "reason": found.reason if found.reason != found.phase else "",
            "says": found.message,
        }
    )
    if found.story:
        print("\nWhat happened (UTC)")
        print_story(found.story)
    if conditions:
        print("\nConditions")
        width = max(len(one.type) for one in conditions)
        for one in conditions:
            print(f"  {one.type:<{width}}   {one.status.value:<7}   {one.reason}")
            if one.message not in ("", found.message):
                print(output.wrapped(f"      {one.message}", indent=6))
    if found.metrics:
        print("\nMetrics of the canary")
        for line in found.metrics:
            print(output.wrapped(f"  {line}", indent=4))
    if found.next_steps:
        print("\nWhat you can do")
        for line in found.next_steps:
            print(f"  {line}")
