"""`modelops dataset check`: what a TrainingRun would say of a dataset, without a cluster and without an upload."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.trainingrun import DatasetSelection, TrainingRun

DEFAULT_ENDPOINT = "https://api.smith.langchain.com"
MIN_EXAMPLES = 20


class Unusable(Exception):
    """A file or an argument that nothing can be checked with; the message says what to do."""


def register(subparsers: Any) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser("dataset", help="check a dataset before it is trained on")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="print the report on a LangSmith dataset",
        description="Read a LangSmith dataset and print the report that a TrainingRun would give. Nothing is "
        "uploaded. Exit status 1 where it would be refused. LangSmith is reached by LANGSMITH_API_KEY and "
        "LANGSMITH_ENDPOINT; HF_TOKEN is only needed for base models that are not public.",
    )
    check.add_argument("dataset", nargs="?", help="ls://<id or exact name>; by default the manifests'")
    check.add_argument(
        "-f",
        "--file",
        action="append",
        type=Path,
        required=True,
        help="manifest of the AgentModel, and of a TrainingRun if there is one; may be repeated",
    )
    check.add_argument(
        "--method", choices=["sft", "dpo", "orpo"], help="default: the TrainingRun's, else sft"
    )
    check.add_argument("--base-model", help="organisation/name; default: the TrainingRun's")
    check.add_argument("--as-of", help="tag or ISO 8601 time; default: the newest version")
    check.add_argument("--min-examples", type=int, default=MIN_EXAMPLES, help="default: %(default)s")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: it may be trained on; 1: it may not, or nobody could tell; 2: wrong files."""
    try:
        given = program_input(arguments, _documents(arguments.file))
    except Unusable as error:
        print(f"modelops dataset check: {error}", file=sys.stderr)
        return 2
    try:
        from modelops.datasets import prepare
    except ImportError as error:
        print(f"modelops dataset check: {error}; pip install 'modelops[evaluation]'", file=sys.stderr)
        return 2
    from modelops.datasets.report import Report
    from modelops.datasets.request import Request
    from modelops.workdir import ProgramFailure, WorkDir

    os.environ.setdefault("LANGSMITH_ENDPOINT", DEFAULT_ENDPOINT)
    if not os.environ.get("HF_TOKEN") and os.environ.get("HUGGINGFACE_HUB_TOKEN"):
        os.environ["HF_TOKEN"] = os.environ["HUGGINGFACE_HUB_TOKEN"]
    report, refusal = Report(), None
    with tempfile.TemporaryDirectory(prefix="modelops-dataset-") as folder:
        try:
            prepare.check_dataset(WorkDir(Path(folder)), Request.of(given), report)
        except ProgramFailure as failure:
            refusal = failure
    outcome: dict[str, Any] = {"ok": refusal is None}
    if refusal is not None:
        outcome |= {"reason": refusal.reason, "message": str(refusal), "transient": refusal.transient}
    if arguments.json:
        print(json.dumps({**outcome, "report": report.document()}, indent=2))
    else:
        print(report.text())
        print(f"\nRefused: {refusal.reason}: {refusal}" if refusal else "\nIt may be trained on.")
    return 0 if refusal is None else 1


def program_input(arguments: argparse.Namespace, documents: Iterable[Any]) -> dict[str, Any]:
    """The dataset program's input, without a repository to upload to. Raises Unusable."""
    from modelops.domain.training.recipe import recipe
    from modelops.runtime.training_defaults import load_training_defaults

    agent, training = _objects(documents)
    spec = agent.spec
    if spec.prompt is None:
        raise Unusable(f"AgentModel {agent.metadata.name} has no spec.prompt: nothing can be rendered")
    selection = training.spec.dataset if training else DatasetSelection()
    method = arguments.method or (training.spec.method.value if training else "sft")
    base = arguments.base_model or (training.spec.base_model if training else None)
    settings = spec.langsmith
    dataset = arguments.dataset or selection.langsmith or (settings.training_dataset if settings else None)
    if not dataset:
        raise Unusable("name a dataset, ls://<id or exact name>, or one in the manifests")
    values = recipe(
        method=method,
        run=training.spec.config if training else None,
        agent=spec.training_defaults,
        defaults=load_training_defaults(),
    )
    as_of = arguments.as_of or (selection.as_of.isoformat() if selection.as_of else None)
    return {
        "v": 1,
        "run": "check",
        "agent": spec.agent,
        "langsmith": {"dataset": dataset, "as_of": as_of, "splits": list(selection.splits)},
        "evaluation_dataset": settings.evaluation_dataset if settings else None,
        "prompt": spec.prompt.wire(),
        "method": method,
        "hub": None,
        "min_examples": arguments.min_examples,
        "split": {"test_fraction": 0.1, "seed": "check"},
        "max_seq_length": values.get("max_seq_length"),
        "base_model": {"repo": base} if base else None,
        "include_failures": selection.include_failures,
        "feedback_key": selection.feedback_key,
        "group_key": selection.group_key,
        "source": selection.source,
        "allowed_licences": list(spec.allowed_licences),
        "allow_sensitive": [kind.value for kind in selection.allow_sensitive],
        "project": settings.project if settings else None,
    }


def _documents(files: Iterable[Path]) -> list[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found = []
    for file in files:
        try:
            found += [document for document in YAML(typ="safe").load_all(file.read_text()) if document]
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            raise Unusable(f"{file}: {error}") from error
    return found


def _objects(documents: Iterable[Any]) -> tuple[AgentModel, TrainingRun | None]:
    agent, training = None, None
    for document in documents:
        kind = document.get("kind") if isinstance(document, Mapping) else None
        try:
            if kind == "AgentModel":
                agent = agent or AgentModel.model_validate(document)
            elif kind == "TrainingRun":
                training = training or TrainingRun.model_validate(document)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise Unusable(f"{kind}: {wrong}") from error
    if agent is None:
        raise Unusable("no file has an AgentModel; its spec.prompt says how examples are rendered")
    return agent, training
