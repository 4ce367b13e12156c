"""`modelops doctor`: what is wrong, and the command that mends it."""

from __future__ import annotations

import argparse
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.grammar import counted

if TYPE_CHECKING:
    from modelops.client import AsyncClient

_MARKS = {"ok": ("✔", "32"), "warning": ("!", "33"), "problem": ("✘", "31"), "unknown": ("?", "2")}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="find what is wrong, and what mends it",
        description="Look at the cluster, the CRDs, your rights, the operator, the policies, and each agent's file, "
        "Pods and reports. It changes nothing. Exit status 0: no problem; 1: a problem; 2: no cluster.",
    )
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
    return session.run_with_client("doctor", arguments, _doctor)


async def _doctor(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.tools.doctor import Check, State, examine

    found: list[Check] = []
    async with aclosing(examine(client, operator_namespace=arguments.operator_namespace)) as checks:
        async for check in checks:
            found.append(check)
            if arguments.output == "table":
                _print(check)
    if arguments.output != "table":
        output.show(found, arguments.output, names=[], table=lambda: None)
    problems = sum(check.state is State.PROBLEM for check in found)
    warnings = sum(check.state is State.WARNING for check in found)
    if arguments.output == "table":
        print(f"\n{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
    return 1 if problems else 0


def _print(check: Any) -> None:
    mark, colour = _MARKS[check.state.value]
    text = output.wrapped(f"{mark} {check.subject}: {check.message}", indent=2)
    print(f"{output.styled(mark, colour)}{text[1:]}")
    if check.remedy:
        print(output.wrapped(f"    {check.remedy}", indent=4))
