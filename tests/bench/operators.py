"""Runs an operator as a process that watches one namespace."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.environment import ORG, REPORT_TOKEN, Environment, wait_until

REAL_OPERATOR = "modelops.runtime"
INSTANT_PROGRAMS = "tests.bench.instant_operator"
_ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 15.0


@dataclass
class Operator:
    """A running operator; `lines` grows with what it logs."""

    process: Process
    state: Path
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def addresses(self) -> dict[str, Any]:
        """The operator's addresses: `metrics` and `reports`."""
        found: dict[str, Any] = json.loads((self.state / "operator.json").read_text())
        return found

    async def is_leading(self) -> bool:
        """Whether the operator is the leader. Raises RuntimeError if its process has ended."""
        if self.process.returncode is not None:
            log = "\n".join(str(line.get("msg", line)) for line in self.lines[-10:])
            raise RuntimeError(f"the operator ended with code {self.process.returncode}:\n{log}")
        file = self.state / "operator.json"
        return file.exists() and self.addresses["pid"] == self.process.pid

    async def stop(self) -> None:
        """Ends the operator with SIGTERM, and with SIGKILL if that takes longer than 15 s."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def operator(
    env: Environment,
    *,
    module: str = REAL_OPERATOR,
    kubeconfig: Path | None = None,
    python: str = sys.executable,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Operator]:
    """Starts an operator in the row's namespace and waits until it leads; it is stopped at the end of the block."""
    inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    state = env.folder / "operator"
    environment = {
        **inherited,
        **env.sandbox.environment(),
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "operator"))),
        "KUBECONFIG": str(kubeconfig or env.cluster.kubeconfig),
        "MODELOPS_STATE_DIR": str(state),
        "MODELOPS_METRICS_PORT": "0",
        "MODELOPS_REPORT_PORT": "0",
        "MODELOPS_REPORT_TOKEN": REPORT_TOKEN,
        "MODELOPS_HUB_ORG": ORG,
        "MODELOPS_NAMESPACE": env.namespace,
        "MODELOPS_WATCH_NAMESPACES": env.namespace,
        "LANGSMITH_API_KEY": "",
        **(environ or {}),
    }
    process = await asyncio.create_subprocess_exec(
        python, "-m", module, env=environment, stderr=PIPE, limit=2**20
    )
    running = Operator(process, state)
    log_reader = asyncio.create_task(_read_log(running))
    try:
        await wait_until(running.is_leading, expected="the operator leads", seconds=30)
        yield running
    finally:
        await running.stop()
        await log_reader


async def _read_log(running: Operator) -> None:
    assert running.process.stderr is not None
    log = running.state.parent / "operator.log"
    with log.open("ab") as file:
        async for line in running.process.stderr:
            file.write(line)
            text = line.decode(errors="replace").strip()
            running.lines.append(json.loads(text) if text.startswith("{") else {"msg": text})
