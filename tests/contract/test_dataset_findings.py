"""Refusals, omissions and findings of the dataset program."""

import json
import string
import uuid
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard
from langsmith import Client
from tests.contract.learning import PROMPT, ProgramInput, UploadExamples, numbered, run_program

from modelops.datasets.lengths import max_training_tokens
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

MODULE = "modelops.datasets"
WORDS = [f"word{n}" for n in range(3000)]


def long_texts(count: int, *, seed: int = 0, size: int = 80) -> list[dict[str, Any]]:
    source = Random(seed)
    return [
        {"inputs": {"task": " ".join(source.choices(WORDS, k=size))}, "outputs": {"docstring": f"Text {n}."}}
        for n in range(count)
    ]


def test_near_copies_stay_together_and_an_evaluation_near_them_is_counted(
    sandbox: SandboxInfo,
    hf: HfApi,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    texts = long_texts(12)
    copies = [
        {
            "inputs": {"task": e["inputs"]["task"].replace(" word", " Word", 3) + " end"},
            "outputs": e["outputs"],
        }
        for e in texts[:3]
    ]
    program_input["split"]["test_fraction"] = 0.4
    program_input["langsmith"]["dataset"] = upload_examples([*texts, *copies])
    evaluation = upload_examples(
        [{"inputs": {"task": "Begin " + texts[5]["inputs"]["task"]}, "outputs": {"docstring": "x"}}]
    )
    program_input["evaluation_dataset"] = evaluation
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["ok"], result
    assert result["findings"] == [
        f"1 of 1 example of evaluation dataset {evaluation!r} is a near-copy of training examples; an evaluation "
        "leaves it out",
        "3 examples are near-copies of another one and stay on its side of the split",
    ]
    tasks = {
        part: {
            " ".join(json.loads(line)["messages"][1]["content"].lower().split()[:10])
            for line in (tmp_path / "p" / f"{part}.jsonl").read_text().splitlines()
        }
        for part in ("train", "test")
    }
    assert not tasks["train"] & tasks["test"]
    assert "near.json" in hf.list_repo_files(result["repo"], repo_type="dataset")
    card = ModelCard.load(hf.hf_hub_download(result["repo"], "README.md", repo_type="dataset")).text
    assert "## Report" in card
    assert result["findings"][1] in card


def test_group_key_decides_what_stays_together(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    examples = [e for repo in "abcd" for e in numbered(12, repo=repo)[ord(repo) % 4 * 3 :][:3]]
    program_input |= {"group_key": "metadata.repo"}
    program_input["split"]["test_fraction"] = 0.25
    program_input["langsmith"]["dataset"] = upload_examples(examples)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["train"], result["test"]) == (9, 3)
    assert result["report"]["groups"]["count"] == 4

    program_input |= {"group_key": "repository"}
    wrong = run_program(sandbox, MODULE, tmp_path / "q", program_input)
    assert wrong["reason"] == "DatasetShapeInvalid"
    assert "has spec.dataset.groupKey 'repository'" in wrong["message"]


def test_secrets_and_personal_data_are_refused_with_kinds_and_ids_only(
    sandbox: SandboxInfo,
    client: Client,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    key = "hf_" + "".join(Random(1).choices(string.ascii_letters, k=34))
    bad = [
        {"inputs": {"task": f"TOKEN = '{key}'"}, "outputs": {"docstring": "Sets it."}},
        {"inputs": {"task": "x"}, "outputs": {"docstring": "Ask jane@acme-corp.com."}},
    ]
    program_input["langsmith"]["dataset"] = name = upload_examples([*numbered(6), *bad])
    ids = {e.inputs["task"]: str(e.id) for e in client.list_examples(dataset_name=name)}
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["reason"] == "SensitiveContent"
    assert f"1 with an e-mail address ({ids['x']})" in result["message"]
    assert f"1 with a key, token or password ({ids[bad[0]['inputs']['task']]})" in result["message"]  # type: ignore[index]
    assert key not in json.dumps(result)
    assert "jane" not in json.dumps(result)

    program_input |= {"allow_sensitive": ["key", "email"]}
    allowed = run_program(sandbox, MODULE, tmp_path / "q", program_input)
    assert allowed["ok"], allowed
    assert len(allowed["findings"]) == 2


def test_long_examples_are_left_out_up_to_five_percent(
    sandbox: SandboxInfo, upload_examples: UploadExamples, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input |= {"max_seq_length": 60}
    program_input["langsmith"]["dataset"] = upload_examples([*numbered(39), *long_texts(1)])
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["rows"] == 39
    assert result["findings"][0].startswith(
        "1 example longer than config.maxSeqLength 60 tokens was left out"
    )
    longest = result["report"]["tokens"]["longest"]
    assert (result["p99_tokens"], result["max_tokens"]) == (
        longest,
        max_training_tokens(longest, slack=2.0, tools=False),
    )

    program_input["langsmith"]["dataset"] = upload_examples([*numbered(10), *long_texts(1)])
    refused = run_program(sandbox, MODULE, tmp_path / "q", program_input)
    assert refused["reason"] == "DatasetTooLong"
    assert "1 of 11 examples" in refused["message"]


def test_the_models_own_tokenizer_counts(
    sandbox: SandboxInfo,
    hf: HfApi,
    repo: str,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    letters = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="?", vocab={"?": 0}, merges=[]))
    letters.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    body = letters.to_str().encode()
    hf.create_commit(repo, [CommitOperationAdd("tokenizer.json", body)], commit_message="tokenizer")
    program_input |= {"base_model": {"repo": repo}}
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["findings"] == []
    system, task, answer = PROMPT["system"], "def number_0():\n    return 0", "Return the number 0."
    assert result["p99_tokens"] == len(f"{system}\n{task}\n{answer}") + 3 * 5
    assert result["report"]["tokens"]["counted_by"] == f"the tokenizer of {repo}"


def test_without_a_tokenizer_lengths_are_estimated_and_that_is_a_finding(
    sandbox: SandboxInfo,
    repo: str,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    program_input |= {"base_model": {"repo": repo}}
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["findings"] == [
        f"lengths are estimated: {repo} has no tokenizer.json on the Hub that can be read"
    ]


def test_licences_of_base_source_and_author_are_checked(
    sandbox: SandboxInfo, client: Client, hf: HfApi, repo: str, program_input: ProgramInput, tmp_path: Path
) -> None:
    card = b"---\nlicense: apache-2.0\n---\n"
    hf.create_commit(repo, [CommitOperationAdd("README.md", card)], commit_message="card")
    dataset = client.create_dataset(f"licensed {uuid.uuid4().hex}", metadata={"licence": "CC-BY-NC-4.0"})
    client.create_examples(
        dataset_id=dataset.id,
        examples=[{"inputs": e["inputs"], "reference_outputs": e["outputs"]} for e in numbered(6)],
    )
    program_input |= {
        "base_model": {"repo": repo},
        "allowed_licences": ["Apache-2.0"],
        "source": "model:gpt-4",
    }
    program_input["langsmith"]["dataset"] = dataset.name
    refused = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert refused["reason"] == "LicenceNotAllowed"
    assert f"dataset {dataset.name!r} has licence 'CC-BY-NC-4.0'" in refused["message"]

    program_input |= {"allowed_licences": ["apache-2.0", "cc-by-nc-4.0"]}
    allowed = run_program(sandbox, MODULE, tmp_path / "q", program_input)
    assert allowed["ok"], allowed
    assert "the licence of the answers' author gpt-4 is not known: check it yourself" in allowed["findings"]
    assert allowed["report"]["licences"][f"base model {repo}"] == "apache-2.0"

    program_input |= {"base_model": {"repo": f"{USER}/nowhere"}}
    nameless = run_program(sandbox, MODULE, tmp_path / "r", program_input)
    assert f"base model {USER}/nowhere names no licence" in nameless["message"]


def traced(client: Client, project: str, inputs: dict[str, Any], *, count: int) -> None:
    for _ in range(count):
        run, now = uuid.uuid4(), datetime.now(UTC)
        client.create_run(
            name="call",
            run_type="llm",
            id=run,
            trace_id=run,
            dotted_order=f"{now:%Y%m%dT%H%M%S%f}Z{run}",
            inputs=inputs,
            outputs={"text": "ok"},
            start_time=now,
            end_time=now,
            project_name=project,
        )


def test_recent_production_runs_are_compared(
    sandbox: SandboxInfo,
    client: Client,
    upload_examples: UploadExamples,
    program_input: ProgramInput,
    tmp_path: Path,
) -> None:
    program_input |= {"project": f"agent-{uuid.uuid4().hex}"}
    program_input["langsmith"]["dataset"] = upload_examples(numbered(6))
    unknown = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert unknown["ok"], unknown
    finding = f"not compared with production: LangSmith has no project '{program_input['project']}' yet. "
    assert unknown["findings"][0].startswith(finding)

    like = [{"role": "system", "content": PROMPT["system"]}, {"role": "user", "content": "def f(): pass" * 3}]
    traced(client, program_input["project"], {"messages": like}, count=3)
    assert run_program(sandbox, MODULE, tmp_path / "q", program_input)["findings"] == []

    other = [
        [
            {"id": ["langchain", "SystemMessage"], "kwargs": {"content": "You are a pirate."}},
            {"id": ["langchain", "HumanMessage"], "kwargs": {"content": "Arr! " * 400}},
            {"id": ["langchain", "ToolMessage"], "kwargs": {"content": "x"}},
        ]
    ]
    tools = [{"function": {"name": "sail"}}]
    traced(client, program_input["project"], {"messages": other, "tools": tools}, count=4)
    found = run_program(sandbox, MODULE, tmp_path / "r", program_input)["findings"]
    assert [sentence.split(" of ")[0] for sentence in found] == [
        "4",
        "4",
        "tools differ from those",
        "the median prompt",
    ]
    assert "pirate" not in json.dumps(found)
