"""A real sandbox process for the contract tests, and real SDK clients that talk to it."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langsmith import Client
from tests.contract.learning import PROMPT, ProgramInput, UploadExamples, fill_dataset
from tests.patience import deadline_after, patient

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.sandbox.client import SandboxInfo, start
from modelops.sandbox.tokens import USER


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxInfo]:
    """One sandbox for all contract tests of this worker."""
    with start(tmp_path_factory.mktemp("sandbox")) as info:
        yield info


@pytest.fixture(scope="session")
def hf_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for the downloads of the Hugging Face SDKs."""
    return tmp_path_factory.mktemp("hf-home")


@pytest.fixture
def sandbox(sandbox_process: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxInfo]:
    """The sandbox, without faults and with an empty log of calls."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    sandbox_process.clear()
    sandbox_process.forget_requests()
    yield sandbox_process
    sandbox_process.clear()


@pytest.fixture
def hf(sandbox: SandboxInfo, hf_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`HfApi` of the sandbox's user.

    The SDK reads its constants from the environment when it is imported, which may be before this file is
    imported. It uses the constants when a call is made, so setting them here is enough.
    """
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", sandbox.endpoints)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hf_home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    return HfApi(endpoint=sandbox.hub, token=sandbox.hf_token)


@pytest.fixture
def hf_datasets(hf: Any, hf_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The `datasets` library, configured for the sandbox and for a cache of this session."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hf.endpoint)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", hf_home / "datasets")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", hf_home / "modules")
    return datasets


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names that no other test uses: `unique("model")` -> `model-1f3a…`."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def repo(hf: Any, unique: Callable[[str], str]) -> str:
    """An empty private model repository."""
    repo_id = f"{USER}/{unique('model')}"
    hf.create_repo(repo_id, private=True)
    return repo_id


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(question)` waits for the first true answer; it fails with the last answer after `seconds` (10)."""

    def ask(question: Callable[[], Any], *, seconds: float = 10.0) -> Any:
        deadline = deadline_after(seconds)
        while not (answer := question()):
            assert time.monotonic() < deadline, f"still {answer!r} after {patient(seconds):.0f} s"
            time.sleep(0.02)
        return answer

    return ask


@pytest.fixture
def client(sandbox: SandboxInfo) -> Iterator[Client]:
    """The LangSmith client of the sandbox's user."""
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    yield client
    client.close(timeout=0)


@pytest.fixture
def upload_examples(client: Client) -> UploadExamples:
    """Uploads examples to a new LangSmith dataset; returns its name."""

    def make(examples: list[dict[str, Any]]) -> str:
        name = f"data {uuid.uuid4().hex}"
        fill_dataset(client, name, examples)
        return name

    return make


@pytest.fixture
def program_input(unique: Callable[[str], str]) -> ProgramInput:
    """Input of the dataset program, complete except for `langsmith.dataset`."""
    run = unique("uid")
    return {
        "v": 1,
        "run": run,
        "agent": "docs",
        "langsmith": {"dataset": "", "as_of": None, "splits": []},
        "evaluation_dataset": None,
        "prompt": PROMPT,
        "method": "sft",
        "hub": {"repo": f"{USER}/{unique('docs')}-data"},
        "min_examples": 4,
        "split": {"test_fraction": 0.1, "seed": run},
    }
