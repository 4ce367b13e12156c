"""The demo's agent process sends real requests through the router, without a restart."""

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
NO_API = {"url": "http://127.0.0.1:1", "namespace": "demo", "name": "agents"}


@contextmanager
def agent(folder: Path, mount: Mount, operator: Recorder) -> Iterator["subprocess.Popen[bytes]"]:
    """The process with a mounted file; its API server cannot be reached."""
    (folder / "tasks.json").write_text('["def add(a, b): ..."]')
    (folder / "watch.json").write_text(json.dumps(NO_API))
    files = {name: str(folder / f"{name}.json") for name in ("tasks", "watch", "status")}
    options = [part for name, file in files.items() for part in (f"--{name}", file)]
    environment = {
        **os.environ,
        "MODELOPS_AGENTS_FILE": str(mount.file),
        "MODELOPS_REPORT_URL": f"{operator.url}/reports",
        "ROUTER_TEST_KEY": "own-key",
    }
    command = [sys.executable, "-m", "modelops.demo.agent", "docs-1", "--rate", "200", *options]
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def models_asked(endpoint: Recorder) -> set[str]:
    return {body["model"] for method, _, _, body in endpoint.requests if method == "POST"}


def test_it_switches_models_without_a_restart_and_reports_the_outcomes(mount: Mount, tmp_path: Path) -> None:
    with recording() as endpoint, recording() as operator:
        endpoint.answer = COMPLETION
        stable = f"    endpoint_url: {endpoint.url}/v1\n"
        mount.write(agents_yaml() + stable)
        with agent(tmp_path, mount, operator) as process:
            eventually(lambda: models_asked(endpoint) == {"org/base"}, within=15)
            canary = agents_yaml(weight=100, endpoint_url=f"{endpoint.url}/e/c/v1")
            mount.write(canary.replace("    routing:\n", f"{stable}    routing:\n"))
            eventually(
                lambda: operator.reports and operator.reports[-1]["tracks"]["canary"]["requests"], within=20
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    asked = {found[:3] for found in endpoint.requests}
    assert ("POST", "/e/c/v1/chat/completions", "Bearer own-key") in asked
    tracks: dict[str, Any] = operator.reports[-1]["tracks"]
    answered = tracks["canary"]["requests"]
    assert answered > 0
    assert tracks["canary"]["errors"] == 0
    assert (tracks["canary"]["tokens"], tracks["canary"]["costMicroUSD"]) == (7 * answered, 20 * answered)
    assert 0 < tracks["canary"]["sessions"] <= answered
