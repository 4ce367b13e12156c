"""The prompts that a candidate has learnt: in its own training, and in those of the models that it was trained from.

A run's `baseModel` may be a model of an earlier run. What that model has learnt, the candidate knows as well, so it
proves nothing about the candidate.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.files import GROUPS, GROUPS_FORM, LINEAGE, NEAR
from modelops.datasets.near import OLD_FORM, NearIndex
from modelops.datasets.normalised_inputs import NormalisedInputs, normalise_inputs
from modelops.datasets.normalised_prompts import NormalisedPrompt, normalise_example
from modelops.datasets.upload import TOKEN_REFUSALS
from modelops.evaluation.request import HubRevision, Request
from modelops.trainers.hub_repository import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from huggingface_hub import HfApi

OLD_GROUPS_FORM = "groups/v1"
"""Of `groups.json` of datasets that were prepared before: `train` has the digests of the inputs."""
HUB_RETRY_SECONDS = 60.0
MOST_MODELS = 50
"""Models of a chain that are looked up on the Hub; it bounds the work where a chain's files are wrong."""


class Normalised(NamedTuple):
    """One example of the evaluation: its prompt by the evaluation's contract, and its inputs."""

    prompt: NormalisedPrompt
    inputs: NormalisedInputs

    @classmethod
    def of(cls, prompt: PromptContract, inputs: Mapping[str, Any]) -> Normalised:
        """Of the example with these inputs."""
        return cls(normalise_example(prompt, inputs), normalise_inputs(inputs))


