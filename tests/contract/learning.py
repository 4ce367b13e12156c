"""Shared by the tests of the trainer and of both programs: datasets, rows, and starting a program."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from langsmith import Client
from tests.patience import patient

from modelops.demo.stdlib_examples import StdlibExample
from modelops.sandbox.client import SandboxInfo

ProgramInput = dict[str, Any]
"""A program's input."""
UploadExamples = Callable[[list[dict[str, Any]]], str]
"""Uploads the examples to a new LangSmith dataset; returns its name."""

PROMPT = {
    "system": "Say in one paragraph what the function does.",
    "user": "{{ inputs.task }}",
    "assistant": "{{ outputs.docstring }}",
}


def environment(sandbox: SandboxInfo, **more: str) -> dict[str, str]:
    """The environment of a program: the sandbox's addresses and keys, and a few inherited variables."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {**inherited, **sandbox.environment(), **more}


def start_program(
    sandbox: SandboxInfo, module: str, folder: Path, program_input: Mapping[str, Any], **more: str
) -> subprocess.Popen[bytes]:
    """Start a program in its folder, as the operator does."""
    folder.mkdir(exist_ok=True)
    (folder / "input.json").write_text(json.dumps(program_input))
    command = [sys.executable, "-m", module, str(folder)]
    return subprocess.Popen(command, cwd=folder, env=environment(sandbox, **more))


def run_program(
    sandbox: SandboxInfo, module: str, folder: Path, program_input: Mapping[str, Any], **more: str
) -> dict[str, Any]:
    """Run a program to its end; returns its `result.json`."""
    process = start_program(sandbox, module, folder, program_input, **more)
    code = process.wait(timeout=patient(90))
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    assert code == (0 if result["ok"] else 1)
    return result


def fill_dataset(client: Client, name: str, examples: Sequence[Mapping[str, Any]]) -> str:
    """Create a LangSmith dataset with this name; returns its id."""
    dataset = client.create_dataset(name)
    as_sent = [
        {
            "inputs": e["inputs"],
            "reference_outputs": e["outputs"],
            "metadata": e.get("metadata", {"agent": "docs", "success": True}),
        }
        for e in examples
    ]
    if as_sent:
        client.create_examples(dataset_id=dataset.id, examples=as_sent)
    return str(dataset.id)


def langsmith_examples(examples: Sequence[StdlibExample]) -> list[dict[str, Any]]:
    """Real functions in LangSmith's form."""
    return [dict(example.langsmith()) for example in examples]


def upload_rows(
    hf: HfApi, repo: str, *, train: Sequence[StdlibExample], test: Sequence[StdlibExample]
) -> str:
    """Upload a dataset repository as the dataset program does; returns its revision."""
    hf.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
    parts = {"data/train.jsonl": train, "data/test.jsonl": test}
    adds = [
        CommitOperationAdd(path, "".join(row(e) + "\n" for e in part).encode())
        for path, part in parts.items()
    ]
    return str(hf.create_commit(repo, adds, commit_message="rows", repo_type="dataset").oid)


def row(example: StdlibExample) -> str:
    """One line of a dataset file."""
    messages = [
        {"role": "system", "content": PROMPT["system"]},
        {"role": "user", "content": example.task},
        {"role": "assistant", "content": example.docstring},
    ]
    return json.dumps({"id": example.id, "messages": messages})


def numbered(count: int, **metadata: Any) -> list[dict[str, Any]]:
    """Small examples that are all different."""
    return [
        {
            "inputs": {"task": f"def number_{n}():\n    return {n}"},
            "outputs": {"docstring": f"Return the number {n}."},
            "metadata": {"agent": "docs", "success": True, **metadata},
        }
        for n in range(count)
    ]
