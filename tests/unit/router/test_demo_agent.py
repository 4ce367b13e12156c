"""The demo's agent process, from its start to its last line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.router.loopback import Mount, Recorder, agents_yaml, eventually, recording

COMPLETION = {"choices": [{"message": {"content": "yes"}}], "usage": {"total_tokens": 7, "cost": 0.00002}}


@contextmanager
def agent(tmp_path: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"messages": [{"role": "user", "content": "hello"}]}\n')
    command = [
        sys.executable,
        "-m",
        "modelops.demo.agent",
        "--agent",
        "docs",
        "--requests",
        requests,
        *arguments,
    ]
    environment = {**os.environ, "ROUTER_TEST_KEY": "own-key", "MODELOPS_REPORT_TOKEN": "secret"}
    process = subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def stable_at(url: str) -> str:
    return f"agents:\n  docs:\n    model: org/base\n    endpoint_url: {url}/v1\n"


def models_asked(endpoint: Recorder) -> set[str]:
    return {body["model"] for method, _, _, body in endpoint.requests if method == "POST"}


def test_it_switches_models_without_a_restart_and_sums_up(mount: Mount, tmp_path: Path) -> None:
    with recording() as endpoint, recording() as operator:
        endpoint.answer = COMPLETION
        mount.write(stable_at(endpoint.url))
        with agent(
            tmp_path, "--file", mount.file, "--rate", 100, "--report-url", f"{operator.url}/reports"
        ) as process:
            eventually(lambda: models_asked(endpoint) == {"org/base"})
            canary = agents_yaml(weight=100, endpoint_url=f"{endpoint.url}/e/c/v1")
            mount.write(canary.replace("endpoint: huggingface\n", f"endpoint_url: {endpoint.url}/v1\n", 1))
            eventually(lambda: "tuned" in models_asked(endpoint))
            process.send_signal(signal.SIGTERM)
            out, problems = process.communicate(timeout=20)
    assert (process.returncode, problems) == (0, "")
    summary: dict[str, Any] = json.loads(out)
    assert set(summary["models"]) == {"org/base", "org/tuned"}
    assert summary["errors"] == 0
    assert ("POST", "/e/c/v1/chat/completions", "Bearer own-key") in {
        found[:3] for found in endpoint.requests
    }
    last = operator.reports[-1]["tracks"]["canary"]
    assert last["requests"] == summary["models"]["org/tuned"]["requests"]
    assert (last["tokens"], last["costMicroUSD"]) == (7 * last["requests"], 20 * last["requests"])
    assert 0 < last["sessions"] <= last["requests"]


def test_a_failing_canary_is_counted_and_stable_answers(mount: Mount, tmp_path: Path) -> None:
    with recording() as good, recording() as bad:
        good.answer, bad.status = COMPLETION, 503
        text = agents_yaml(weight=100, endpoint_url=f"{bad.url}/v1")
        mount.write(text.replace("endpoint: huggingface\n", f"endpoint_url: {good.url}/v1\n", 1))
        with agent(tmp_path, "--file", mount.file, "--rate", 100, "--count", 6, "--fallback") as process:
            out, _ = process.communicate(timeout=20)
    assert json.loads(out)["models"] == {
        "org/base": {"errors": 0, "requests": 6},
        "org/tuned": {"errors": 6, "requests": 6},
    }


def test_requests_that_are_none_are_said_so(mount: Mount, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with agent(tmp_path, "--file", mount.file, "--requests", empty) as process:
        _, problems = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "empty.jsonl holds no requests" in problems
