"""The inputs that a candidate has learnt: in its own training, and in those of the models that it was trained from.

A run's `baseModel` may be a model of an earlier run. What that model has learnt, the candidate knows as well, so it
proves nothing about the candidate.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelops.datasets.files import GROUPS, LINEAGE, NEAR
from modelops.datasets.near import NearIndex
from modelops.datasets.normalised_inputs import NormalisedInputs
from modelops.evaluation.request import HubRevision, Request
from modelops.trainers.hub_repository import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB_RETRY_SECONDS = 60.0
MOST_MODELS = 50
"""Models of a chain that are looked up on the Hub; it bounds the work where a chain's files are wrong."""


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """The inputs of one training: their digests, and an index of near-copies where there is one."""

    digests: frozenset[str]
    near: NearIndex | None = None

    def compare(self, inputs: Sequence[NormalisedInputs]) -> tuple[list[bool], list[bool]]:
        """For each of the inputs whether it was trained on, and whether a near-copy of it was."""
        same = [one.digest in self.digests for one in inputs]
        if self.near is None:
            return same, [False] * len(same)
        return same, self.near.has_near_copy([one.words for one in inputs])


@dataclass(frozen=True, kw_only=True)
class LearntInputs:
    """The inputs of the candidate's training, None where they are not known; of earlier models; and the names of
    earlier models or datasets whose inputs cannot be read."""

    candidate: TrainingInputs | None
    earlier: tuple[TrainingInputs, ...] = ()
    unknown: tuple[str, ...] = ()


def read_learnt_inputs(work: WorkDir, request: Request) -> LearntInputs:
    """From the request, or from the datasets and models on the Hub that the request names.

    Raises ProgramFailure: HubUnauthorized where the candidate's own dataset cannot be read, HubUnavailable.
    """
    if request.train_digests:
        return LearntInputs(candidate=TrainingInputs(digests=frozenset(request.train_digests)))
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
    return TrainingInputs(digests=frozenset(map(str, known["train"])), near=NearIndex.of(known["near"]))


def _download(request: Request) -> dict[str, Any]:
    """`trainings`: of the candidate and then of earlier models, each with its digests and its index, or None.

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
            f"{error}; the token of spec.secretRefs.huggingFace needs permission to read it",
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
    """`groups.json` and `near.json` of a dataset repository; None where there is no `groups.json`."""
    if not dataset.repo:
        return None
    source = Repository(api, dataset.repo, repo_type="dataset", retry_seconds=HUB_RETRY_SECONDS)
    groups, near = (source.read(path, revision=dataset.revision or "main") for path in (GROUPS, NEAR))
    if not groups:
        return None
    return {"train": json.loads(groups)["train"], "near": json.loads(near) if near else None}
