"""The held-out questions that both models are asked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.datasets.files import GROUPS, NEAR
from modelops.datasets.groups import likeness
from modelops.datasets.near import NearIndex
from modelops.datasets.source import Example, Snapshot, snapshot
from modelops.domain import prompt as prompts
from modelops.domain.prompt import Message
from modelops.evaluation.request import Request
from modelops.trainers.job import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure, WorkDir

HUB_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Question:
    """One example as the models see it; `target` is what is compared, after `prompt.parse`."""

    example: str
    inputs: Mapping[str, Any]
    messages: tuple[Message, ...]
    target: str


def read_and_choose(
    work: WorkDir, request: Request, *, findings: list[str]
) -> tuple[Snapshot, list[Question]]:
    """The dataset and the questions of it, from this folder's journals where they are there.

    Raises ProgramFailure: LangSmith's reasons, and those of `trained_on` and `choose`.
    """
    work.progress("reading")
    found = snapshot(work, "source", request.dataset, as_of=request.as_of)
    return found, choose(found, request, trained=trained_on(work, request), findings=findings)


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What the candidate has seen: digests of inputs, and where it is known, an index of near-copies."""

    digests: frozenset[str]
    near: NearIndex | None = None


def trained_on(work: WorkDir, request: Request) -> TrainedOn | None:
    """None where nobody knows.

    Raises ProgramFailure: HubUnauthorized, HubUnavailable.
    """
    where = request.training_dataset
    if request.train_digests or not where.repo:
        return TrainedOn(digests=frozenset(request.train_digests)) if request.train_digests else None
    known = work.read("trained_on.json")
    if known is None:
        groups, near = _files(where.repo, where.revision)
        known = {"train": groups and [str(group) for group in groups["train"]], "near": near}
        work.write("trained_on.json", known)
    if known["train"] is None:
        return None
    return TrainedOn(digests=frozenset(known["train"]), near=NearIndex.of(known.get("near")))


def choose(
    found: Snapshot, request: Request, *, trained: TrainedOn | None, findings: list[str]
) -> list[Question]:
    """The examples to ask: none that was trained on, and always the same ones where only some are asked.

    Raises ProgramFailure: DatasetEmpty, DatasetShapeInvalid, PromptRenderFailed, TrainTestOverlap.
    """
    if not found.examples:
        raise ProgramFailure("DatasetEmpty", f"evaluation dataset {found.name!r} has no examples; add some")
    _check_shapes(found.examples, dataset=found.name)
    unseen = _unseen(found, trained=trained, findings=findings)
    if request.max_examples is not None and len(unseen) > request.max_examples:
        findings.append(f"{request.max_examples} of {len(unseen)} examples were asked (maxExamples)")
        unseen = sorted(unseen, key=_chance)[: request.max_examples]
    _check_prompt(request)
    return [_question(example, request=request) for example in sorted(unseen, key=lambda e: e.id)]


def _unseen(found: Snapshot, *, trained: TrainedOn | None, findings: list[str]) -> list[Example]:
    if trained is None:
        findings.append("what the candidate was trained on is not known, so an overlap cannot be ruled out")
        return list(found.examples)
    alike = [likeness(example.inputs) for example in found.examples]
    equal = [one.digest in trained.digests for one in alike]
    near = trained.near.near([one.words for one in alike]) if trained.near else [False] * len(alike)
    unseen = [example for example, *known in zip(found.examples, equal, near, strict=True) if not any(known)]
    seen = sum(equal)
    if not unseen:
        raise ProgramFailure(
            "TrainTestOverlap",
            f"all {len(found.examples)} examples of evaluation dataset {found.name!r} were trained on; give the "
            "Rollout's spec.evaluation.dataset examples that were not trained on",
        )
    if seen:
        findings.append(f"{seen} examples were trained on (same inputs) and left out")
    if len(found.examples) - len(unseen) > seen:
        findings.append(
            f"{len(found.examples) - len(unseen) - seen} examples are near-copies of examples trained on and "
            "left out"
        )
    return unseen


def _check_shapes(examples: Sequence[Example], *, dataset: str) -> None:
    bad = [e for e in examples if not (isinstance(e.inputs, dict) and isinstance(e.outputs, dict))]
    if bad:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"{len(bad)} of {len(examples)} examples of evaluation dataset {dataset!r} lack inputs or "
            f"outputs as an object; the first is example {bad[0].id}. Correct or remove them",
        )


def _check_prompt(request: Request) -> None:
    try:
        prompts.check(request.prompt)
    except prompts.PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error


def _question(example: Example, *, request: Request) -> Question:
    try:
        messages = prompts.render(request.prompt, example.inputs)
        wanted = prompts.target(request.prompt, example.inputs, example.outputs)
        target = prompts.parse(request.prompt, wanted)
    except prompts.PromptError as error:
        raise ProgramFailure(
            "PromptRenderFailed", f"example {example.id} does not fit the AgentModel's spec.{error}"
        ) from error
    except prompts.AnswerError as error:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"the target of example {example.id} does not fit spec.prompt.parse: {error}. Correct it",
        ) from error
    return Question(example=example.id, inputs=example.inputs, messages=tuple(messages), target=target)


def _chance(example: Example) -> bytes:
    return hashlib.sha256(example.id.encode()).digest()


def _files(repo: str, revision: str) -> tuple[Any, Any]:
    """`groups.json` and `near.json` of a dataset repository, each None where it is not there."""
    from huggingface_hub import HfApi

    if not os.environ.get("HF_TOKEN"):
        raise ProgramFailure(
            "HubUnauthorized",
            "HF_TOKEN is not set for this program; name a Secret in spec.secretRefs.huggingFace",
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    source = Repository(api, repo, repo_type="dataset", patience_seconds=HUB_PATIENCE_SECONDS)
    try:
        contents = [source.read(path, revision=revision) for path in (GROUPS, NEAR)]
    except HubRefused as error:
        raise ProgramFailure(
            "HubUnauthorized", f"{error}; the token of spec.secretRefs.huggingFace needs to read it"
        ) from error
    except HubSilent as error:
        raise ProgramFailure("HubUnavailable", f"{error}; it is tried again", transient=True) from error
    groups, near = (content and json.loads(content) for content in contents)
    return groups or None, near or None
