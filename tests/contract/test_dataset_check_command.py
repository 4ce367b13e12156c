"""`modelops dataset check`: the report without a cluster; nothing is uploaded."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.contract.learning import PROMPT, UploadExamples, numbered

from modelops.cli.__main__ import main
from modelops.cli.dataset_check import _load_documents, program_input
from modelops.sandbox.client import SandboxInfo

AGENT = Path(__file__).parents[2] / "config" / "samples" / "agentmodel-docs.yaml"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """The docs agent's manifest, without datasets and a project."""
    manifest = YAML().load(AGENT.read_text())
    del manifest["spec"]["langsmith"]
    path = tmp_path / "agent.yaml"
    with path.open("w") as stream:
        YAML().dump(manifest, stream)
    return path


@pytest.fixture
def environment(sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> SandboxInfo:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return sandbox


def test_report_is_printed_and_nothing_uploaded(
    environment: SandboxInfo, upload_examples: UploadExamples, agent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = upload_examples(numbered(24))
    assert main(["dataset", "check", f"ls://{name}", "-f", str(agent)]) == 0
    shown = capsys.readouterr().out
    assert f"- dataset: {name}" in shown
    assert "- train: 22" in shown
    assert shown.endswith("The dataset can be used for training.\n")
    assert environment.requests(service="hub", method="POST") == []


def test_refusal_is_status_1_and_has_the_findings_until_then(
    environment: SandboxInfo, upload_examples: UploadExamples, agent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = upload_examples([*numbered(4), *numbered(2, success=False)])
    assert main(["dataset", "check", f"ls://{name}", "-f", str(agent), "--json"]) == 1
    outcome: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (outcome["ok"], outcome["reason"]) == (False, "DatasetTooSmall")
    assert outcome["report"]["findings"] == ["2 examples without metadata.success true were left out"]


def test_the_manifest_of_a_training_run_is_used(
    environment: SandboxInfo,
    upload_examples: UploadExamples,
    agent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = upload_examples([*numbered(12, repo="a"), *numbered(18, repo="b", success=False)[12:]])
    run = tmp_path / "run.yaml"
    run.write_text(
        "apiVersion: modelops.code-chef.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: docs-1}\nspec:\n"
        "  agentModelRef: {name: docs}\n  baseModel: nobody/nothing\n  maxUSD: '5'\n"
        f"  dataset: {{langsmith: 'ls://{name}', groupKey: metadata.repo, includeFailures: true}}\n"
    )
    arguments = ["-f", str(agent), "-f", str(run), "--min-examples", "18", "--json"]
    assert main(["dataset", "check", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert (report["groups"]["by"], report["groups"]["count"]) == ("metadata.repo", 2)
    assert {report["train"], report["test"]} == {6, 12}


def test_findings_about_the_recipe_are_those_of_the_run(
    environment: SandboxInfo,
    upload_examples: UploadExamples,
    agent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = upload_examples(numbered(24))
    run = tmp_path / "run.yaml"
    run.write_text(
        "apiVersion: modelops.code-chef.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: docs-1}\nspec:\n"
        "  agentModelRef: {name: docs}\n  baseModel: nobody/nothing\n  maxUSD: '5'\n"
        f"  dataset: {{langsmith: 'ls://{name}'}}\n  config: {{batchSize: 2, gradientAccumulationSteps: 4}}\n"
    )
    assert main(["dataset", "check", "-f", str(agent), "-f", str(run), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["report"]["findings"]
    expected = (
        "training makes 9 updates (examples: 22, examples per update: 8, epochs: 3); with fewer than 50 "
    )
    assert [one for one in findings if one.startswith(expected)], findings


def test_a_run_of_a_cluster_holds_out_the_examples_that_it_will_hold_out(agent: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(
        "apiVersion: modelops.code-chef.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: docs-1, uid: of-the-run}\n"
        "spec:\n  agentModelRef: {name: docs}\n  maxUSD: '5'\n  dataset: {langsmith: 'ls://d'}\n"
    )
    assert given_to_the_program(agent, run)["split"]["seed"] == "of-the-run"
    assert given_to_the_program(agent)["split"]["seed"] == "check"


def given_to_the_program(*files: Path) -> dict[str, Any]:
    arguments = argparse.Namespace(
        dataset="ls://d", method=None, base_model=None, as_of=None, min_examples=20, file=list(files)
    )
    return program_input(arguments, _load_documents(files))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kind: ConfigMap\n", "no file has an AgentModel"),
        ("kind: AgentModel\nmetadata: {name: x}\n", "AgentModel: "),
        ("a: [", "agent.yaml"),
    ],
)
def test_wrong_files_are_status_2(
    tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(content)
    assert main(["dataset", "check", "ls://x", "-f", str(path)]) == 2
    assert says in capsys.readouterr().err


def test_the_samples_prompt_is_that_of_these_tests() -> None:
    assert f'"{PROMPT["user"]}"' in AGENT.read_text()
