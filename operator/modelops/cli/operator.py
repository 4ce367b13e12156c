"""`modelops operator`: runs the operator, configured by environment variables."""

import argparse


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "operator",
        help="run the operator",
        description="Run the operator. Its settings are environment variables.",
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    from modelops.runtime.__main__ import main

    return main()
