"""Many agents in one process, each with a real Router: it watches the API, reports, and counts requests on command.

`python -m tests.bench.fleet AGENT...` reads commands, one JSON list on each line, and answers each with one JSON object.
`["requests", n, [agent, ...]]` counts n good requests of new sessions of each. `["break", n, [agent, ...]]` counts n
failed ones on each canary; the answer has the time just before the first one of each agent. Each change of a routing
is printed, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.agents import finish_requests
from tests.bench.environment import REPORT_TOKEN, Environment

from modelops.router import Router, WatchConfig

_CHECK_SECONDS: Final = 0.005
_ANSWER_SECONDS: Final = 120
_ROOT = Path(__file__).parents[2]


@dataclass
class Fleet:
    """The process of many agents. `changes` has (Unix seconds, generation, weight) of each agent's changes."""

    process: Process
    changes: dict[str, list[tuple[float, int, int]]] = field(default_factory=dict)
    answers: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    async def ask(self, *command: Any) -> dict[str, Any]:
        """Sends a command and returns its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await self.answers.get()

    def stable_since(self, agent: str, moment: float) -> float | None:
        """The first time at which the agent had weight 0 after `moment`, in Unix seconds; None if there is none yet."""
        return next(
            (at for at, _, weight in self.changes.get(agent, ()) if at >= moment and weight == 0), None
        )


@asynccontextmanager
async def running_fleet(agents: Sequence[str], *, env: Environment, report_url: str) -> AsyncIterator[Fleet]:
    """Starts the agents, which watch their ConfigMaps `<agent>-agents`; they end with the block."""
    watch = WatchConfig(
        url=env.cluster.url,
        namespace=env.namespace,
        name="",
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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.fleet",
        *agents,
        stdin=PIPE,
        stdout=PIPE,
        env=environment,
        limit=2**20,
    )
    fleet = Fleet(process)
    reader = asyncio.create_task(_read(fleet))
    try:
        yield fleet
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader


async def _read(fleet: Fleet) -> None:
    assert fleet.process.stdout is not None
    async for line in fleet.process.stdout:
        message = json.loads(line)
        if "weight" in message:
            change = (message["at"], message["generation"], message["weight"])
            fleet.changes.setdefault(message["agent"], []).append(change)
        else:
            fleet.answers.put_nowait(message)


def _print(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _print_changes(routers: Mapping[str, Router]) -> None:
    """Prints each change of a routing within 5 ms; runs until the process ends."""
    known: dict[str, tuple[int, int]] = {}
    while True:
        for agent, router in routers.items():
            state = router.state()
            if known.get(agent) != (state.generation, state.weight):
                known[agent] = state.generation, state.weight
                _print(at=time.time(), agent=agent, generation=state.generation, weight=state.weight)
        time.sleep(_CHECK_SECONDS)


def main() -> None:
    """Runs the commands from stdin until it ends."""
    watch = WatchConfig(**json.loads(os.environ["BENCH_WATCH"]))
    routers = {
        agent: Router(agent, file=None, watch=watch._replace(name=f"{agent}-agents"))
        for agent in sys.argv[1:]
    }
    threading.Thread(target=_print_changes, args=(routers,), daemon=True).start()
    for line in sys.stdin:
        command, count, agents = json.loads(line)
        began = {}
        for agent in agents:
            began[agent] = time.time()
            finish_requests(routers[agent], count, ok=command == "requests", canary_only=command == "break")
            routers[agent]._report_soon()
        _print(began=began)


if __name__ == "__main__":
    main()
