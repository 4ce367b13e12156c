"""Rows for DPO and ORPO: from pairs in one example, from failures, from LangSmith feedback; tools are kept."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from langsmith import Client
from tests.contract.learning import ProgramInput, UploadExamples, numbered, run_program
from tests.contract.published import put

from modelops.sandbox.client import SandboxInfo

MODULE = "modelops.datasets"
pytestmark = pytest.mark.filterwarnings("ignore:Creating feedback for a run without session_id")
Example = dict[str, Any]


def paired(count: int) -> list[Example]:
    return [
        {
            "inputs": {"task": f"def pair_{n}(): ..."},
            "outputs": {"chosen": {"docstring": f"Good {n}."}, "rejected": f"Bad {n}."},
        }
        for n in range(count)
    ]


def tried(count: int) -> list[Example]:
    """A success and a failure on the same inputs."""
    return [
        {
            "inputs": {"task": f"def tried_{n}(): ..."},
            "outputs": {"docstring": f"{'Good' if success else 'Bad'} {n}."},
            "metadata": {"agent": "docs", "success": success},
        }
        for n in range(count)
        for success in (True, False)
    ]


def rows(hf: HfApi, result: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for part in ("train", "test"):
        path = hf.hf_hub_download(
            result["repo"], f"data/{part}.jsonl", revision=result["revision"], repo_type="dataset"
        )
        found += [json.loads(line) for line in Path(path).read_text().splitlines()]
    return found


@pytest.mark.parametrize("method", ["dpo", "orpo"])
def test_pairs_come_from_single_examples_and_from_failures(
    sandbox: SandboxInfo,
    hf: HfApi,
    hf_datasets: Any,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
    method: str,
) -> None:
    program_input |= {"method": method}
    program_input["langsmith"]["dataset"] = upload_examples([*paired(3), *tried(3), *numbered(2)])
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["ok"], result
    assert result["rows"] == 6
    assert result["report"]["pairs"] == {
        "in_one_example": 3,
        "success_and_failure": 3,
        "scores": 0,
        "duplicates": 0,
    }
    for row in rows(hf, result):
        assert [m["role"] for m in row["prompt"]] == ["system", "user"]
        assert [m["role"] for m in (*row["chosen"], *row["rejected"])] == ["assistant", "assistant"]
        assert row["chosen"][0]["content"].startswith("Good")
        assert row["rejected"][0]["content"] == row["chosen"][0]["content"].replace("Good", "Bad")
    loaded = hf_datasets.load_dataset(result["repo"], revision=result["revision"], token=str(hf.token))
    assert {"prompt", "chosen", "rejected"} <= set(loaded["train"].column_names)


def test_feedback_on_source_runs_makes_pairs(
    sandbox: SandboxInfo, client: Client, hf: HfApi, program_input: ProgramInput, tmp_path: Path
) -> None:
    dataset = client.create_dataset(f"scored {uuid.uuid4().hex}")
    for n in range(4):
        for score, answer in ((1.0, "Good"), (0.25, "Bad")):
            run = uuid.uuid4()
            now = datetime.now(UTC)
            inputs, outputs = {"task": f"def scored_{n}(): ..."}, {"docstring": f"{answer} {n}."}
            client.create_run(
                name="agent",
                run_type="chain",
                id=run,
                trace_id=run,
                dotted_order=f"{now:%Y%m%dT%H%M%S%f}Z{run}",
                inputs=inputs,
                outputs=outputs,
                start_time=now,
                end_time=now,
                project_name="scored",
            )
            client.create_feedback(run, key="helpful", score=score)
            client.create_examples(
                dataset_id=dataset.id,
                examples=[{"inputs": inputs, "reference_outputs": outputs, "source_run_id": run}],
            )
            if n == 3:
                client.create_feedback(run, key="short", score=1 - score)
    program_input |= {"method": "dpo"}
    program_input["langsmith"]["dataset"] = dataset.name
    ambiguous = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert ambiguous["reason"] == "MethodNotServed"
    program_input |= {"feedback_key": "helpful"}
    result = run_program(sandbox, MODULE, tmp_path / "q", program_input)
    assert result["ok"], result
    assert result["report"]["pairs"]["scores"] == 4
    assert {row["chosen"][0]["content"] for row in rows(hf, result)} == {f"Good {n}." for n in range(4)}


def test_a_dataset_without_pairs_is_refused_with_the_number_and_the_remedy(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input |= {"method": "dpo"}
    program_input["langsmith"] |= {
        "dataset": upload_examples([*numbered(6), *tried(1)]),
        "field": "spec.dataset.langsmith",
    }
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == ("MethodNotServed", False)
    assert "(spec.dataset.langsmith) gives 1 pair from 8 examples and 4 are needed" in result["message"]
    assert "Add at least 3: examples with outputs.chosen and outputs.rejected" in result["message"]
    assert sandbox.requests(service="hub", method="POST") == []


def test_failures_are_used_where_the_run_includes_them(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(tried(4))
    assert run_program(sandbox, MODULE, tmp_path / "p", program_input)["rows"] == 4
    program_input |= {"include_failures": True}
    program_input["hub"]["repo"] += "-2"
    assert run_program(sandbox, MODULE, tmp_path / "q", program_input)["rows"] == 8


def test_tools_for_a_base_model_without_a_template_are_refused_before_the_training(
    sandbox: SandboxInfo,
    hf: HfApi,
    repo: str,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    put(hf, repo, {"tokenizer_config.json": {"eos_token": "<|endoftext|>"}}, title="base")
    tools = [{"type": "function", "function": {"name": "read_file"}}]
    asked = [{"role": "user", "content": f"Read {n}"} for n in range(6)]
    examples = [
        {"inputs": {"messages": [one], "tools": tools}, "outputs": {"docstring": "x"}} for one in asked
    ]
    program_input |= {"base_model": {"repo": repo}}
    program_input["langsmith"]["dataset"] = upload_examples([*examples, *numbered(6)])
    refused = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert refused["reason"] == "DatasetShapeInvalid"
    assert f"6 examples of dataset {program_input['langsmith']['dataset']!r} use tools" in refused["message"]
    assert f"Base model {repo} has no chat template" in refused["message"]

    template = b"{% for message in messages %}{{ message.content }}|{% endfor %}"
    put(hf, repo, {"chat_template.jinja": template}, title="template")
    assert run_program(sandbox, MODULE, tmp_path / "q", program_input)["ok"]


def test_messages_and_tools_pass_through(
    sandbox: SandboxInfo,
    hf: HfApi,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    tools = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}]
    call = {"id": "c1", "type": "function", "function": {"name": "read_file", "arguments": '{"path": "a"}'}}
    examples = [
        {
            "inputs": {"messages": [{"role": "user", "content": f"Read file {n}"}], "tools": tools},
            "outputs": {"docstring": "", "tool_calls": [call]},
        }
        for n in range(6)
    ]
    program_input["langsmith"]["dataset"] = upload_examples(examples)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["ok"], result
    for row in rows(hf, result):
        assert json.loads(row["tools"]) == tools
        assert row["messages"][-1] == {"role": "assistant", "content": "", "tool_calls": [call]}
