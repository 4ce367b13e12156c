"""The row restart: an operator's writes when it starts again and none of a hundred objects has changed."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.bench.agents import AgentProcess, agent_processes
from tests.bench.environment import Environment, training_run_spec, wait_until
from tests.bench.hub_content import add_dataset, add_models
from tests.bench.operators import INSTANT_PROGRAMS, operator
from tests.bench.recording_proxy import Write, recording_proxy
from tests.bench.table import Row

from modelops.api.v1alpha1.names import record_name
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.free_port import free_port
from modelops.ports import Json

AGENTS = ("docs", "review", "cicd", "infra")
TRAINED, FAILED, CANCELLED, WAITING = 6, 12, 12, 60
POLL_SECONDS = 1
WATCHED_SECONDS = 15.0
QUIET_SECONDS = 8.0


async def measure(env: Environment) -> list[Row]:
    """Creates the objects, stops the operator, starts it again and counts its writes."""
    dataset = await asyncio.to_thread(add_dataset, env)
    models = await asyncio.to_thread(add_models, env, 3)
    environ = {
        "MODELOPS_BENCH_DATASET": dataset,
        "MODELOPS_REPORT_PORT": str(free_port()),
        "MODELOPS_POLL_SECONDS": str(POLL_SECONDS),
    }
    reports = f"http://127.0.0.1:{environ['MODELOPS_REPORT_PORT']}/v1/report"
    async with (
        agent_processes(AGENTS[0], count=1, env=env, report_url=reports),
        agent_processes(AGENTS[1], count=3, env=env, report_url=reports) as agents,
    ):
        async with operator(env, module=INSTANT_PROGRAMS, environ=environ):
            await _make_agents(env)
            await _make_rollouts(env, models, agents)
            await _make_runs(env)
            phases = await _wait_until_unchanged(env)
        env.sandbox.forget_requests()
        async with (
            recording_proxy(env.connection, env.folder, namespace=env.namespace) as (
                proxy,
                config,
            ),
            operator(env, environ=environ, kubeconfig=config),
        ):
            await asyncio.sleep(WATCHED_SECONDS)
            written = list(proxy.writes)
            polls = await asyncio.to_thread(
                env.sandbox.requests, service="hub", method="GET", path_regex="stage=SCHEDULING"
            )
    after = await _phases(env)
    counted = [write for write in written if write.resource not in ("leases", "events")]
    count = sum(phases.values()) + len(AGENTS)
    notes = [
        f"{count} objects: {len(AGENTS)} AgentModels, "
        + ", ".join(f"{n} {p}" for p, n in sorted(phases.items())),
        f"watched for {WATCHED_SECONDS:.0f} s: {len(polls)} lists of jobs, {_count_events(written)} Events, "
        + ("phases unchanged" if after == phases else f"then {after}"),
        *(
            f"{write.method} {write.resource} {write.name} {_phase_and_reason(write)}"
            for write in counted[:12]
        ),
    ]
    return [
        Row(
            name="restart with 100 objects",
            measured=f"{len(counted)} API writes",
            limit="0 besides the lease",
            peer=f"{len(written) - len(counted) - _count_events(written)} of the lease",
            limit_missed=bool(counted),
            notes=tuple(notes),
        )
    ]


async def _make_agents(env: Environment) -> None:
    """Creates the AgentModels, and trains the first models."""
    for agent in AGENTS:
        await env.add_agent(agent)
    await wait_until(lambda: _have_records(env), expected="the records of the AgentModels")
    for number in range(TRAINED):
        await _run(env, f"trained-{number}", AGENTS[number % 4])
    await wait_until(lambda: _have_phase(env, "Succeeded", TRAINED), expected=f"{TRAINED} models")


async def _make_runs(env: Environment) -> None:
    env.sandbox.hold_jobs()
    for number in range(FAILED):
        await _run(env, f"failed-{number}", AGENTS[number % 4], base_model="modelops-sandbox/no-such-model")
    for number in range(WAITING):
        await _run(env, f"held-{number:02}", AGENTS[number % 4])
    for number in range(CANCELLED):
        await _run(env, f"cancelled-{number}", AGENTS[number % 4])
    await wait_until(
        lambda: _have_phase(env, "Scheduling", WAITING + CANCELLED), expected="the waiting jobs", seconds=90
    )
    for number in range(CANCELLED):
        await env.edit(TRAINING_RUNS, f"cancelled-{number}", cancel=True)
    await wait_until(
        lambda: _have_phase(env, "Cancelled", CANCELLED), expected="the cancelled runs", seconds=90
    )


async def _make_rollouts(env: Environment, models: list[tuple[str, str]], agents: list[AgentProcess]) -> None:
    """Creates rollouts: promoted, half-way, aborted by a user, refused for its price, and two that wait."""
    await _rollout(env, "promoted", AGENTS[0], {"trainingRunRef": {"name": "trained-0"}}, immediate=True)
    await _rollout(env, "half-way", AGENTS[1], _model(models[0]))
    await _rollout(env, "aborted", AGENTS[2], _model(models[2]))
    await _rollout(env, "too-dear", AGENTS[2], {"trainingRunRef": {"name": "trained-2"}}, max_usd="0.000001")
    await _rollout(env, "waits-for-run", AGENTS[3], {"trainingRunRef": {"name": "held-03"}})
    try:
        await wait_until(lambda: _has_reason(env, "half-way", "Watching"), expected="half-way")
    except TimeoutError as error:
        raise TimeoutError(f"half-way is {(await _status(env, 'half-way')).get('reason')}") from error
    await _rollout(env, "waits-for-turn", AGENTS[1], _model(models[1]))
    for agent in agents:
        await agent.ask("requests", 200, True)
    await wait_until(lambda: _has_phase(env, "aborted", "Progressing"), expected="the canary to abort")
    await wait_until(lambda: _has_phase(env, "promoted", "Succeeded"), expected="the promoted rollout")
    await env.edit(ROLLOUTS, "aborted", abort=True)
    await wait_until(lambda: _has_phase(env, "aborted", "Aborted"), expected="the aborted rollout")


async def _wait_until_unchanged(env: Environment) -> Counter[str]:
    """Waits until no object has changed for 8 s, so that no delayed action is left; returns the phases."""
    known: list[str] = []
    while True:
        found = [
            item["metadata"]["resourceVersion"]
            for resource in (TRAINING_RUNS, ROLLOUTS, AGENT_MODELS, CONFIG_MAPS)
            for item in await env.items(resource)
        ]
        if found == known:
            return await _phases(env)
        known = found
        await asyncio.sleep(QUIET_SECONDS)


async def _phases(env: Environment) -> Counter[str]:
    items = [*await env.items(TRAINING_RUNS), *await env.items(ROLLOUTS)]
    return Counter(f"{item['kind']} {item['status']['phase']}" for item in items)


async def _run(env: Environment, name: str, agent: str, **given: str) -> None:
    await env.create(TRAINING_RUNS, name, spec=training_run_spec(agent, **given))


async def _rollout(
    env: Environment, name: str, agent: str, candidate: Json, *, immediate: bool = False, max_usd: str = "9"
) -> None:
    pause = {"pause": {"durationSeconds": 3600}}
    canary = {"canary": {"steps": [{"setWeight": 20}, pause, {"setWeight": 100}]}}
    spec = {
        "agentModelRef": {"name": agent},
        "candidate": candidate,
        "maxUSD": max_usd,
        "strategy": {"immediate": {}} if immediate else canary,
        "analysis": {"minRequests": 20},
        "progressDeadlineSeconds": 7200,
    }
    await env.create(ROLLOUTS, name, spec=spec)


def _model(model: tuple[str, str]) -> Json:
    return {"model": {"repo": model[0], "revision": model[1]}}


async def _have_records(env: Environment) -> bool:
    names = {item["metadata"]["name"] for item in await env.items(CONFIG_MAPS)}
    return names >= {record_name(agent) for agent in AGENTS}


async def _have_phase(env: Environment, phase: str, count: int) -> bool:
    return (await _phases_of_runs(env))[phase] >= count


async def _phases_of_runs(env: Environment) -> Counter[str]:
    await asyncio.sleep(0.2)
    return Counter(item.get("status", {}).get("phase", "") for item in await env.items(TRAINING_RUNS))


async def _status(env: Environment, name: str) -> Json:
    item = await env.kube.get(ROLLOUTS, env.namespace, name)
    found: Json = (item or {}).get("status") or {}
    return found


async def _has_phase(env: Environment, name: str, phase: str) -> bool:
    return bool((await _status(env, name)).get("phase") == phase)


async def _has_reason(env: Environment, name: str, reason: str) -> bool:
    return bool((await _status(env, name)).get("reason") == reason)


def _count_events(writes: list[Write]) -> int:
    return sum(write.resource == "events" for write in writes)


def _phase_and_reason(write: Write) -> str:
    status = write.body.get("status", {})
    return f"{status.get('phase', '')} {status.get('reason', '')}"
