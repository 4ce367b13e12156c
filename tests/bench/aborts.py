"""The row aborts: time from the report that shows a breach to the write of the routing, and to all agents on stable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from tests.bench.agents import AgentProcess, agent_processes
from tests.bench.environment import Environment, wait_until
from tests.bench.hub_content import add_models
from tests.bench.operators import INSTANT_PROGRAMS, operator
from tests.bench.recording_proxy import RecordingProxy, recording_proxy
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
"""Pause after an abort, so that its last writes do not delay the next one."""
WRITTEN_SECONDS, STABLE_SECONDS = 0.2, 1.0


@dataclass(frozen=True, kw_only=True)
class AbortTimes:
    """Seconds from the breach of one rollout to each event."""

    routing_written: float
    all_stable: float


async def measure(env: Environment) -> list[Row]:
    """One row for the write of the routing, one for the agents."""
    candidates = await asyncio.to_thread(add_models, env, len(AGENTS) * ROUNDS)
    aborts: list[AbortTimes] = []
    async with AsyncExitStack() as running:
        proxy, config = await running.enter_async_context(
            recording_proxy(env.connection, env.folder, namespace=env.namespace)
        )
        started = await running.enter_async_context(operator(env, module=INSTANT_PROGRAMS, kubeconfig=config))
        reports, processes = started.addresses["reports"], {}
        for agent in AGENTS:
            await env.add_agent(agent)
            processes[agent] = await running.enter_async_context(
                agent_processes(agent, count=PROCESSES, env=env, report_url=reports)
            )
            await wait_until(partial(_has_record, env, agent), expected=f"the record of {agent}")
        for number in range(ROUNDS):
            names = {agent: f"{agent}-{number}" for agent in AGENTS}
            for agent, name in names.items():
                await env.create(ROLLOUTS, name, spec=_spec(agent, *candidates.pop()))
            for agent, name in names.items():
                await _wait_until_watching(env, name, processes[agent])
            for agent in AGENTS:
                aborts.append(await _abort(env, proxy, agent, processes[agent]))
                await wait_until(
                    partial(_is_aborted, env, names[agent]), expected=f"{names[agent]} is aborted"
                )
                await asyncio.sleep(PAUSE_SECONDS)
    routing_written = [abort.routing_written for abort in aborts]
    all_stable = [abort.all_stable for abort in aborts]
    return [
        Row(
            name="breach -> routing written",
            measured=milliseconds(routing_written),
            limit="p99 < 200 ms",
            limit_missed=quantile(routing_written, 0.99) >= WRITTEN_SECONDS,
            notes=(
                "from just before an agent process sends the report with the errors; one is sent every 5 s",
            ),
        ),
        Row(
            name="breach -> every agent process on stable",
            measured=milliseconds(all_stable),
            limit="p99 < 1000 ms",
            limit_missed=quantile(all_stable, 0.99) >= STABLE_SECONDS,
            notes=(f"{len(AGENTS)} agents of {PROCESSES} processes each with a router that watches the API",),
        ),
    ]


async def _wait_until_watching(env: Environment, name: str, processes: Sequence[AgentProcess]) -> None:
    """Waits until the rollout watches its canary, and gives the canary traffic."""

    status: Json = {}

    async def watching() -> bool:
        nonlocal status
        item = await env.kube.get(ROLLOUTS, env.namespace, name)
        status = (item or {}).get("status") or {}
        if status.get("phase") in ("Failed", "Rejected", "Aborted", "Succeeded"):
            raise RuntimeError(f"{name} ended as {status['phase']}: {status.get('reason')}")
        return bool(status.get("reason") == "Watching")

    try:
        await wait_until(watching, expected=f"{name} watches its canary")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {status.get('reason')}") from error
    for process in processes:
        await process.ask("requests", 200, True)


async def _abort(
    env: Environment, proxy: RecordingProxy, agent: str, processes: Sequence[AgentProcess]
) -> AbortTimes:
    answer = await processes[0].ask("break", ERRORS)
    breach: float = answer["at"]

    async def routing_written() -> float | None:
        writes = (w.at for w in proxy.writes if w.name == f"{agent}-agents" and w.at > breach)
        return next(writes, None)

    async def all_stable() -> list[float] | None:
        moments = [process.stable_since(breach) for process in processes]
        return None if None in moments else [moment for moment in moments if moment is not None]

    written_at = await wait_until(routing_written, expected="the routing", seconds=20)
    moments = await wait_until(all_stable, expected="every agent on stable", seconds=20)
    return AbortTimes(routing_written=written_at - breach, all_stable=max(moments) - breach)


async def _is_aborted(env: Environment, name: str) -> bool:
    item = await env.kube.get(ROLLOUTS, env.namespace, name)
    phase = ((item or {}).get("status") or {}).get("phase")
    if phase not in (None, "Progressing", "Aborted"):
        raise RuntimeError(f"{name} is {phase}")
    return bool(phase == "Aborted")


async def _has_record(env: Environment, agent: str) -> bool:
    return await env.kube.get(CONFIG_MAPS, env.namespace, record_name(agent)) is not None


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
