"""`modelops dataset check`: checks a dataset as a TrainingRun would, without a cluster and without an upload."""

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
from modelops.cli import output
from modelops.cli.langsmith_endpoint import DEFAULT_ENDPOINT


class InvalidInputError(Exception):
    """A file or an argument is missing or wrong. The message says what to do."""


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the dataset can be used; 1: it would be refused, or a service did not answer; 2: wrong input."""
    try:
        documents = _load_documents(arguments.file)
        dataset_input = program_input(arguments, documents)
        recipe = training_values(arguments, documents)
    except InvalidInputError as error:
        print(f"modelops dataset check: {error}", file=sys.stderr)
        return 2
    try:
        from modelops.datasets import prepare
    except ImportError as error:
        print(f"modelops dataset check: {error}; pip install 'modelops[evaluation]'", file=sys.stderr)
        return 2
    from modelops.datasets.report import Report
    from modelops.datasets.request import Request
    from modelops.domain.training.preparation.recipe_findings import recipe_findings
    from modelops.workdir import ProgramFailure, WorkDir

    os.environ.setdefault("LANGSMITH_ENDPOINT", DEFAULT_ENDPOINT)
    if not os.environ.get("HF_TOKEN") and os.environ.get("HUGGINGFACE_HUB_TOKEN"):
        os.environ["HF_TOKEN"] = os.environ["HUGGINGFACE_HUB_TOKEN"]
    report, refusal = Report(), None
    with tempfile.TemporaryDirectory(prefix="modelops-dataset-") as folder:
        try:
            request = Request.of(dataset_input)
            checked = prepare.check_dataset(WorkDir(Path(folder)), request, report)
            for finding in recipe_findings(request.method, recipe, examples=checked.train):
                report.add_finding(finding)
        except ProgramFailure as failure:
            refusal = failure
    outcome: dict[str, Any] = {"ok": refusal is None}
    if refusal is not None:
        outcome |= {"reason": refusal.reason, "message": str(refusal), "transient": refusal.transient}
    if arguments.json:
        print(json.dumps({**outcome, "report": report.document()}, indent=2))
    else:
        for line in report.text().splitlines():
            print(output.wrapped(line, indent=2) if line.startswith("- ") else line)
        print()
        output.say(
            f"Refused: {refusal.reason}: {refusal}" if refusal else "The dataset can be used for training."
        )
    return 0 if refusal is None else 1


def program_input(arguments: argparse.Namespace, documents: Iterable[Any]) -> dict[str, Any]:
    """Return the dataset program's input, without a repository to upload to. Raises InvalidInputError."""
    agent, training = _parse_objects(documents)
    spec = agent.spec
    if spec.prompt is None:
        raise InvalidInputError(
            f"AgentModel {agent.metadata.name} has no spec.prompt, so examples cannot be rendered: add one"
        )
    selection = training.spec.dataset if training else DatasetSelection()
    base = arguments.base_model or (training.spec.base_model if training else None)
    settings = spec.langsmith
    dataset = arguments.dataset or selection.langsmith or (settings.training_dataset if settings else None)
    if not dataset:
        raise InvalidInputError(
            "no dataset is named: add the argument ls://<id or exact name>, or name one in the manifests"
        )
    as_of = arguments.as_of or (selection.as_of.isoformat() if selection.as_of else None)
    return {
        "v": 1,
        "run": "check",
        "agent": spec.agent,
        "langsmith": {"dataset": dataset, "as_of": as_of, "splits": list(selection.splits)},
        "evaluation_dataset": settings.evaluation_dataset if settings else None,
        "prompt": spec.prompt.wire(),
        "method": _method(arguments, training),
        "hub": None,
        "min_examples": arguments.min_examples,
        "split": {"test_fraction": 0.1, "seed": _uid(training) or "check"},
        "max_seq_length": training_values(arguments, documents).get("max_seq_length"),
        "base_model": {"repo": base} if base else None,
        "include_failures": selection.include_failures,
        "feedback_key": selection.feedback_key,
        "group_key": selection.group_key,
        "source": selection.source,
        "allowed_licences": list(spec.allowed_licences),
        "allow_sensitive": [kind.value for kind in selection.allow_sensitive],
        "leave_out_sensitive": [kind.value for kind in selection.leave_out_sensitive],
        "project": settings.project if settings else None,
    }


def training_values(arguments: argparse.Namespace, documents: Iterable[Any]) -> dict[str, Any]:
    """Return the values that the training would use, under their snake_case names. Raises InvalidInputError."""
    from modelops.domain.training.preparation.recipe import merged_training_values
    from modelops.runtime.training_defaults import load_training_defaults

    agent, training = _parse_objects(documents)
    return merged_training_values(
        method=_method(arguments, training),
        run=training.spec.config if training else None,
        agent=agent.spec.training_defaults,
        defaults=load_training_defaults(),
    )


def _method(arguments: argparse.Namespace, training: TrainingRun | None) -> str:
    return arguments.method or (training.spec.method.value if training else "sft")


def _uid(training: TrainingRun | None) -> str:
    """The uid of a run that was read from a cluster: it decides which examples are held out."""
    return training.metadata.uid if training else ""


def _load_documents(files: Iterable[Path]) -> list[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found = []
    for file in files:
        try:
            found += [document for document in YAML(typ="safe").load_all(file.read_text()) if document]
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            raise InvalidInputError(f"{file}: {error}") from error
    return found


def _parse_objects(documents: Iterable[Any]) -> tuple[AgentModel, TrainingRun | None]:
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
            raise InvalidInputError(f"{kind}: {wrong}") from error
    if agent is None:
        raise InvalidInputError(
            "no file has an AgentModel, whose spec.prompt is needed to render examples: add its manifest with -f"
        )
    return agent, training
