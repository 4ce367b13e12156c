"""`modelops operator`: the operator itself, as its environment says."""

import argparse


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("operator", help="run the operator", description=__doc__)
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    from modelops.runtime.__main__ import main

    return main()
