"""What `modelops evaluate` and `modelops deploy` share: their arguments, and the question before they start."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from modelops.cli import output, session
from modelops.cli.argument_types import count, count_or_none, seconds

if TYPE_CHECKING:
    from modelops.api.v1alpha1.agentmodel import AgentModel

T = TypeVar("T")
Spec = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser, *, waits_for: str) -> None:
    """Add agent, model, the settings of the evaluation, and how to wait for it."""
    session.add_named(parser, "agent", "agent_models", help="the agent, such as feature_dev")
    parser.add_argument(
        "model",
        nargs="?",
        default="candidate",
        help="a version such as v1.1.0, a repository of the agent's history, or organisation/name@COMMIT "
        "(default: the newest version that was trained and never served)",
    )
    parser.add_argument(
        "--dataset", help="held-out dataset, ls://<id or exact name> (default: the agent's evaluationDataset)"
    )
    parser.add_argument(
        "--scorer",
        help="how an answer is scored: exact, json, regex, tokenF1, chrF, tests, judge, or custom:NAME (default: as in "
        "the agent's last rollout, or else as its AgentModel says)",
    )
    parser.add_argument("--threshold", help="score from which an answer is a success, such as 0.35")
    parser.add_argument("--margin", help="percentage points by which it may be worse, such as 5")
    parser.add_argument("--max-examples", type=count, help="use at most so many examples")
    parser.add_argument(
        "--top-up",
        type=count,
        help="if a first look at --max-examples decides nothing, ask about more: so many in all, 1.5 to 3 times them",
    )
    parser.add_argument(
        "--expected-gain", help="percentage points by which it is expected to be better (default: 2)"
    )
    parser.add_argument(
        "--accept-low-power",
        action="store_true",
        help="evaluate although a pass is improbable even with the expected gain",
    )
    parser.add_argument(
        "--ask",
        choices=["model", "agent"],
        help="what answers the examples: the model only, or the agent itself with each model (default: as in the "
        "agent's last rollout, or else model)",
    )
    parser.add_argument(
        "--production-runs",
        type=count_or_none,
        help="ask both models the inputs of so many recent production runs as well; 0 for none (default: as in the "
        "agent's last rollout, or else 0)",
    )
    parser.add_argument(
        "--max-usd",
        help="the most that it may cost (default: the agent's approvalAboveUSD; of a deployment its monthlyUSD)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--wait", action="store_true", help=f"wait until {waits_for}")
    parser.add_argument(
        "--timeout", type=seconds, default=7200, help="seconds for --wait (default: %(default)s)"
    )
    parser.add_argument(
        "--dry-run", choices=["server"], help="let the API server check the Rollout, and store nothing"
    )
    session.add_arguments(parser)
    output.add_arguments(parser)


def evaluation_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of an EvaluationRequest."""
    return {
        "agent_name": arguments.agent,
        "candidate_model": arguments.model,
        "eval_dataset_id": arguments.dataset,
        "scorer": arguments.scorer,
        "threshold": arguments.threshold,
        "margin_points": arguments.margin,
        "max_examples": arguments.max_examples,
        "top_up_examples": arguments.top_up,
        "expected_gain_points": arguments.expected_gain,
        "accept_low_power": arguments.accept_low_power,
        "max_usd": arguments.max_usd,
        "target": arguments.ask,
        "production_runs": arguments.production_runs,
    }


def candidate_name(spec: Mapping[str, Any]) -> str:
    """The candidate of a Rollout's spec, for people."""
    candidate = spec["candidate"]
    if "version" in candidate:
        return str(candidate["version"])
    return f"{candidate['model']['repo']}@{candidate['model']['revision'][:12]}"


async def ask_and_start(
    arguments: argparse.Namespace,
    *,
    specified: Callable[[], Awaitable[tuple[AgentModel, Spec]]],
    question: Callable[[AgentModel, Spec], str],
    start: Callable[..., Awaitable[T]],
) -> T | None:
    """Ask, and start exactly what the question was about; None where the answer is no.

    `specified` returns the AgentModel and the spec of the Rollout; `start` creates it, and waits with `--wait`.

    Raises:
        ToolRefused: what would be created has changed since the question: defaults come from the last rollout.
    """
    from modelops.cli.progress import Progress
    from modelops.tools.errors import ToolRefused

    agent, spec = await specified()
    if not arguments.dry_run:
        if not output.confirm(question(agent, spec), yes=arguments.yes):
            print("not started", file=sys.stderr)
            return None
        if (await specified())[1] != spec:
            raise ToolRefused(
                f"what {agent.spec.agent}'s last rollout or settings say has changed since the question: nothing was "
                "started; call this again"
            )
    progress = Progress()
    try:
        return await start(
            wait_seconds=arguments.timeout if arguments.wait else 0,
            seen=progress,
            created_by="modelops-cli",
            dry_run=bool(arguments.dry_run),
            wait_for_decision=True,
        )
    finally:
        progress.end()
