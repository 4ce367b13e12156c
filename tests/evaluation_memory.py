"""The most memory that an evaluation has used, by the number of its examples. Linux only, since the kernel counts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

PROGRAM = """
import sys
from pathlib import Path
from modelops.evaluation.evaluate import evaluate
from modelops.workdir import run_program

code = run_program(evaluate, Path(sys.argv[1]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1], flush=True)
sys.exit(code)
"""
"""The peak is read inside the program: what the kernel gives a parent has the parent's own peak in it."""

MODELS = """
import asyncio, json, re, sys

SECONDS, CHARACTERS = float(sys.argv[1]), int(sys.argv[2])

class Models(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.received = transport, b""

    def data_received(self, data):
        self.received += data
        head, end, body = self.received.partition(b"\\r\\n\\r\\n")
        length = re.search(rb"(?i)content-length: *(\\d+)", head)
        if end and length and len(body) >= int(length[1]):
            self.received = b""
            asyncio.get_running_loop().call_later(SECONDS, self.answer, body)

    def answer(self, body):
        asked = json.loads(body)["messages"][-1]["content"] if CHARACTERS else ""
        text = f"{asked[:20]} {'word ' * (CHARACTERS // 5)}" if CHARACTERS else "yes"
        answer = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": {
            "prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20, "cost": 0.000012}, "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}).encode()
        head = f"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: {len(answer)}\\r\\n\\r\\n"
        self.transport.write(head.encode() + answer)

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Models, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""
"""A lean server: on two cores its own time would lengthen the calls that are measured."""


@contextmanager
def models(*, seconds: float = 0.0, characters: int = 0) -> Iterator[str]:
    """The address of a service that answers each call after so many seconds, with a text of that length or "yes"."""
    process = subprocess.Popen(
        [sys.executable, "-c", MODELS, str(seconds), str(characters)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait()


def write_dataset(folder: Path, *, dataset_id: str, as_of: str, ids: list[str], characters: int) -> None:
    """The files of a dataset that was downloaded, with so many characters in each question and half of it in the
    expected answer."""
    with (folder / "source.jsonl").open("w") as file:
        for number, example in enumerate(ids):
            document = example_of(number, characters)
            file.write(json.dumps({"id": example, "source_run": "", **document}) + "\n")
    version = {"dataset_id": dataset_id, "name": "memory", "as_of": as_of, "count": len(ids), "licence": ""}
    (folder / "source.json").write_text(json.dumps(version))


def example_of(number: int, characters: int) -> dict[str, Any]:
    """One example, which differs from the others."""
    return {
        "inputs": {"task": f"question {number} {'asks ' * (characters // 5)}"},
        "outputs": {"text": f"answer {number} {'says ' * (characters // 10)}"},
        "metadata": {"kind": str(number % 5), "ticket": f"T-{number}"},
    }


def example_ids(count: int) -> list[str]:
    """New ids of examples, in order."""
    return sorted(str(uuid4()) for _ in range(count))


def peak_mb(folder: Path, *, address: str, environment: Mapping[str, str], **changes: Any) -> float:
    """Evaluates the dataset that was written into the folder; returns the program's peak of resident memory in MB."""
    arm = {"model": "m", "base_url": address, "api_key_env": "MEMORY_KEY", "service": "huggingface"}
    request = {
        "v": 1,
        "rollout": f"memory-{folder.name}",
        "agent": "docs",
        "dataset": "ls://memory",
        "arms": {"baseline": {**arm, "version": "v1"}, "candidate": {**arm, "version": "v2"}},
        "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"},
        "scorer": {"type": "tokenF1", "threshold": "0.2"},
        "margin_points": "5",
        "goal": "nonInferior",
        "concurrency": 32,
        "record_seconds": 0,
        **changes,
    }
    (folder / "input.json").write_text(json.dumps(request))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MEMORY_KEY": "sk-x", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{done.stderr}\n{(folder / 'result.json').read_text()}")
    return int(done.stdout) * 1024 / 1e6
