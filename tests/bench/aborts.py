"""Row 3: from the report that shows a breach to the routing, and to every agent process on stable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from tests.bench.agents import AgentProcess, agent_processes
from tests.bench.hub_content import add_models
from tests.bench.operators import INSTANT, operator
from tests.bench.recording_proxy import RecordingProxy, recording_proxy
from tests.bench.stage import Stage, eventually
from tests.bench.table import Row, milliseconds, quantile

from modelops.api.v1alpha1.names import record_name
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import ROLLOUTS
from modelops.ports import Json

AGENTS = ("docs", "review", "cicd", "infra")
ROUNDS = 6
PROCESSES = 3
ERRORS = 40
PAUSE_SECONDS = 0.5
"""After an abort, so that its last writes are not in the way of the next one."""
WRITTEN_SECONDS, STABLE_SECONDS = 0.2, 1.0


@dataclass(frozen=True, kw_only=True)
class Abort:
    """Seconds from the breach of one rollout."""

    written: float
    stable: float


async def measure(stage: Stage) -> list[Row]:
    """One row up to the routing, one up to the agents."""
    candidates = await asyncio.to_thread(add_models, stage, len(AGENTS) * ROUNDS)
    aborts: list[Abort] = []
    async with AsyncExitStack() as running:
        proxy, config = await running.enter_async_context(
            recording_proxy(stage.connection, stage.folder, namespace=stage.namespace)
        )
        started = await running.enter_async_context(operator(stage, module=INSTANT, kubeconfig=config))
        reports, processes = started.addresses["reports"], {}
        for agent in AGENTS:
            await stage.add_agent(agent)
            processes[agent] = await running.enter_async_context(
                agent_processes(agent, count=PROCESSES, stage=stage, report_url=reports)
            )
            await eventually(partial(_has_record, stage, agent), what=f"the record of {agent}")
        for number in range(ROUNDS):
            names = {agent: f"{agent}-{number}" for agent in AGENTS}
            for agent, name in names.items():
                await stage.create(ROLLOUTS, name, spec=_spec(agent, *candidates.pop()))
            for agent, name in names.items():
                await _under_way(stage, name, processes[agent])
            for agent in AGENTS:
                aborts.append(await _abort(stage, proxy, agent, processes[agent]))
                await eventually(partial(_over, stage, names[agent]), what=f"{names[agent]} is aborted")
                await asyncio.sleep(PAUSE_SECONDS)
    written, stable = [abort.written for abort in aborts], [abort.stable for abort in aborts]
    return [
        Row(
            what="breach -> routing written",
            measured=milliseconds(written),
            limit="p99 < 200 ms",
            over=quantile(written, 0.99) >= WRITTEN_SECONDS,
            notes=(
                "from just before an agent process sends the report with the errors; one is sent every 5 s",
            ),
        ),
        Row(
            what="breach -> every agent process on stable",
            measured=milliseconds(stable),
            limit="p99 < 1000 ms",
            over=quantile(stable, 0.99) >= STABLE_SECONDS,
            notes=(f"{len(AGENTS)} agents of {PROCESSES} processes each with a router that watches the API",),
        ),
    ]


async def _under_way(stage: Stage, name: str, processes: Sequence[AgentProcess]) -> None:
    """The canary has its traffic, and the rollout watches it."""

    status: Json = {}

    async def watching() -> bool:
        nonlocal status
        item = await stage.kube.get(ROLLOUTS, stage.namespace, name)
        status = (item or {}).get("status") or {}
        if status.get("phase") in ("Failed", "Rejected", "Aborted", "Succeeded"):
            raise RuntimeError(f"{name} ended as {status['phase']}: {status.get('reason')}")
        return bool(status.get("reason") == "Watching")

    try:
        await eventually(watching, what=f"{name} watches its canary")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {status.get('reason')}") from error
    for process in processes:
        await process.ask("requests", 200, True)


async def _abort(stage: Stage, proxy: RecordingProxy, agent: str, processes: Sequence[AgentProcess]) -> Abort:
    answer = await processes[0].ask("break", ERRORS)
    breach: float = answer["at"]

    async def written() -> float | None:
        done = (w.at for w in proxy.writes if w.name == f"{agent}-agents" and w.at > breach)
        return next(done, None)

    async def stable() -> list[float] | None:
        moments = [process.stable_since(breach) for process in processes]
        return None if None in moments else [moment for moment in moments if moment is not None]

    at = await eventually(written, what="the routing", seconds=20)
    moments = await eventually(stable, what="every agent on stable", seconds=20)
    return Abort(written=at - breach, stable=max(moments) - breach)


async def _over(stage: Stage, name: str) -> bool:
    item = await stage.kube.get(ROLLOUTS, stage.namespace, name)
    phase = ((item or {}).get("status") or {}).get("phase")
    if phase not in (None, "Progressing", "Aborted"):
        raise RuntimeError(f"{name} is {phase}")
    return bool(phase == "Aborted")


async def _has_record(stage: Stage, agent: str) -> bool:
    return await stage.kube.get(CONFIG_MAPS, stage.namespace, record_name(agent)) is not None


def _spec(agent: str, repo: str, revision: str) -> Json:
    return {
        "agentModelRef": {"name": agent},
        "candidate": {"model": {"repo": repo, "revision": revision}},
        "maxUSD": "9",
        "evaluation": {"scorer": {"type": "tokenF1", "threshold": "0.35"}},
        "strategy": {
            "canary": {"steps": [{"setWeight": 20}, {"pause": {"durationSeconds": 600}}, {"setWeight": 100}]}
        },
        "analysis": {"minRequests": 20},
        "progressDeadlineSeconds": 1200,
    }
