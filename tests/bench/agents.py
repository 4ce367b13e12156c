"""Agent processes with a real Router, which watches the API, reports to the operator and counts requests on command.

`python -m tests.bench.agents AGENT` reads commands, one JSON list on each line, and prints one JSON object on each
line. `["requests", n, ok]` counts n finished requests of new sessions. `["break", n]` counts n failed requests on the
canary, then sends a report at once; the answer has the time just before it. Each change of the routing is printed too.
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

from tests.bench.environment import REPORT_TOKEN, Environment

from modelops.router import Router, WatchConfig

_CHECK_SECONDS = 0.002
_ROOT = Path(__file__).parents[2]


@dataclass
class AgentProcess:
    """One agent process. `changes` has (Unix seconds, generation, weight) of each change since its start."""

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
        """The first time at weight 0 after `moment`, in Unix seconds; None if there is none yet."""
        return next((at for at, _, weight in self.changes if at >= moment and weight == 0), None)


@asynccontextmanager
async def agent_processes(
    agent: str, *, count: int, env: Environment, report_url: str
) -> AsyncIterator[list[AgentProcess]]:
    """Starts agent processes that watch the ConfigMap `<agent>-agents`; they end with the block."""
    watch = WatchConfig(
        url=env.cluster.url,
        namespace=env.namespace,
        name=f"{agent}-agents",
        ca_file=str(env.cluster.ca_file),
        token=env.cluster.token,
    )
    environment = {
        **os.environ,
        **env.sandbox.environment(),
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
            readers.append(asyncio.create_task(_read_messages(agents[-1])))
        yield agents
    finally:
        for agent_process in agents:
            if agent_process.process.returncode is None:
                agent_process.process.kill()
            await agent_process.process.wait()
        await asyncio.gather(*readers)


async def _read_messages(agent: AgentProcess) -> None:
    assert agent.process.stdout is not None
    async for line in agent.process.stdout:
        message = json.loads(line)
        if "weight" in message:
            agent.changes.append((message["at"], message["generation"], message["weight"]))
        else:
            agent.answers.put_nowait(message)


def print_routing_changes(router: Router) -> None:
    """Prints each change of the routing within 2 ms; runs until the process ends."""
    known: tuple[int, int] | None = None
    while True:
        state = router.state()
        if (state.generation, state.weight) != known:
            known = state.generation, state.weight
            _print_json(at=time.time(), generation=state.generation, weight=state.weight)
        time.sleep(_CHECK_SECONDS)


def finish_requests(router: Router, count: int, *, ok: bool, canary_only: bool = False) -> None:
    """Counts finished requests in the router, each of a new session."""
    while count > 0:
        route = router.pick(uuid.uuid4().hex)
        if canary_only and route.track != "canary":
            continue
        router.observe(route, ok=ok, latency_ms=20.0)
        count -= 1


def _print_json(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Runs the commands from stdin until it ends."""
    router = Router(sys.argv[1], watch=WatchConfig(**json.loads(os.environ["BENCH_WATCH"])))
    router.wait_ready(30)
    threading.Thread(target=print_routing_changes, args=(router,), daemon=True).start()
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        if command == "requests":
            finish_requests(router, arguments[0], ok=arguments[1])
            router._report_soon()
            _print_json(at=time.time())
        elif command == "break":
            finish_requests(router, arguments[0], ok=False, canary_only=True)
            at = time.time()
            router._report_soon()
            _print_json(at=at)


if __name__ == "__main__":
    main()
