"""Runs `python -m modelops.runtime` as a process of its own against a test's API server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.patience import patient

from modelops.adapters.kube import Connection

SERVICE_URLS = ("HF_ENDPOINT", "MODELOPS_ENDPOINTS_URL", "LANGSMITH_ENDPOINT", "OPENROUTER_BASE_URL")


@dataclass
class Operator:
    """A running operator; `lines` grows with what it logs."""

    process: Process
    state: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)

    async def wait_until(self, condition: Callable[[], Any], *, seconds: float = 30) -> Any:
        """Waits until `condition` returns a true value, and returns it; fails if the process ends or `seconds` pass before."""
        for _ in range(int(seconds / 0.05)):
            found = condition()
            if found:
                return found
            if self.process.returncode is not None:
                break
            await asyncio.sleep(0.05)
        log = "\n".join(self.raw[-40:])
        raise AssertionError(
            f"not within {patient(seconds):.0f} s (exit code {self.process.returncode})\n{log}"
        )

    async def wait_until_ready(self) -> None:
        """Waits until the operator is the leader and /readyz answers 200."""
        await self.wait_until(lambda: self.addresses().get("pid") == self.process.pid)
        await self.wait_for_status("/readyz", 200)

    async def wait_for_status(self, path: str, status: int) -> dict[str, Any]:
        """Waits until the path answers with this status; returns the JSON of the answer."""
        async with asyncio.timeout(patient(30)):
            while True:
                found, body = await self.get(path)
                if found == status:
                    answer: dict[str, Any] = json.loads(body)
                    return answer
                await asyncio.sleep(0.05)

    def addresses(self) -> dict[str, Any]:
        """The addresses of the operator's ports, from its state file; empty before it has written the file."""
        try:
            found: dict[str, Any] = json.loads((self.state / "operator.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text that the management port answers for this path."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.addresses()["metrics"] + path) as answer,
        ):
            return answer.status, await answer.text()

    def has_logged(self, text: str) -> bool:
        """Whether a log line has this text."""
        return any(text in line for line in self.raw)

    async def wait_for_exit(self, *, seconds: float = 30) -> int:
        """Waits until the process ends; returns its exit code."""
        async with asyncio.timeout(patient(seconds)):
            return await self.process.wait()


def kubeconfig_through(connection: Connection, url: str, path: Path, *, namespace: str) -> Path:
    """Writes a kubeconfig of the same user that connects through a proxy's http:// address."""
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": connection.token_value}}],
    }
    path.write_text(json.dumps(config))
    return path


@asynccontextmanager
async def operator(
    kubeconfig: Path, state: Path, *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Operator]:
    """Starts an operator; it is killed at the end of the block if it still runs."""
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "PYTHONPATH") if key in os.environ}
    environment = {
        **inherited,
        **dict.fromkeys(SERVICE_URLS, "http://127.0.0.1:9"),
        "MODELOPS_SANDBOX": "1",
        "KUBECONFIG": str(kubeconfig),
        "MODELOPS_STATE_DIR": str(state),
        "MODELOPS_HUB_ORG": "code-chef",
        "MODELOPS_METRICS_PORT": "0",
        "MODELOPS_REPORT_PORT": "0",
        "MODELOPS_REPORT_TOKEN": "a-shared-secret-of-the-test",
        "MODELOPS_WATCH_NAMESPACES": _namespace_of(kubeconfig),
        **(environ or {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modelops.runtime", env=environment, stderr=PIPE
    )
    running = Operator(process, state)
    log_reader = asyncio.create_task(_read_log(running))
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await log_reader


def _namespace_of(kubeconfig: Path) -> str:
    """The kubeconfig's namespace. The operator watches only this one, because tests share the API server."""
    context: dict[str, Any] = json.loads(kubeconfig.read_text())["contexts"][0]["context"]
    return str(context["namespace"])


async def _read_log(running: Operator) -> None:
    assert running.process.stderr is not None
    async for line in running.process.stderr:
        text = line.decode().rstrip()
        running.raw.append(text)
        if text.startswith("{"):
            running.lines.append(json.loads(text))
