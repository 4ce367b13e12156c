"""The example agent that people copy, as a process, against the models of the sandbox."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.contract.example_agent import Agent, example_agent
from tests.patience import deadline_after, patient

from modelops.sandbox.client import SandboxInfo


@pytest.fixture
def agents_file(sandbox: SandboxInfo, tmp_path: Path) -> Path:
    file = tmp_path / "agents.yaml"
    file.write_text(
        "agents:\n  docs:\n    model: modelops-sandbox/name-as-sentence\n    endpoint: openrouter\n"
        f"    endpoint_url: {sandbox.openrouter}\n    api_key_env: OPENROUTER_API_KEY\n    version: v1.0.0\n"
    )
    return file


def ask(agent: Agent) -> tuple[int, dict[str, Any]]:
    """The status and the body of an answer in a session."""
    body = json.dumps({"messages": [{"role": "user", "content": "def read_lines(path): ..."}]}).encode()
    request = Request(f"{agent.url}/sessions/one/chat", body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=patient(10)) as reply:
            return reply.status, json.load(reply)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def agent(sandbox: SandboxInfo, agents_file: Path) -> Iterator[Agent]:
    variables = {"MODELOPS_AGENTS_FILE": str(agents_file), "OPENROUTER_API_KEY": sandbox.openrouter_key}
    with example_agent(**variables) as started:
        yield started


def test_it_answers_with_the_model_of_the_file_and_says_which(agent: Agent) -> None:
    assert ask(agent) == (200, {"answer": "Read lines.", "version": "v1.0.0", "track": "stable"})


def test_a_model_that_fails_is_a_bad_gateway_without_its_words(agent: Agent, agents_file: Path) -> None:
    ask(agent)
    agents_file.write_text(agents_file.read_text().replace("name-as-sentence", "no-such-model"))
    deadline = deadline_after(20)
    while (answer := ask(agent))[0] == 200:
        assert time.monotonic() < deadline, "the router did not read the file again"
    assert answer == (502, {"detail": "the model did not answer: BadRequestError"})


def test_it_ends_at_sigterm(agent: Agent) -> None:
    ask(agent)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(patient(10)) in (0, -signal.SIGTERM)
