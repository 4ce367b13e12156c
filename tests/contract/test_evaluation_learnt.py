"""What the candidate has learnt is left out of its evaluation; and the report is beside what it learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from tests.contract import evaluations
from tests.contract.evaluations import MODULE, chats
from tests.contract.learning import PROMPT, ProgramInput, run_program
from tests.contract.published import put

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.near import NearIndex, Shingles
from modelops.datasets.normalised_inputs import inputs_digest
from modelops.datasets.normalised_prompts import normalise_example
from modelops.demo.stdlib_examples import StdlibExample
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

examples, held_out, trained = evaluations.examples, evaluations.held_out, evaluations.trained
program_input, serve = evaluations.program_input, evaluations.serve
Learnt = Callable[..., dict[str, str]]
Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def learnt(hf: HfApi, unique: Callable[[str], str]) -> Learnt:
    """Puts a training dataset with these inputs on the Hub; returns it as the evaluation's input names it."""

    def upload(
        inputs: Sequence[Any], *, repo: str = "", more: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        prompts = [normalise_example(PromptContract.model_validate(PROMPT), one) for one in inputs]
        groups = {
            "form": "groups/v2",
            "prompts": [one.digest for one in prompts],
            "turns": [],
            "inputs": [inputs_digest(one) for one in inputs],
        }
        repo = repo or f"{USER}/{unique('data')}"
        files = {"groups.json": groups, **(more or {})}
        return {"repo": repo, "revision": put(hf, repo, files, title="groups", kind="dataset")}

    return upload


@pytest.fixture
def evaluate(sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path) -> Evaluate:
    """Evaluates a candidate that was trained on this dataset."""

    def run(training_dataset: Mapping[str, str], *, folder: str = "p", **changes: Any) -> dict[str, Any]:
        given = {"train_digests": [], "training_dataset": training_dataset, **changes}
        return run_program(sandbox, MODULE, tmp_path / folder, {**program_input, **given})

    return run


def inputs_of(given: Sequence[StdlibExample]) -> list[dict[str, Any]]:
    return [dict(one.langsmith()["inputs"]) for one in given]  # type: ignore[call-overload]


def test_examples_that_were_trained_on_are_left_out(
    evaluate: Evaluate, learnt: Learnt, held_out: list[StdlibExample]
) -> None:
    result = evaluate(learnt(inputs_of(held_out[:7])))
    assert result["n"] == len(held_out) - 7
    assert result["findings"] == [
        "7 examples were left out, because the candidate was trained on the same prompts"
    ]


def test_the_report_is_beside_the_training_data(
    sandbox: SandboxInfo,
    hf: HfApi,
    evaluate: Evaluate,
    learnt: Learnt,
    program_input: ProgramInput,
    held_out: list[StdlibExample],
    tmp_path: Path,
) -> None:
    """A program that starts again commits it once."""
    dataset = learnt(inputs_of(held_out[:1]))
    result = evaluate(dataset)
    repo, folder = dataset["repo"], f"evaluations/{program_input['rollout']}"
    assert result["report_url"] == f"{sandbox.hub}/datasets/{repo}/blob/main/{folder}/report.md"
    files = hf.list_repo_files(repo, repo_type="dataset")
    assert {f"{folder}/{name}" for name in ("report.md", "report.html", "interval.svg")} <= set(files)
    downloaded = Path(hf.hf_hub_download(repo, f"{folder}/report.md", repo_type="dataset"))
    page = downloaded.read_text(encoding="utf-8")
    assert result["explain"].split(":")[0] in page
    assert "**Passed: the candidate may be deployed.**" in page

    (tmp_path / "p" / "result.json").unlink()
    commits = len(hf.list_repo_commits(repo, repo_type="dataset"))
    assert evaluate(dataset)["report_url"] == result["report_url"]
    assert len(hf.list_repo_commits(repo, repo_type="dataset")) == commits


def test_a_public_repository_gets_no_report_and_the_verdict_stands(
    hf: HfApi,
    evaluate: Evaluate,
    learnt: Learnt,
    held_out: list[StdlibExample],
    unique: Callable[[str], str],
) -> None:
    repo = f"{USER}/{unique('data')}"
    hf.create_repo(repo, repo_type="dataset", private=False)
    result = evaluate(learnt(inputs_of(held_out[:1]), repo=repo))
    assert result["verdict"] == "pass"
    assert "report_url" not in result
    assert result["findings"][-1] == (
        f"the report was not published: dataset repository {repo} is public, and the report has examples in it"
    )


def test_a_dataset_of_the_form_before_is_compared_by_its_inputs_and_the_findings_say_so(
    evaluate: Evaluate, learnt: Learnt, held_out: list[StdlibExample]
) -> None:
    old = {"form": "groups/v1", "train": [inputs_digest(one) for one in inputs_of(held_out[:7])]}
    result = evaluate(learnt([], more={"groups.json": old}))
    assert result["n"] == len(held_out) - 7
    assert result["findings"][0].startswith("1 training dataset has the form groups/v1, so only whole inputs")


def test_near_copies_of_training_examples_are_left_out_and_counted(
    evaluate: Evaluate, learnt: Learnt, held_out: list[StdlibExample]
) -> None:
    long = [e for e in held_out if len(e.task.split()) > 60][:4]
    assert len(long) == 4
    edited = [{**inputs, "task": f"{inputs['task']} # edited"} for inputs in inputs_of(long)]
    shingles = Shingles()
    shingles.add([normalise_example(PromptContract.model_validate(PROMPT), one).words for one in edited])
    signatures, _ = shingles.signatures(without=shingles.boilerplate())
    near = NearIndex(signatures=signatures, boilerplate=shingles.boilerplate()).document()
    result = evaluate(learnt(edited, more={"near.json": near}))
    assert result["n"] == len(held_out) - 4
    assert result["findings"] == ["4 examples were left out as near-copies of training examples"]


def test_what_earlier_models_of_the_chain_have_learnt_is_left_out(
    hf: HfApi,
    evaluate: Evaluate,
    learnt: Learnt,
    held_out: list[StdlibExample],
    unique: Callable[[str], str],
) -> None:
    """The candidate's base is a model of the record, whose base is a model of another agent, on the Hub only."""

    def model(base: dict[str, str], **lineage: Any) -> dict[str, str]:
        repo = f"{USER}/{unique('model')}"
        files = {"modelops.json": {"base_model": base["repo"], "base_revision": base["revision"], **lineage}}
        return {"repo": repo, "revision": put(hf, repo, files, title="x")}

    gone = {"repo": f"{USER}/{unique('gone')}", "revision": "main"}
    first = model(gone, dataset=learnt(inputs_of(held_out[:2])))
    base = model(first, dataset=learnt(inputs_of(held_out[2:3])))
    earlier = [learnt(inputs_of(held_out[4:7]))]
    result = evaluate(learnt(inputs_of(held_out[9:10])), earlier_datasets=earlier, base=base)
    assert result["n"] == len(held_out) - 7
    assert result["findings"] == [
        f"the training examples of model {gone['repo']}, from which the candidate was trained, cannot be read, so "
        "examples of the evaluation may be among them",
        "1 example was left out, because the candidate was trained on the same prompts",
        "6 examples were left out, because a model from which the candidate was trained has learnt them or near-copies",
    ]

    same = evaluate({}, folder="q", base=base, rollout=unique("uid"))
    assert "1 example was left out, because the candidate was trained on the same prompts" in same["findings"]


def test_dataset_of_training_examples_only_is_refused(
    sandbox: SandboxInfo, evaluate: Evaluate, held_out: list[StdlibExample]
) -> None:
    result = evaluate({}, train_digests=[inputs_digest(one) for one in inputs_of(held_out)])
    assert result["reason"] == "TrainTestOverlap"
    assert chats(sandbox) == 0