class Compared(NamedTuple):
    """One example beside a training: whether it was trained on, as the question of an earlier turn of a conversation
    that was trained on, or as a near-copy."""

    same: bool = False
    earlier_turn: bool = False
    near: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """What one training has learnt: digests of prompts, of turns in the history of prompts, and of inputs, and an index
    of near-copies where there is one.

    Inputs are compared in any case, because the training may have had another prompt contract. `only_inputs`: nothing
    else can be compared, because the dataset has the form `groups/v1`.
    """

    inputs: frozenset[str]
    prompts: frozenset[str] = frozenset()
    turns: frozenset[str] = frozenset()
    only_inputs: bool = False
    near: NearIndex | None = None

    def compare(self, examples: Sequence[Normalised]) -> list[Compared]:
        """Each of the examples beside this training."""
        near = [False] * len(examples)
        if self.near is not None:
            old = self.near.form == OLD_FORM
            near = self.near.has_near_copy([(one.inputs if old else one.prompt).words for one in examples])
        return [
            Compared(
                same=one.prompt.digest in self.prompts or one.inputs.digest in self.inputs,
                earlier_turn=one.prompt.turns[-1] in self.turns,
                near=is_near,
            )
            for one, is_near in zip(examples, near, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class LearntInputs:
    """The inputs of the candidate's training, None where they are not known; of earlier models; and the names of
    earlier models or datasets whose inputs cannot be read."""

    candidate: TrainingInputs | None
    earlier: tuple[TrainingInputs, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def by_inputs_only(self) -> int:
        """The number of trainings of which only the inputs can be compared."""
        return sum(one.only_inputs for one in (self.candidate, *self.earlier) if one is not None)


def read_learnt_inputs(work: WorkDir, request: Request) -> LearntInputs:
    """From the request, or from the datasets and models on the Hub that the request names.

    Raises ProgramFailure: HubUnauthorized where the candidate's own dataset cannot be read, HubUnavailable.
    """
    if request.train_digests:
        return LearntInputs(candidate=TrainingInputs(inputs=frozenset(request.train_digests)))
    if not (request.training_dataset.repo or request.earlier_datasets or request.base.repo):
        return LearntInputs(candidate=None)
    known = work.read("learnt.json")
    if known is None:
        known = _download(request)
        work.write("learnt.json", known)
    candidate, *earlier = (_inputs_of(one) for one in known["trainings"])
    return LearntInputs(
        candidate=candidate,
        earlier=tuple(one for one in earlier if one is not None),
        unknown=tuple(known["unknown"]),
    )


def _inputs_of(known: Any) -> TrainingInputs | None:
    if known is None:
        return None
    digests = {
        name: frozenset(map(str, known.get(name, ()))) for name in ("prompts", "turns", "inputs", "train")
    }
    return TrainingInputs(
        inputs=digests["inputs"] | digests["train"],
        prompts=digests["prompts"],
        turns=digests["turns"],
        only_inputs="train" in known,
        near=NearIndex.of(known["near"]),
    )


def _download(request: Request) -> dict[str, Any]:
    """`trainings`: of the candidate and then of earlier models, what `_read_inputs` gives for each.

    `unknown`: the names of earlier models and datasets that cannot be read or that name no inputs.
    """
    from huggingface_hub import HfApi

    if not os.environ.get("HF_TOKEN"):
        raise ProgramFailure(
            "HubUnauthorized",
            "HF_TOKEN is not set for this program; name a Secret in spec.secretRefs.huggingFace",
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    unknown: list[str] = []
    try:
        on_hub = list(_datasets_behind(api, request.base, unknown))
        first, earlier = request.training_dataset, on_hub
        if not first.repo and on_hub:  # The candidate is not in the record, and is `base` itself.
            first, *earlier = on_hub
        elif not first.repo:
            unknown = []  # Then nothing is known of the candidate, which is said once.
        trainings = [_read_inputs(api, first)]
        for dataset in (*request.earlier_datasets, *earlier):
            try:
                trainings.append(_read_inputs(api, dataset))
            except HubRefused:
                trainings.append(None)
            if trainings[-1] is None:
                unknown.append(f"dataset {dataset.repo or 'of an earlier model'}")
    except HubRefused as error:
        raise ProgramFailure(
            "HubUnauthorized",
            f"{error}; it was deleted, or the token of spec.secretRefs.huggingFace may not read it",
            token_refused=error.status in TOKEN_REFUSALS,
        ) from error
    except HubSilent as error:
        raise ProgramFailure(
            "HubUnavailable", f"{error}; the program will be started again", transient=True
        ) from error
    return {"trainings": trainings, "unknown": unknown}


def _datasets_behind(api: HfApi, model: HubRevision, unknown: list[str]) -> Iterator[HubRevision]:
    """The datasets of the model and of the models that it was trained from, by the `modelops.json` of each."""
    passed: set[str] = set()
    while model.repo and model.repo not in passed and len(passed) < MOST_MODELS:
        passed.add(model.repo)
        source = Repository(api, model.repo, retry_seconds=HUB_RETRY_SECONDS)
        try:
            content = source.read(LINEAGE, revision=model.revision or "main")
            lineage = json.loads(content) if content else {}
            dataset = lineage.get("dataset")
        except (HubRefused, ValueError, AttributeError):
            unknown.append(f"model {model.repo}")
            return
        if not isinstance(dataset, dict):
            return  # ModelOps did not train it.
        yield _at(dataset.get("repo"), dataset.get("revision"))
        model = _at(lineage.get("base_model"), lineage.get("base_revision"))


def _at(repo: object, revision: object) -> HubRevision:
    return HubRevision(repo=str(repo or ""), revision=str(revision or ""))


def _read_inputs(api: HfApi, dataset: HubRevision) -> dict[str, Any] | None:
    """`groups.json` of a dataset repository with `near.json` as `near`; None where there is no `groups.json`, or one
    of a form that this build does not know."""
    if not dataset.repo:
        return None
    source = Repository(api, dataset.repo, repo_type="dataset", retry_seconds=HUB_RETRY_SECONDS)
    groups, near = (source.read(path, revision=dataset.revision or "main") for path in (GROUPS, NEAR))
    digests = json.loads(groups) if groups else {}
    if digests.get("form") not in (OLD_GROUPS_FORM, GROUPS_FORM):
        return None
    return {**digests, "near": json.loads(near) if near else None}
