"""`modelops evaluate plan`: what an evaluation is likely to show, before anything is spent."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.cli.argument_types import count

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate plan",
        help="say what an evaluation is likely to show",
        description="Say how probable it is that an equal candidate passes an evaluation, a better one and a worse "
        "one. Nothing is created, and no model is asked. Exit status 0: a candidate with the expected gain probably "
        "passes; 1: it probably does not, or the request was refused; 2: no cluster.",
    )
    session.add_named(parser, "agent", "agent_models", help="the agent, such as feature_dev")
    parser.add_argument(
        "--examples", type=count, help="held-out examples (default: as in the agent's last evaluation)"
    )
    parser.add_argument(
        "--top-up",
        type=count,
        help="examples of both looks, where --examples are those of the first (default: one look)",
    )
    parser.add_argument(
        "--margin",
        help="percentage points by which it may be worse (default: as in the agent's last rollout, otherwise 10 with "
        "up to 500 examples, and 5 with more)",
    )
    parser.add_argument(
        "--expected-gain", help="percentage points by which it is expected to be better (default: 2)"
    )
    parser.add_argument(
        "--disagreement",
        help="percentage of the examples that only one of the models solves (default: as in the agent's last "
        "evaluation, otherwise 20)",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("evaluate plan", arguments, _plan)


async def _plan(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.evaluation_plan import PlanRequest, plan_of_evaluation

    plan = await plan_of_evaluation(
        client,
        PlanRequest(
            agent_name=arguments.agent,
            examples=arguments.examples,
            top_up_examples=arguments.top_up,
            margin_points=arguments.margin,
            gain_points=arguments.expected_gain,
            disagree_points=arguments.disagreement,
        ),
    )
    output.show(plan, arguments.output, names=[], table=lambda: output.say(plan.message))
    return 1 if plan.is_poor else 0
