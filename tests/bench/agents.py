"""Agent processes that hold a real Router: API watch, reports to the operator, traffic as asked for.

`python -m tests.bench.agents AGENT` reads commands, a JSON list a line, and prints a JSON object a line.
`["requests", n, ok]`: n finished requests of new sessions. `["break", n]`: n failed ones on the canary, then
a report at once, answered with the moment before it. Each change of the routing is printed by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.stage import REPORT_TOKEN, Stage

from modelops.router import Router, WatchConfig

_LOOK_SECONDS = 0.002
_ROOT = Path(__file__).parents[2]


@dataclass
class AgentProcess:
    """One of the processes. `changes`: (Unix seconds, generation, weight) since its start."""

    process: Process
    changes: list[tuple[float, int, int]] = field(default_factory=list)
    answers: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    async def ask(self, *command: Any) -> dict[str, Any]:
        """Sends a command and returns its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()
        async with asyncio.timeout(15):
            return await self.answers.get()

    def stable_since(self, moment: float) -> float | None:
        """When it first was at weight 0 after a moment; None where it is not yet."""
        return next((at for at, _, weight in self.changes if at >= moment and weight == 0), None)


@asynccontextmanager
async def agent_processes(
    agent: str, *, count: int, stage: Stage, report_url: str
) -> AsyncIterator[list[AgentProcess]]:
    """Running agents that watch the ConfigMap `<agent>-agents`; ended with the block."""
    watch = WatchConfig(
        url=stage.cluster.url,
        namespace=stage.namespace,
        name=f"{agent}-agents",
        ca_file=str(stage.cluster.ca_file),
        token=stage.cluster.token,
    )
    environment = {
        **os.environ,
        **stage.sandbox.environment(),
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "operator"))),
        "MODELOPS_REPORT_URL": report_url,
        "MODELOPS_REPORT_TOKEN": REPORT_TOKEN,
        "BENCH_WATCH": json.dumps(watch._asdict()),
    }
    agents: list[AgentProcess] = []
    readers: list[asyncio.Task[None]] = []
    try:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.bench.agents", agent, stdin=PIPE, stdout=PIPE, env=environment
            )
            agents.append(AgentProcess(process))
            readers.append(asyncio.create_task(_read(agents[-1])))
        yield agents
    finally:
        for one in agents:
            if one.process.returncode is None:
                one.process.kill()
            await one.process.wait()
        await asyncio.gather(*readers)


async def _read(agent: AgentProcess) -> None:
    assert agent.process.stdout is not None
    async for line in agent.process.stdout:
        said = json.loads(line)
        if "weight" in said:
            agent.changes.append((said["at"], said["generation"], said["weight"]))
        else:
            agent.answers.put_nowait(said)


def follow(router: Router) -> None:
    """Prints each change of the routing, within 2 ms; ends with the process."""
    known: tuple[int, int] | None = None
    while True:
        state = router.state()
        if (state.generation, state.weight) != known:
            known = state.generation, state.weight
            _say(at=time.time(), generation=state.generation, weight=state.weight)
        time.sleep(_LOOK_SECONDS)


def requests(router: Router, count: int, *, ok: bool, canary_only: bool = False) -> None:
    """Finished requests, each of a session of its own."""
    while count > 0:
        route = router.pick(uuid.uuid4().hex)
        if canary_only and route.track != "canary":
            continue
        router.observe(route, ok=ok, latency_ms=20.0)
        count -= 1


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Until stdin ends."""
    router = Router(sys.argv[1], watch=WatchConfig(**json.loads(os.environ["BENCH_WATCH"])))
    router.wait_ready(30)
    threading.Thread(target=follow, args=(router,), daemon=True).start()
    for line in sys.stdin:
        command, *given = json.loads(line)
        if command == "requests":
            requests(router, given[0], ok=given[1])
            router._report_soon()
            _say(at=time.time())
        elif command == "break":
            requests(router, given[0], ok=False, canary_only=True)
            at = time.time()
            router._report_soon()
            _say(at=at)


if __name__ == "__main__":
    main()
