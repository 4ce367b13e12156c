"""`modelops doctor`: what is wrong, and the command that mends it."""

from __future__ import annotations

import argparse
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.grammar import counted

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.doctor import Check

_MARKS = {"ok": ("✔", "32"), "warning": ("!", "33"), "problem": ("✘", "31"), "unknown": ("?", "2")}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="find what is wrong, and what mends it",
        description="Look at the cluster, the CRDs, your rights, the operator, the policies, and each agent's file, "
        "Pods and reports. It changes nothing. With --live, look at the real accounts instead, which needs no cluster. "
        "Exit status 0: no problem; 1: a problem; 2: no cluster, or no token.",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="read what Hugging Face and LangSmith answer to HF_TOKEN and LANGSMITH_API_KEY, and compare it with what "
        "the sandbox answers; it costs nothing",
    )
    parser.add_argument(
        "--dataset",
        dest="datasets",
        metavar="ls://NAME",
        action="append",
        default=[],
        help="with --live: a LangSmith dataset that must be readable; may be repeated",
    )
    parser.add_argument("--base-model", help="with --live: the base model that must be readable")
    parser.add_argument("--baseline-model", help="with --live: the baseline, as for `modelops live-smoke`")
    parser.add_argument(
        "--operator-namespace",
        default="modelops-system",
        help="namespace of the operator (default: %(default)s)",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.live:
        return _examine_account(arguments)
    return session.run_with_client("doctor", arguments, _doctor)


async def _doctor(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.doctor import examine

    found: list[Check] = []
    async with aclosing(examine(client, operator_namespace=arguments.operator_namespace)) as checks:
        async for check in checks:
            found.append(check)
            if arguments.output == "table":
                _print(check)
    return _conclude(found, arguments.output)


def _examine_account(arguments: argparse.Namespace) -> int:
    """The checks of `--live`, which ask the services and no cluster."""
    try:
        from modelops.livesmoke.account import AccountIncompleteError, read_account
        from modelops.livesmoke.checks import BASE_MODEL, Found, examine_account
        from modelops.livesmoke.observations import Observations
        from modelops.livesmoke.services import Services
    except ImportError as error:
        print(f"modelops doctor: {error}; pip install 'modelops[cli,operator,sandbox]'", file=sys.stderr)
        return 2
    try:
        account = read_account()
    except AccountIncompleteError as error:
        print(f"modelops doctor: {error}", file=sys.stderr)
        return 2
    found: list[Check] = []
    with Services.of(account) as services:
        for check in examine_account(
            services,
            Observations(),
            Found(),
            base_model=arguments.base_model or BASE_MODEL,
            baseline_model=arguments.baseline_model or "",
            datasets=arguments.datasets,
        ):
            found.append(check)
            if arguments.output == "table":
                _print(check)
    return _conclude(found, arguments.output)


def _conclude(found: list[Check], form: str) -> int:
    from modelops.tools.doctor import State

    if form != "table":
        output.show(found, form, names=[], table=lambda: None)
    problems = sum(check.state is State.PROBLEM for check in found)
    warnings = sum(check.state is State.WARNING for check in found)
    if form == "table":
        print(f"\n{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
    return 1 if problems else 0


def _print(check: Any) -> None:
    mark, colour = _MARKS[check.state.value]
    text = output.wrapped(f"{mark} {check.subject}: {check.message}", indent=2)
    print(f"{output.styled(mark, colour)}{text[1:]}")
    if check.remedy:
        print(output.wrapped(f"    {check.remedy}", indent=4))
