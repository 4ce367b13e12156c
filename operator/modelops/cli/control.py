"""`modelops abort`, `cancel`, `pause` and `resume`: stop what runs, for good or for a while."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import Change

_COMMANDS = {
    "abort": (
        "abort a rollout: all traffic goes back to stable",
        "Abort a Rollout. All traffic goes back to the stable model within seconds. It cannot be taken back.",
        "name of the Rollout",
        ("rollouts",),
    ),
    "cancel": (
        "stop a training for good",
        "Stop a TrainingRun and its job. What it has cost until then stays billed. It cannot be taken back.",
        "name of the TrainingRun",
        ("training_runs",),
    ),
    "pause": (
        "keep a rollout from its next step, or stop a training for a while",
        "Keep a Rollout from its next step, or stop the job of a TrainingRun until it is resumed.",
        "name of the Rollout or TrainingRun, or kind/name",
        ("rollouts", "training_runs"),
    ),
    "resume": (
        "let a paused rollout or training go on",
        "Let a paused Rollout go on with its steps, or a suspended TrainingRun from its last checkpoint.",
        "name of the Rollout or TrainingRun, or kind/name",
        ("rollouts", "training_runs"),
    ),
}


def register(subparsers: Any, command: str) -> None:
    """Add one of the commands."""
    help_line, description, named, kinds = _COMMANDS[command]
    parser = subparsers.add_parser(
        command,
        help=help_line,
        description=f"{description} Exit status 0: done, or done already; 1: refused; 2: no cluster.",
    )
    session.add_named(parser, "name", *kinds, help=named)
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=lambda arguments: run(command, arguments))


def run(command: str, arguments: argparse.Namespace) -> int:
    """Run one of the commands."""

    async def work(client: AsyncClient, parsed: argparse.Namespace) -> int:
        change = await _change(command, client, parsed.name)
        output.show(
            change,
            parsed.output,
            names=[(change.kind, change.name)],
            table=lambda: output.say(change.message),
        )
        return 0

    return session.run_with_client(command, arguments, work)


async def _change(command: str, client: AsyncClient, text: str) -> Change:
    from modelops.api.v1alpha1.trainingrun import TrainingRun
    from modelops.cli.explain import kind_and_name
    from modelops.tools import control
    from modelops.tools.errors import ToolRefused
    from modelops.tools.explaining import find_object

    kind, name = kind_and_name(text)
    if command == "abort":
        return await control.abort_rollout(client, name)
    if command == "cancel":
        return await control.cancel_training(client, name)
    found = await find_object(client, name, kind=kind)
    stop = command == "pause"
    if isinstance(found, TrainingRun):
        return await control.suspend_training(client, name, suspend=stop)
    if found.kind != "Rollout":
        raise ToolRefused(f"{name} is an AgentModel: name a Rollout or TrainingRun")
    return await control.pause_rollout(client, name, paused=stop)
