"""`python -m modelops.datasets`: from LangSmith to private rows on the Hub, or to a refusal with a reason."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from langsmith import Client
from tests.contract.learning import (
    PROMPT,
    ProgramInput,
    UploadExamples,
    langsmith_examples,
    numbered,
    run_program,
    start_program,
)
from tests.patience import patient

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.normalised_inputs import inputs_digest
from modelops.demo.stdlib_examples import read_examples
from modelops.domain.prompt import digest as prompt_digest
from modelops.sandbox.client import SandboxInfo

MODULE = "modelops.datasets"


def test_real_functions_become_private_rows(
    sandbox: SandboxInfo,
    hf: HfApi,
    hf_datasets: Any,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    examples = langsmith_examples(read_examples(limit=200))
    program_input["langsmith"]["dataset"] = f"ls://{upload_examples(examples)}"
    program_input["split"]["test_fraction"] = 0.2
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)

    assert result["ok"], result
    assert result["rows"] == result["train"] + result["test"] <= 200
    assert result["test"] == pytest.approx(0.2 * result["rows"], abs=4)
    assert result["tokens"] > result["train"] * 10
    assert result["prompt_digest"] == prompt_digest(PromptContract.model_validate(program_input["prompt"]))
    assert hf.repo_info(result["repo"], repo_type="dataset").private
    assert hf.repo_info(result["repo"], repo_type="dataset").sha == result["revision"]

    loaded = hf_datasets.load_dataset(result["repo"], revision=result["revision"], token=str(hf.token))
    assert (loaded["train"].num_rows, loaded["test"].num_rows) == (result["train"], result["test"])
    first = loaded["train"][0]["messages"]
    assert [message["role"] for message in first] == ["system", "user", "assistant"]

    group_of = {e["inputs"]["task"]: inputs_digest(e["inputs"]) for e in examples}
    groups = {
        part: {group_of[r["messages"][1]["content"]] for r in loaded[part]} for part in ("train", "test")
    }
    assert not groups["train"] & groups["test"]


def test_a_finished_program_that_is_started_again_makes_no_calls(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    first = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    sandbox.forget_requests()
    assert run_program(sandbox, MODULE, tmp_path / "p", program_input) == first
    assert sandbox.requests() == []


def test_same_content_makes_no_second_commit(
    sandbox: SandboxInfo,
    hf: HfApi,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    first = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    again = run_program(sandbox, MODULE, tmp_path / "q", program_input)
    assert {**again, "calls": first["calls"]} == first


def test_killed_while_uploading_it_continues_from_its_download(
    sandbox: SandboxInfo,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
    eventually: Callable[..., Any],
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    sandbox.fault("hub", "stall", method="POST", path_regex="/commit/", seconds=60)
    process = start_program(sandbox, MODULE, tmp_path / "p", program_input)
    eventually(lambda: sandbox.requests(service="hub", path_regex="/preupload/"), seconds=30)
    process.kill()
    process.wait()
    sandbox.clear()
    sandbox.forget_requests()

    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["ok"], result
    assert sandbox.requests(service="langsmith") == []


def test_second_process_in_the_folder_exits_75(
    sandbox: SandboxInfo,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
    eventually: Callable[..., Any],
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    sandbox.fault("langsmith", "stall", path_regex="/datasets", seconds=60)
    first = start_program(sandbox, MODULE, tmp_path / "p", program_input)
    eventually(lambda: (tmp_path / "p" / "progress.json").exists(), seconds=30)
    second = start_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert second.wait(timeout=patient(30)) == 75
    first.kill()
    first.wait()


def test_pinned_version_ignores_later_examples(
    sandbox: SandboxInfo,
    client: Client,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    name = upload_examples(numbered(6))
    program_input["langsmith"] = {"dataset": name, "splits": []}
    first = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    client.create_examples(
        dataset_name=name,
        examples=[{"inputs": {"task": "def late(): ..."}, "reference_outputs": {"docstring": "Late."}}],
    )
    program_input["langsmith"]["as_of"] = first["as_of"]
    program_input["hub"]["repo"] += "-2"
    assert run_program(sandbox, MODULE, tmp_path / "q", program_input)["digest"] == first["digest"]
    program_input["langsmith"]["as_of"] = None
    program_input["hub"]["repo"] += "-3"
    assert run_program(sandbox, MODULE, tmp_path / "r", program_input)["rows"] == 7


def test_the_examples_of_the_rows_are_named_with_the_copies_that_were_left_out(
    sandbox: SandboxInfo,
    hf: HfApi,
    client: Client,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    name = upload_examples([*numbered(6), *numbered(1), *numbered(2, success=False)])
    program_input["langsmith"]["dataset"] = name
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    where = {"repo_id": result["repo"], "repo_type": "dataset", "revision": result["revision"]}
    named = json.loads(Path(hf.hf_hub_download(filename="examples.json", **where)).read_text())
    lineage = json.loads(Path(hf.hf_hub_download(filename="modelops.json", **where)).read_text())
    learnt = {str(e.id) for e in client.list_examples(dataset_name=name) if (e.metadata or {})["success"]}
    assert (len(learnt), result["rows"]) == (7, 6)
    assert {*named["train"], *named["test"]} == learnt
    assert not set(named["train"]) & set(named["test"])
    assert "examples.json" not in lineage["files"]  # Nor in the digest: it changes nothing that is learnt.


def test_examples_that_are_left_out_are_findings(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(
        [
            *numbered(6),
            *numbered(1),
            *numbered(2, agent="feature_dev"),
            *numbered(3, success=False),
            {"inputs": {"task": "DEF number_1():\n\treturn 1"}, "outputs": {"docstring": "Another target."}},
        ]
    )
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["rows"] == 7
    assert result["findings"] == [
        "2 examples of other agents (feature_dev) were left out",
        "3 examples without metadata.success true were left out",
        "1 duplicate was left out",
        "1 example has the same prompt as another one but a different target",
    ]


BAD = numbered(6)


@pytest.mark.parametrize(
    ("examples", "changes", "reason", "says"),
    [
        ([], {}, "DatasetEmpty", "has no examples in the chosen version and splits"),
        (
            BAD,
            {"min_examples": 50},
            "DatasetTooSmall",
            "6 usable examples of 6; 50 are needed: add at least 44",
        ),
        (
            [*BAD, {"inputs": {"task": "x"}, "outputs": {}}],
            {},
            "DatasetShapeInvalid",
            "1 of 7 .* its `outputs`",
        ),
        (
            BAD,
            {"prompt": {**PROMPT, "user": "{{ inputs.question }}"}},
            "PromptRenderFailed",
            r"spec\.prompt\.user: `inputs` has no `question`; it has: task",
        ),
        (BAD, {"prompt": {**PROMPT, "user": "{{ "}}, "PromptRenderFailed", r"spec\.prompt\.user: line 1"),
        (
            [*BAD, {"inputs": {"task": "x"}, "outputs": {"docstring": "  "}}],
            {},
            "DatasetShapeInvalid",
            "1 of 7 .* empty target",
        ),
        (numbered(6, agent="cicd"), {}, "DatasetShapeInvalid", "metadata.agent 'cicd', not 'docs'"),
        (numbered(6, success=False), {}, "DatasetShapeInvalid", "metadata.success true"),
        ([BAD[0]] * 6, {"min_examples": 2}, "DatasetTooSmall", "1 usable example of 6"),
        (BAD, {"method": "magic"}, "InputInvalid", "method: Input should be 'sft'"),
    ],
)
def test_bad_input_is_refused_with_a_reason_and_nothing_is_uploaded(
    sandbox: SandboxInfo,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
    examples: list[dict[str, Any]],
    changes: ProgramInput,
    reason: str,
    says: str,
) -> None:
    program_input = {
        **program_input,
        **changes,
        "langsmith": {"dataset": upload_examples(examples), "as_of": None, "splits": []},
    }
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == (reason, False), result
    assert re.search(says, result["message"]), result
    assert sandbox.requests(service="hub", method="POST") == []


def test_training_on_evaluation_examples_is_refused(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    examples = numbered(6)
    program_input["langsmith"]["dataset"] = upload_examples(examples)
    same = {"inputs": examples[3]["inputs"], "outputs": {"docstring": "Three."}}
    evaluation = upload_examples(
        [same, {"inputs": {"task": "def other(): ..."}, "outputs": {"docstring": "Other."}}]
    )
    program_input["evaluation_dataset"] = f"ls://{evaluation}"
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["reason"] == "TrainTestOverlap"
    assert result["message"].startswith("1 of 6 examples of training dataset")
    assert repr(evaluation) in result["message"]


def test_unknown_dataset_is_named(sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path) -> None:
    program_input["langsmith"]["dataset"] = "ls://no such dataset"
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == ("DatasetNotFound", False)
    assert "no such dataset" in result["message"]


def test_unknown_evaluation_dataset_is_named_as_the_field(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    program_input["evaluation_dataset"] = "ls://no such dataset"
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["about"]) == ("DatasetNotFound", "evaluation_dataset")


def test_wrong_keys_are_named_and_not_shown(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    wrong = run_program(sandbox, MODULE, tmp_path / "p", program_input, LANGSMITH_API_KEY="lsv2_wrong_key")
    assert wrong["reason"] == "LangSmithUnauthorized"
    assert "lsv2_wrong_key" not in json.dumps(wrong)
    wrong = run_program(sandbox, MODULE, tmp_path / "q", program_input, HF_TOKEN="hf_wrong_token")
    assert (wrong["reason"], wrong["token_refused"], wrong["transient"]) == ("HubUnauthorized", True, True)
    assert "hf_wrong_token" not in json.dumps(wrong)
    program_input["hub"]["repo"] = "somebody-else/data"
    refused = run_program(sandbox, MODULE, tmp_path / "r", program_input)
    assert (refused["reason"], refused["token_refused"]) == ("HubUnauthorized", True)


@pytest.mark.parametrize(
    ("status", "words", "reason", "transient"),
    [
        (403, "Private repository storage limit reached, please upgrade your plan", "HubStorageFull", True),
        (403, "You don't have the rights to create a dataset", "HubUnauthorized", True),
        (422, "this file name is not valid", "HubRefused", False),
    ],
)
def test_what_the_hub_refuses_is_not_blamed_on_the_token(
    sandbox: SandboxInfo,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
    status: int,
    words: str,
    reason: str,
    transient: bool,
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    paths = {"method": "POST", "path_regex": "/api/datasets/.*/commit/", "times": None}
    sandbox.fault("hub", "status", status=status, headers={"X-Error-Message": words}, **paths)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == (reason, transient)
    assert words in result["message"]
    assert ("the token of" in result["message"]) is (reason == "HubUnauthorized")
    assert ("free storage" in result["message"]) is (reason == "HubStorageFull")


def test_a_program_whose_token_was_refused_goes_on_with_another_one(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(30))
    assert not run_program(sandbox, MODULE, tmp_path / "p", program_input, HF_TOKEN="hf_wrong_token")["ok"]
    assert run_program(sandbox, MODULE, tmp_path / "p", program_input)["ok"]


def test_public_repository_is_not_used(
    sandbox: SandboxInfo,
    hf: HfApi,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    hf.create_repo(program_input["hub"]["repo"], repo_type="dataset", private=False)
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["reason"] == "HubRepositoryPublic"


def test_outage_is_transient_and_the_next_start_succeeds(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    fault = sandbox.fault("langsmith", "status", status=503, times=None)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == ("LangSmithUnavailable", True)
    assert counted_calls(result) == ({"Unavailable": 3}, 2)
    sandbox.remove_fault(fault)
    assert run_program(sandbox, MODULE, tmp_path / "p", program_input)["ok"]


def counted_calls(result: dict[str, Any]) -> tuple[dict[str, int], int]:
    """The calls of LangSmith by outcome, and the retries, as the operator adds them to its metrics."""
    counted = result["calls"]["services"]["langsmith"]
    return counted["outcomes"], counted["retries"]


def test_every_try_of_a_call_is_in_the_result_for_the_metrics(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    sandbox.forget_requests()
    sandbox.fault("langsmith", "status", status=503, times=2, path_regex="/examples")
    outcomes, retries = counted_calls(run_program(sandbox, MODULE, tmp_path / "p", program_input))
    sent = sandbox.requests(service="langsmith")
    assert (outcomes, retries) == ({"ok": len(sent) - 2, "Unavailable": 2}, 2)


def test_lost_answer_to_the_commit_makes_no_second_one(
    sandbox: SandboxInfo,
    hf: HfApi,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    sandbox.fault("hub", "lost_answer", method="POST", path_regex="/commit/")
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    titles = [commit.title for commit in hf.list_repo_commits(result["repo"], repo_type="dataset")]
    assert sum(title.startswith("Dataset sha256:") for title in titles) == 1


def test_folder_holds_no_secret_and_is_readable_by_its_owner_only(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    run_program(sandbox, MODULE, tmp_path / "p", program_input)
    for file in (tmp_path / "p").iterdir():
        content = file.read_text()
        assert sandbox.hf_token not in content
        assert sandbox.langsmith_key not in content
        if file.name not in ("input.json", "program.lock"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
