"""The held-out questions that both models are asked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.rollout import ScorerType
from modelops.datasets.download import Example, LoadedDataset, load_dataset
from modelops.datasets.files import GROUPS, NEAR
from modelops.datasets.near import NearIndex
from modelops.datasets.normalised_inputs import normalise_inputs
from modelops.domain import prompt as prompts
from modelops.domain.answer_json import UnreadableJsonError, read_json
from modelops.domain.prompt import Message
from modelops.evaluation.request import Request
from modelops.evaluation.time_limit import TooSlow, processor_time_limit
from modelops.grammar import counted, verb
from modelops.trainers.hub_repository import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure, WorkDir

HUB_RETRY_SECONDS = 60.0
READ_SECONDS = 1.0
"""Processor seconds in which a target must be read."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One example as the models are asked it. `target` is the expected answer, after `prompt.parse`."""

    example: str
    inputs: Mapping[str, Any]
    messages: tuple[Message, ...]
    target: str


def read_questions(
    work: WorkDir, request: Request, *, findings: list[str]
) -> tuple[LoadedDataset, list[Question]]:
    """The evaluation dataset and the questions from it. Downloads that are in the work folder are used again.

    Raises ProgramFailure: LangSmith's reasons, and those of `read_training_inputs` and `select_questions`.
    """
    work.progress("reading")
    dataset = load_dataset(work, "source", request.dataset, as_of=request.as_of)
    trained = read_training_inputs(work, request)
    return dataset, select_questions(dataset, request, trained=trained, findings=findings)


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """The inputs that the candidate was trained on: their digests, and an index of near-copies where there is one."""

    digests: frozenset[str]
    near: NearIndex | None = None


def read_training_inputs(work: WorkDir, request: Request) -> TrainingInputs | None:
    """From the request or the training dataset on the Hub; None where neither has them.

    Raises ProgramFailure: HubUnauthorized, HubUnavailable.
    """
    dataset = request.training_dataset
    if request.train_digests or not dataset.repo:
        return TrainingInputs(digests=frozenset(request.train_digests)) if request.train_digests else None
    known = work.read("trained_on.json")
    if known is None:
        groups, near = _download_groups(dataset.repo, dataset.revision)
        known = {"train": groups and [str(group) for group in groups["train"]], "near": near}
        work.write("trained_on.json", known)
    if known["train"] is None:
        return None
    return TrainingInputs(digests=frozenset(known["train"]), near=NearIndex.of(known.get("near")))


def select_questions(
    dataset: LoadedDataset, request: Request, *, trained: TrainingInputs | None, findings: list[str]
) -> list[Question]:
    """The questions, without examples that were trained on; where `max_examples` limits them, always the same ones.

    Raises ProgramFailure: DatasetEmpty, DatasetShapeInvalid, PromptRenderFailed, TrainTestOverlap.
    """
    if not dataset.examples:
        raise ProgramFailure("DatasetEmpty", f"evaluation dataset {dataset.name!r} has no examples; add some")
    _check_shapes(dataset.examples, dataset=dataset.name)
    usable = _without_trained(dataset, trained=trained, findings=findings)
    if request.max_examples is not None and len(usable) > request.max_examples:
        count = request.max_examples
        findings.append(
            f"{counted(count, 'example', of=len(usable))} {verb(count, 'was', 'were')} selected (maxExamples)"
        )
        usable = sorted(usable, key=_hash_order)[: request.max_examples]
    _check_prompt(request)
    return [_question(example, request=request) for example in sorted(usable, key=lambda e: e.id)]


