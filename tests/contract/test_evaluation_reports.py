"""What an evaluation reports beside the verdict, against the sandbox: similarity, and feedback of LangSmith's rules."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langsmith import Client
from openai import BadRequestError, OpenAI
from tests.contract.evaluations import open_router_arms
from tests.contract.learning import PROMPT, fill_dataset, langsmith_examples

from modelops.api.v1alpha1.langsmith_feedback import FeedbackResult
from modelops.api.v1alpha1.similarity import SimilarityResult
from modelops.demo.stdlib_examples import read_examples
from modelops.evaluation.check import check_evaluation
from modelops.evaluation.evaluate import evaluate
from modelops.sandbox.client import SandboxInfo
from modelops.workdir import ProgramFailure, WorkDir

EMBEDDINGS, EXAMPLES = "modelops-sandbox/words-as-vectors", 12
Input = dict[str, Any]


@pytest.fixture(autouse=True)
def _environment(sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("BASELINE", "CANDIDATE", "EMBEDDINGS"):
        monkeypatch.setenv(f"MODELOPS_{name}_KEY", sandbox.openrouter_key)


def run(program: Callable[[WorkDir], Input], folder: Path, program_input: Input) -> Input:
    """The `result.json` of a program, in this process."""
    folder.mkdir(exist_ok=True)
    (folder / "input.json").write_text(json.dumps(program_input))
    try:
        return {"ok": True, **program(WorkDir(folder))}
    except ProgramFailure as failure:
        return {"ok": False, "reason": failure.reason, "message": str(failure)}


@pytest.fixture
def dataset(client: Client, unique: Callable[[str], str]) -> tuple[str, str]:
    """Name and id."""
    name = unique("reports")
    held_out = [e for e in read_examples(limit=200) if e.split == "held-out"][:EXAMPLES]
    return name, fill_dataset(client, name, langsmith_examples(held_out))


@pytest.fixture
def program_input(sandbox: SandboxInfo, dataset: tuple[str, str], unique: Callable[[str], str]) -> Input:
    return {
        "v": 1,
        "rollout": unique("uid"),
        "agent": "docs",
        "dataset": f"ls://{dataset[0]}",
        "arms": open_router_arms(sandbox),
        "prompt": PROMPT,
        "scorer": {"type": "tokenF1", "threshold": "0.35"},
        "margin_points": "10",
        "goal": "nonInferior",
    }


def bind_evaluator(client: Client, dataset_id: str, key: str, **more: Any) -> None:
    """An evaluator of the workspace, bound to the dataset, as people make it in LangSmith."""
    body = {"display_name": key, "dataset_id": dataset_id, "sampling_rate": 1.0, **more}
    client.request_with_retries(
        "POST",
        "/runs/rules",
        request_kwargs={"data": json.dumps(body), "headers": {"Content-Type": "application/json"}},
    )


DECIDED = ("verdict", "recommendation", "difference_points", "interval", "n")


def test_similarity_and_late_feedback_are_reported_and_decide_nothing(
    client: Client, program_input: Input, dataset: tuple[str, str], tmp_path: Path
) -> None:
    without = run(evaluate, tmp_path / "a", program_input)
    assert (without["similarity"], without["feedback"]) == (None, [])
    bind_evaluator(client, dataset[1], "words", sandbox_delay_seconds=1.0)
    program_input |= {
        "rollout": f"{program_input['rollout']}-2",
        "similarity": {"model": EMBEDDINGS, "max_examples": 10},
        "feedback": {"keys": ["words"], "wait_seconds": 60},
    }
    checked = run(check_evaluation, tmp_path / "c", program_input)
    found = run(evaluate, tmp_path / "b", program_input)
    assert found["ok"], found
    assert [found[key] for key in DECIDED] == [without[key] for key in DECIDED]
    similarity = SimilarityResult.model_validate(found["similarity"])
    assert (similarity.compared, similarity.missing) == (10, 0)
    assert 0 < float(similarity.baseline) < 1
    assert float(similarity.usd) > 0
    assert float(similarity.usd) < float(found["calls_usd"]) <= float(checked["calls_usd"])
    (feedback,) = map(FeedbackResult.model_validate, found["feedback"])
    assert (feedback.key, feedback.compared, feedback.missing) == ("words", EXAMPLES, 0)
    assert float(feedback.interval[0]) <= float(feedback.difference) <= float(feedback.interval[1])
    assert sum("report only" in finding for finding in found["findings"]) == 2


def test_feedback_that_does_not_come_is_missing_after_the_wait(
    client: Client, program_input: Input, dataset: tuple[str, str], tmp_path: Path
) -> None:
    bind_evaluator(client, dataset[1], "late", sandbox_delay_seconds=3600.0)
    bind_evaluator(client, dataset[1], "some", sampling_rate=0.5, sandbox_delay_seconds=0.0)
    program_input["feedback"] = {"keys": ["late", "some"], "wait_seconds": 3}
    found = run(evaluate, tmp_path / "p", program_input)
    late, some = map(FeedbackResult.model_validate, found["feedback"])
    assert (late.compared, late.missing, late.difference) == (0, EXAMPLES, "")
    assert some.compared + some.missing == EXAMPLES
    assert some.missing > 0
    assert any("Is an evaluator with the key late bound to the dataset?" in one for one in found["findings"])


def test_an_embedding_service_that_refuses_ends_nothing(
    program_input: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOPS_EMBEDDINGS_KEY", "sk-or-v1-wrong")
    program_input["similarity"] = {"model": EMBEDDINGS, "max_examples": 10}
    found = run(evaluate, tmp_path / "p", program_input)
    assert found["ok"], found
    assert (found["similarity"]["compared"], found["similarity"]["missing"]) == (0, 10)
    assert any("HTTP 401" in finding for finding in found["findings"])
    assert "sk-or-v1-wrong" not in json.dumps(found)


@pytest.mark.parametrize(
    ("similarity", "key", "reason", "says"),
    [
        ({"model": ""}, None, "EmbeddingsMissing", "needs spec.embeddings of the AgentModel"),
        ({"model": "nobody/none"}, None, "ModelNotFound", "spec.embeddings of the AgentModel"),
        ({"model": EMBEDDINGS}, "", "ModelUnauthorized", "is not set"),
        ({"model": EMBEDDINGS}, "sk-or-v1-wrong", "ModelUnauthorized", "is wrong"),
    ],
)
def test_similarity_that_cannot_be_measured_is_refused_before_anything_is_paid(
    sandbox: SandboxInfo,
    program_input: Input,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    similarity: dict[str, Any],
    key: str | None,
    reason: str,
    says: str,
) -> None:
    if key is not None:
        monkeypatch.setenv("MODELOPS_EMBEDDINGS_KEY", key)
    sandbox.forget_requests()
    found = run(check_evaluation, tmp_path / "p", {**program_input, "similarity": similarity})
    assert found.get("reason") == reason, found
    assert says in found["message"]
    assert not sandbox.requests(service="openrouter", method="POST")


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_the_sandbox_gives_embeddings_to_the_real_sdk(sandbox: SandboxInfo, encoding: Any) -> None:
    with OpenAI(base_url=sandbox.openrouter, api_key=sandbox.openrouter_key, max_retries=0) as client:
        found = client.embeddings.create(
            model=EMBEDDINGS, input=["one two", "one two"], encoding_format=encoding
        )
        assert [one.index for one in found.data] == [0, 1]
        assert found.usage.prompt_tokens == 4
        with pytest.raises(BadRequestError, match="not a valid model ID"):
            client.embeddings.create(model="nobody/none", input="x")
        with pytest.raises(BadRequestError):
            client.embeddings.create(model=EMBEDDINGS, input=[""])
