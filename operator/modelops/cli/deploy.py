"""`modelops deploy`: moves an agent's traffic to a model, after an evaluation, in steps or at once."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from modelops.cli import output, rollout_arguments, session
from modelops.cli.argument_types import count

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import Deployment


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "deploy",
        help="move an agent's traffic to a model",
        description="Evaluate the model, then move the agent's traffic to it: by a canary that is watched, or at once. "
        "Exit status 0: started, or with --wait the model serves the agent; 1: refused, declined, rejected or aborted; "
        "2: no cluster.",
    )
    rollout_arguments.add_arguments(parser, waits_for="the rollout has ended")
    parser.add_argument(
        "--strategy",
        default="canary_20pct",
        help="immediate, or canary_<n>pct with the first share of the sessions (default: %(default)s)",
    )
    parser.add_argument(
        "--until-promoted",
        action="store_true",
        help="keep the first share until a person promotes with `modelops promote`, instead of --pause",
    )
    parser.add_argument(
        "--pause",
        type=count,
        default=86400,
        metavar="SECONDS",
        help="healthy seconds of the canary before all traffic moves (default: %(default)s)",
    )
    parser.add_argument(
        "--target",
        default="huggingface",
        help="huggingface or openrouter, which falls back to huggingface where it does not serve the model",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("deploy", arguments, _deploy)


async def _deploy(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import rollouts

    request = rollouts.DeploymentRequest(
        **rollout_arguments.evaluation_settings(arguments),
        deployment_target=arguments.target,
        rollout_strategy=arguments.strategy,
        pause_seconds=arguments.pause,
        until_promoted=arguments.until_promoted,
    )
    how = (
        "all traffic at once"
        if arguments.strategy == "immediate"
        else f"{arguments.strategy.removeprefix('canary_').removesuffix('pct')} % of the sessions first"
    )
    found = await rollout_arguments.ask_and_start(
        arguments,
        specified=lambda: rollouts.deployment_spec(client, request),
        question=lambda agent, spec: (
            f"Deploy {rollout_arguments.candidate_name(spec)} to {agent.spec.agent}, {how}, for at most "
            f"${spec['maxUSD']}?"
        ),
        start=partial(rollouts.deploy, client, request),
    )
    if found is None:
        return 1
    output.show(
        found, arguments.output, names=[("Rollout", found.rollout_id)], table=lambda: _print(found, arguments)
    )
    failed = (arguments.wait or found.finished) and not found.deployed
    return int(failed)


def _print(found: Deployment, arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        print(f"Rollout {found.rollout_id} would be created (server dry run)")
        return
    output.print_fields(
        {
            "rollout": found.rollout_id,
            "status": found.status,
            "version": found.version,
            "traffic": f"{found.rollout_pct} % of the sessions",
            "endpoint": found.endpoint_url if found.rollout_pct else None,
            "says": found.message,
        }
    )
