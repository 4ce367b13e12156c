"""`modelops evaluate`: compares a model with the one that serves the agent. No traffic moves."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from modelops.cli import output, rollout_arguments, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import Comparison, LookAtResults, MetricComparison


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare a model with the one that serves the agent",
        description="Let the model and the one that serves the agent answer the held-out examples, and compare them. "
        "No traffic moves. Exit status 0: started, or with --wait evaluated and recommended; 1: refused, declined, or "
        "not recommended; 2: no cluster.",
    )
    rollout_arguments.add_arguments(parser, waits_for="the evaluation has ended")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("evaluate", arguments, _evaluate)


async def _evaluate(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools import rollouts

    request = rollouts.EvaluationRequest(**rollout_arguments.evaluation_settings(arguments))
    found = await rollout_arguments.ask_and_start(
        arguments,
        specified=lambda: rollouts.evaluation_spec(client, request),
        question=lambda agent, spec: (
            f"Evaluate {rollout_arguments.candidate_name(spec)} of {agent.spec.agent} on held-out examples for at most "
            f"${spec['maxUSD']}?"
        ),
        start=partial(rollouts.evaluate, client, request),
    )
    if found is None:
        return 1
    output.show(
        found,
        arguments.output,
        names=[("Rollout", found.evaluation_id)],
        table=lambda: _print(found, arguments),
    )
    failed = (arguments.wait or found.finished) and found.recommendation != "deploy"
    return int(failed)


def _print(found: Comparison, arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        print(f"Rollout {found.evaluation_id} would be created (server dry run)")
        return
    interval = found.interval_points
    looks = found.looks
    output.print_fields(
        {
            "evaluation": found.evaluation_id,
            "status": found.status,
            "baseline": output.percent(found.baseline_score) if found.baseline_score is not None else None,
            "candidate": output.percent(found.candidate_score) if found.candidate_score is not None else None,
            "difference": f"{found.improvement_pct:+.1f} points"
            if found.improvement_pct is not None
            else None,
            "interval": f"{interval[0]:+.1f} to {interval[1]:+.1f} points{'' if looks else ' (90 %)'}"
            if interval
            else None,
            **{f"look {number}": _look(one) for number, one in enumerate(looks, start=1)},
            "examples": found.examples or None,
            "evaluates": "the agent itself" if found.target == "agent" else "the model only",
            **{
                one.name.replace(
                    "_", " "
                ): f"{_measured(one, one.baseline)} -> {_measured(one, one.candidate)}"
                for one in found.metrics
                if one.name != "accuracy"
            },
            "recommends": found.recommendation,
            "experiment": found.langsmith_experiment_url,
            "report": found.report_url,
            "says": found.message,
        }
    )
    for finding in found.findings:
        print(output.wrapped(f"note: {finding}", indent=6))


def _look(one: LookAtResults) -> str:
    difference = f", {one.improvement_pct:+.1f} points" if one.improvement_pct is not None else ""
    return f"{one.examples} examples, error {one.error_pct:.2f} %: {one.verdict}{difference}"


def _measured(metric: MetricComparison, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.0f} ms" if metric.name == "latency" else f"${value:.6f}".rstrip("0")