def _without_trained(
    dataset: LoadedDataset, *, trained: TrainingInputs | None, findings: list[str]
) -> list[Example]:
    """The examples that were not trained on; the others become findings."""
    if trained is None:
        findings.append(
            "the training examples of the candidate are not known, so examples of the evaluation may be among them"
        )
        return list(dataset.examples)
    inputs = [normalise_inputs(example.inputs) for example in dataset.examples]
    equal = [one.digest in trained.digests for one in inputs]
    near = (
        trained.near.has_near_copy([one.words for one in inputs]) if trained.near else [False] * len(inputs)
    )
    kept = [example for example, *known in zip(dataset.examples, equal, near, strict=True) if not any(known)]
    total, same = len(dataset.examples), sum(equal)
    if not kept:
        raise ProgramFailure(
            "TrainTestOverlap",
            f"{counted(total, 'example', of=total)} of evaluation dataset {dataset.name!r} "
            f"{verb(total, 'was', 'were')} trained on; add examples that were not trained on to the dataset in the "
            "Rollout's spec.evaluation.dataset",
        )
    if same:
        findings.append(
            f"{counted(same, 'example')} {verb(same, 'was', 'were')} left out, because the candidate was trained on "
            "the same inputs"
        )
    near_copies = total - len(kept) - same
    if near_copies:
        findings.append(
            f"{counted(near_copies, 'example')} {verb(near_copies, 'was', 'were')} left out as "
            f"{verb(near_copies, 'a near-copy', 'near-copies')} of training examples"
        )
    return kept


def _check_shapes(examples: Sequence[Example], *, dataset: str) -> None:
    bad = [e for e in examples if not (isinstance(e.inputs, dict) and isinstance(e.outputs, dict))]
    if bad:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"{counted(len(bad), 'example', of=len(examples))} of evaluation dataset {dataset!r} "
            f"{verb(len(bad), 'lacks', 'lack')} inputs or outputs as an object; the first is example {bad[0].id}. "
            f"Correct or remove {verb(len(bad), 'it', 'them')}",
        )


def _check_prompt(request: Request) -> None:
    try:
        prompts.check(request.prompt)
    except prompts.PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error


def _question(example: Example, *, request: Request) -> Question:
    try:
        messages = prompts.render(request.prompt, example.inputs)
        text = prompts.target(request.prompt, example.inputs, example.outputs)
        with processor_time_limit(READ_SECONDS):
            target = prompts.parse(request.prompt, text)
        if request.scorer.type is ScorerType.JSON:
            read_json(target)
    except prompts.PromptError as error:
        raise ProgramFailure(
            "PromptRenderFailed", f"example {example.id} does not fit the AgentModel's spec.{error}"
        ) from error
    except prompts.AnswerError as error:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"the target of example {example.id} does not fit spec.prompt.parse: {error}. Correct it",
        ) from error
    except TooSlow as error:
        raise ProgramFailure(
            "PromptRenderFailed",
            f"the AgentModel's spec.prompt.parse takes {error} to read the target of example {example.id}; simplify "
            "the pattern",
        ) from error
    except UnreadableJsonError as error:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"the target of example {example.id} is {error}, and spec.evaluation.scorer is json. Correct the target, "
            "or use another scorer",
        ) from error
    return Question(example=example.id, inputs=example.inputs, messages=tuple(messages), target=target)


def _hash_order(example: Example) -> bytes:
    """A sort key that selects the same arbitrary examples each time."""
    return hashlib.sha256(example.id.encode()).digest()


def _download_groups(repo: str, revision: str) -> tuple[Any, Any]:
    """`groups.json` and `near.json` of a dataset repository, each None where the file does not exist."""
    from huggingface_hub import HfApi

    if not os.environ.get("HF_TOKEN"):
        raise ProgramFailure(
            "HubUnauthorized",
            "HF_TOKEN is not set for this program; name a Secret in spec.secretRefs.huggingFace",
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    source = Repository(api, repo, repo_type="dataset", retry_seconds=HUB_RETRY_SECONDS)
    try:
        contents = [source.read(path, revision=revision) for path in (GROUPS, NEAR)]
    except HubRefused as error:
        raise ProgramFailure(
            "HubUnauthorized",
            f"{error}; the token of spec.secretRefs.huggingFace needs permission to read it",
        ) from error
    except HubSilent as error:
        raise ProgramFailure(
            "HubUnavailable", f"{error}; the program will be started again", transient=True
        ) from error
    groups, near = (content and json.loads(content) for content in contents)
    return groups or None, near or None
