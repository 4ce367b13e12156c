"""The example agent that people copy, as a process."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import patient

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "agent"


@dataclass(frozen=True)
class Agent:
    """The process of the agent, and its address."""

    process: "subprocess.Popen[bytes]"
    url: str


@contextmanager
def example_agent(**variables: str) -> Iterator[Agent]:
    """The agent with these variables in its environment."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
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
