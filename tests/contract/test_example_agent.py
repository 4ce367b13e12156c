"""The example agent that people copy, as a process, against the models of the sandbox."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.patience import deadline_after, patient

from modelops.sandbox.client import SandboxInfo

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "agent"


@pytest.fixture
def agents_file(sandbox: SandboxInfo, tmp_path: Path) -> Path:
    file = tmp_path / "agents.yaml"
    file.write_text(
        "agents:\n  docs:\n    model: modelops-sandbox/name-as-sentence\n    endpoint: openrouter\n"
        f"    endpoint_url: {sandbox.openrouter}\n    api_key_env: OPENROUTER_API_KEY\n    version: v1.0.0\n"
    )
    return file


@dataclass(frozen=True)
class Agent:
    """The process of the agent, and its address."""

    process: "subprocess.Popen[bytes]"
    url: str

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The status and the body of an answer in a session."""
        body = json.dumps({"messages": [{"role": "user", "content": "def read_lines(path): ..."}]}).encode()
        request = Request(f"{self.url}/sessions/one/chat", body, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=patient(10)) as reply:
                return reply.status, json.load(reply)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture
def agent(sandbox: SandboxInfo, agents_file: Path) -> Iterator[Agent]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MODELOPS_AGENTS_FILE": str(agents_file),
        "OPENROUTER_API_KEY": sandbox.openrouter_key,
    }
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as server:  # It queues what is asked before the agent has started.
        command = [sys.executable, "-m", "uvicorn", "agent:app", "--fd", str(server.fileno())]
        process = subprocess.Popen(command, cwd=FOLDER, env=environment, pass_fds=[server.fileno()])
        try:
            yield Agent(process, f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            process.terminate()
            process.wait(patient(10))


def test_it_answers_with_the_model_of_the_file_and_says_which(agent: Agent) -> None:
    assert agent.ask() == (200, {"answer": "Read lines.", "version": "v1.0.0", "track": "stable"})


def test_a_model_that_fails_is_a_bad_gateway_without_its_words(agent: Agent, agents_file: Path) -> None:
    agent.ask()
    agents_file.write_text(agents_file.read_text().replace("name-as-sentence", "no-such-model"))
    deadline = deadline_after(20)
    while (answer := agent.ask())[0] == 200:
        assert time.monotonic() < deadline, "the router did not read the file again"
    assert answer == (502, {"detail": "the model did not answer: BadRequestError"})


def test_it_ends_at_sigterm(agent: Agent) -> None:
    agent.ask()
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(patient(10)) in (0, -signal.SIGTERM)
