"""`modelops dataset`: checks, lists and collects datasets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelops.cli import dataset_collect
from modelops.cli.argument_types import count

MIN_EXAMPLES = 20


def register(subparsers: Any) -> None:
    """Add `dataset check`, `list` and `collect`."""
    parser = subparsers.add_parser("dataset", help="check, list or collect datasets")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="print a report on a LangSmith dataset",
        description="Read a LangSmith dataset and print the report that a TrainingRun would print. Nothing is "
        "uploaded. Exit status 1: the dataset would be refused, or a service did not answer. LANGSMITH_API_KEY and "
        "LANGSMITH_ENDPOINT configure LangSmith; HF_TOKEN is needed only for base models that are not public.",
    )
    check.add_argument(
        "dataset", nargs="?", help="ls://<id or exact name> (default: the one in the manifests)"
    )
    check.add_argument(
        "-f",
        "--file",
        action="append",
        type=Path,
        required=True,
        help="manifest of the AgentModel, or of a TrainingRun; may be repeated",
    )
    check.add_argument(
        "--method", choices=["sft", "dpo", "orpo"], help="default: the TrainingRun's, otherwise sft"
    )
    check.add_argument("--base-model", help="organisation/name; default: the TrainingRun's")
    check.add_argument(
        "--as-of", help="version of the dataset: a tag or an ISO 8601 time; default: the newest version"
    )
    check.add_argument(
        "--min-examples",
        type=count,
        default=MIN_EXAMPLES,
        help="smallest accepted number (default: %(default)s)",
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=run_check)
    dataset_collect.register(verbs)


def run_check(arguments: argparse.Namespace) -> int:
    """Run `dataset check`; it is imported only now, because it needs the models of the API."""
    from modelops.cli import dataset_check

    return dataset_check.run(arguments)
