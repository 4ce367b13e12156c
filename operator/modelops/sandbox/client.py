"""Starts a sandbox, and calls its admin address. It uses only the standard library."""

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
_opener_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class SandboxInfo:
    """The addresses and API keys of a running sandbox: the content of `sandbox.json`."""

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
        """Read a `sandbox.json`, or the one in a state folder. Raises FileNotFoundError if no sandbox runs there."""
        file = path / "sandbox.json" if path.is_dir() else path
        return cls(**json.loads(file.read_text()))

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make every SDK use the sandbox, and training jobs the tiny trainer."""
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
        """Add a fault (fields: `sandbox.faults.Fault`) and return its number."""
        answer = self.call("POST", "/faults", {"service": service, "kind": kind, **fields})
        return int(answer["id"])

    def break_endpoint(
        self, name: str, *, latency_ms: float = 0, error_rate: float = 0, status: int = 500
    ) -> list[int]:
        """Make an endpoint slow, failing, or both, until the faults are removed; return their numbers."""
        target: dict[str, Any] = {"path_regex": f"^/e/{name}/v1/", "times": None}
        numbers = []
        if latency_ms:
            numbers.append(self.fault("models", "latency", ms=latency_ms, **target))
        if error_rate:
            numbers.append(self.fault("models", "status", status=status, rate=error_rate, **target))
        return numbers

    def remove_fault(self, number: int) -> None:
        """Remove one fault."""
        self.call("DELETE", f"/faults/{number}")

    def clear(self) -> None:
        """Remove all faults, reset log streams, and let held jobs start."""
        self.call("DELETE", "/faults")
        self.log_streams()
        self.hold_jobs(held=False)

    def requests(
        self, *, service: str | None = None, method: str | None = None, path_regex: str = ""
    ) -> list[dict[str, Any]]:
        """Return the calls so far: `time`, `service`, `method`, `path`, `status` (0: closed without a response)."""
        query = {"service": service, "method": method, "path_regex": path_regex}
        filters = urllib.parse.urlencode({key: value for key, value in query.items() if value})
        calls: list[dict[str, Any]] = self.call("GET", f"/requests?{filters}")["requests"]
        return calls

    def forget_requests(self) -> None:
        """Delete the log of calls."""
        self.call("DELETE", "/requests")

    def hold_jobs(self, *, held: bool = True) -> None:
        """Keep jobs in the stage SCHEDULING, or let them start."""
        self.call("POST", "/jobs/hold", {"held": held})

    def log_streams(self, **fields: float) -> None:
        """Set how job logs are streamed (fields: `sandbox.jobs.logs.LogStreams`). Without fields: the normal way."""
        self.call("POST", "/jobs/log-streams", fields)

    def job_billing(self) -> list[dict[str, Any]]:
        """Return the billing of each job: `id`, `flavor`, `labels`, `stage`, `billedSeconds`, `costMicroUSD`."""
        billing: list[dict[str, Any]] = self.call("GET", "/jobs/billing")
        return billing

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request to the admin address and return its JSON, or None.

        Raises:
            urllib.error.HTTPError: the sandbox refused the request; the body says why.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.admin + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with _opener_without_proxy.open(request, timeout=30) as response:
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
    """Run a sandbox in its own process for the length of a `with` block. It also ends when the caller ends.

    `module`: the module to run; a test may name one that changes something and then runs `modelops.sandbox.__main__`.

    Raises:
        RuntimeError: it ended, or was not ready within `READY_SECONDS`; the message has the end of its log.
    """
    process = _spawn(state_dir, profile, environ, stdin=subprocess.PIPE, module=module)
    try:
        yield _wait_until_ready(process, state_dir / "sandbox.json")
    finally:
        stop(process)


def launch(
    state_dir: Path, *, profile: str = "fast", environ: Mapping[str, str] | None = None
) -> SandboxInfo:
    """Start a sandbox that keeps running when the caller ends; `shut_down` stops it.

    Raises:
        RuntimeError: as in `start`.
    """
    process = _spawn(state_dir, profile, environ, stdin=subprocess.DEVNULL)
    try:
        return _wait_until_ready(process, state_dir / "sandbox.json")
    except RuntimeError:
        stop(process)
        raise


def shut_down(state_dir: Path, *, seconds: float = 10.0) -> bool:
    """Stop the sandbox that runs on a state folder. Returns False if none runs.

    Raises:
        TimeoutError: it still ran after `seconds`.
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
    """Stop a sandbox process and wait until it has ended."""
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


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path) -> SandboxInfo:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log = (ready.parent / "sandbox.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the sandbox ended with code {process.returncode} while starting:\n{log}")
        with suppress(FileNotFoundError):
            info = SandboxInfo.load(ready)
            if info.pid == process.pid:
                return info
        time.sleep(0.02)
    raise RuntimeError(
        f"the sandbox was not ready after {READY_SECONDS:.0f} s: see {ready.parent}/sandbox.log"
    )
