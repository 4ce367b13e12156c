"""Starts a sandbox and talks to its admin address. Standard library only."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

READY_SECONDS = 30.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class SandboxInfo:
    """Where a running sandbox is, and its keys: the content of `sandbox.json`."""

    hub: str
    endpoints: str
    langsmith: str
    openrouter: str
    models: str
    admin: str
    hf_token: str
    langsmith_key: str
    openrouter_key: str
    pid: int

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads `sandbox.json`, or the one in a state folder."""
        file = path / "sandbox.json" if path.is_dir() else path
        return cls(**json.loads(file.read_text()))

    def environment(self) -> dict[str, str]:
        """The variables that send every SDK to the sandbox and to nowhere else, with the trainer of seconds."""
        return {
            "MODELOPS_SANDBOX": "1",
            "MODELOPS_TRAINER": "tiny",
            "HF_ENDPOINT": self.hub,
            "HF_TOKEN": self.hf_token,
            "HUGGINGFACE_HUB_TOKEN": self.hf_token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "MODELOPS_ENDPOINTS_URL": self.endpoints,
            "LANGSMITH_ENDPOINT": self.langsmith,
            "LANGSMITH_API_KEY": self.langsmith_key,
            "OPENROUTER_BASE_URL": self.openrouter,
            "OPENROUTER_API_KEY": self.openrouter_key,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def fault(self, service: str, kind: str, **fields: Any) -> int:
        """Puts a fault in force (fields: `sandbox.faults.Fault`) and returns its number."""
        answer = self.call("POST", "/faults", {"service": service, "kind": kind, **fields})
        return int(answer["id"])

    def break_endpoint(
        self, name: str, *, latency_ms: float = 0, error_rate: float = 0, status: int = 500
    ) -> list[int]:
        """Makes an endpoint slow, wrong, or both, until the faults are removed; returns their numbers."""
        where: dict[str, Any] = {"path_regex": f"^/e/{name}/v1/", "times": None}
        numbers = []
        if latency_ms:
            numbers.append(self.fault("models", "latency", ms=latency_ms, **where))
        if error_rate:
            numbers.append(self.fault("models", "status", status=status, rate=error_rate, **where))
        return numbers

    def remove_fault(self, number: int) -> None:
        """Takes one fault away."""
        self.call("DELETE", f"/faults/{number}")

    def clear(self) -> None:
        """Takes all faults away, also those of log streams, and releases held jobs."""
        self.call("DELETE", "/faults")
        self.log_streams()
        self.hold_jobs(held=False)

    def requests(
        self, *, service: str | None = None, method: str | None = None, path_regex: str = ""
    ) -> list[dict[str, Any]]:
        """The calls so far: `time`, `service`, `method`, `path`, `status` (0: closed without an answer)."""
        query = {"service": service, "method": method, "path_regex": path_regex}
        filters = urllib.parse.urlencode({key: value for key, value in query.items() if value})
        calls: list[dict[str, Any]] = self.call("GET", f"/requests?{filters}")["requests"]
        return calls

    def forget_requests(self) -> None:
        """Empties the log of calls."""
        self.call("DELETE", "/requests")

    def hold_jobs(self, *, held: bool = True) -> None:
        """Keeps new jobs in stage SCHEDULING, or lets them start."""
        self.call("POST", "/jobs/hold", {"held": held})

    def log_streams(self, **fields: float) -> None:
        """How logs of jobs are streamed from now on (fields: `sandbox.jobs.logs.LogStreams`); none: as usual."""
        self.call("POST", "/jobs/log-streams", fields)

    def job_billing(self) -> list[dict[str, Any]]:
        """What each job has cost: `id`, `flavor`, `labels`, `stage`, `billedSeconds`, `costMicroUSD`."""
        billing: list[dict[str, Any]] = self.call("GET", "/jobs/billing")
        return billing

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call to the admin address.

        Raises:
            urllib.error.HTTPError: the sandbox refused; its answer says why.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.admin + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with _direct.open(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None


@contextmanager
def start(
    state_dir: Path,
    *,
    profile: str = "fast",
    environ: Mapping[str, str] | None = None,
    module: str = "modelops.sandbox",
) -> Iterator[SandboxInfo]:
    """Runs a sandbox as a process of its own for the time of the block. It also ends with the caller. `module`: one
    that runs `modelops.sandbox.__main__` after changes of its own.

    Raises:
        RuntimeError: it ended or was not ready within `READY_SECONDS`; the message holds what it said.
    """
    process = _spawn(state_dir, profile, environ, stdin=subprocess.PIPE, module=module)
    try:
        yield _when_ready(process, state_dir / "sandbox.json")
    finally:
        stop(process)


def launch(
    state_dir: Path, *, profile: str = "fast", environ: Mapping[str, str] | None = None
) -> SandboxInfo:
    """Starts a sandbox that goes on when the caller ends; `shut_down` stops it.

    Raises:
        RuntimeError: as `start`.
    """
    process = _spawn(state_dir, profile, environ, stdin=subprocess.DEVNULL)
    try:
        return _when_ready(process, state_dir / "sandbox.json")
    except RuntimeError:
        stop(process)
        raise


def shut_down(state_dir: Path, *, seconds: float = 10.0) -> bool:
    """Stops the sandbox that runs on a folder; False where none does.

    Raises:
        TimeoutError: it was still there after `seconds`.
    """
    try:
        info = SandboxInfo.load(state_dir)
        info.call("POST", "/stop")
    except (FileNotFoundError, urllib.error.URLError):
        return False
    deadline = time.monotonic() + seconds
    while (state_dir / "sandbox.json").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the sandbox with process id {info.pid} did not stop within {seconds:.0f} s")
        time.sleep(0.02)
    return True


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a sandbox and waits until it is gone."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _spawn(
    state_dir: Path,
    profile: str,
    environ: Mapping[str, str] | None,
    *,
    stdin: int,
    module: str = "modelops.sandbox",
) -> subprocess.Popen[bytes]:
    state_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", module, "--state", str(state_dir), "--profile", profile]
    if stdin == subprocess.PIPE:
        command.append("--until-stdin-closes")
    with (state_dir / "sandbox.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=log,
            stderr=log,
            env=dict(os.environ if environ is None else environ),
            start_new_session=True,
        )


def _when_ready(process: subprocess.Popen[bytes], ready: Path) -> SandboxInfo:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = (ready.parent / "sandbox.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the sandbox ended with code {process.returncode} while starting:\n{said}")
        with suppress(FileNotFoundError):
            info = SandboxInfo.load(ready)
            if info.pid == process.pid:
                return info
        time.sleep(0.02)
    raise RuntimeError(f"the sandbox was not ready after {READY_SECONDS:.0f} s: {ready.parent}/sandbox.log")
