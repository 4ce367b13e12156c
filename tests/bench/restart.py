"""Row 4: what an operator writes when it starts again over a hundred unchanged objects."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

from tests.bench.agents import AgentProcess, agent_processes
from tests.bench.hub_content import add_dataset, add_models
from tests.bench.operators import INSTANT, operator
from tests.bench.recording_proxy import Write, recording_proxy
from tests.bench.stage import Stage, eventually, training_run_spec
from tests.bench.table import Row

from modelops.api.v1alpha1.names import record_name
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json

AGENTS = ("docs", "review", "cicd", "infra")
TRAINED, FAILED, CANCELLED, HELD = 6, 12, 12, 60
POLL_SECONDS = 1
WATCHED_SECONDS = 15.0
QUIET_SECONDS = 8.0


async def measure(stage: Stage) -> list[Row]:
    """Makes the objects, stops the operator, starts it again and watches what it writes."""
    dataset = await asyncio.to_thread(add_dataset, stage)
    models = await asyncio.to_thread(add_models, stage, 3)
    environ = {
        "MODELOPS_BENCH_DATASET": dataset,
        "MODELOPS_REPORT_PORT": str(_free_port()),
        "MODELOPS_POLL_SECONDS": str(POLL_SECONDS),
    }
    reports = f"http://127.0.0.1:{environ['MODELOPS_REPORT_PORT']}/v1/report"
    async with (
        agent_processes(AGENTS[0], count=1, stage=stage, report_url=reports),
        agent_processes(AGENTS[1], count=3, stage=stage, report_url=reports) as agents,
    ):
        async with operator(stage, module=INSTANT, environ=environ):
            await _make_agents(stage)
            await _make_rollouts(stage, models, agents)
            await _make_runs(stage)
            phases = await _settled(stage)
        stage.sandbox.forget_requests()
        async with (
            recording_proxy(stage.connection, stage.folder, namespace=stage.namespace) as (
                proxy,
                config,
            ),
            operator(stage, environ=environ, kubeconfig=config),
        ):
            await asyncio.sleep(WATCHED_SECONDS)
            written = list(proxy.writes)
            polls = await asyncio.to_thread(
                stage.sandbox.requests, service="hub", method="GET", path_regex="stage=SCHEDULING"
            )
    after = await _phases(stage)
    kept = [write for write in written if write.resource not in ("leases", "events")]
    count = sum(phases.values()) + len(AGENTS)
    notes = [
        f"{count} objects: {len(AGENTS)} AgentModels, "
        + ", ".join(f"{n} {p}" for p, n in sorted(phases.items())),
        f"watched for {WATCHED_SECONDS:.0f} s: {len(polls)} lists of jobs, {_events(written)} Events, "
        + ("phases unchanged" if after == phases else f"then {after}"),
        *(f"{write.method} {write.resource} {write.name} {_reason(write)}" for write in kept[:12]),
    ]
    return [
        Row(
            what="restart with 100 objects",
            measured=f"{len(kept)} API writes",
            limit="0 besides the lease",
            peer=f"{len(written) - len(kept) - _events(written)} of the lease",
            over=bool(kept),
            notes=tuple(notes),
        )
    ]


async def _make_agents(stage: Stage) -> None:
    """The AgentModels, and the first models of theirs."""
    for agent in AGENTS:
        await stage.add_agent(agent)
    await eventually(lambda: _records(stage), what="the records of the AgentModels")
    for number in range(TRAINED):
        await _run(stage, f"trained-{number}", AGENTS[number % 4])
    await eventually(lambda: _count(stage, "Succeeded", TRAINED), what=f"{TRAINED} models")


async def _make_runs(stage: Stage) -> None:
    stage.sandbox.hold_jobs()
    for number in range(FAILED):
        await _run(stage, f"failed-{number}", AGENTS[number % 4], base_model="modelops-sandbox/no-such-model")
    for number in range(HELD):
        await _run(stage, f"held-{number:02}", AGENTS[number % 4])
    for number in range(CANCELLED):
        await _run(stage, f"cancelled-{number}", AGENTS[number % 4])
    await eventually(
        lambda: _count(stage, "Scheduling", HELD + CANCELLED), what="the waiting jobs", seconds=90
    )
    for number in range(CANCELLED):
        await stage.edit(TRAINING_RUNS, f"cancelled-{number}", cancel=True)
    await eventually(lambda: _count(stage, "Cancelled", CANCELLED), what="the cancelled runs", seconds=90)


async def _make_rollouts(stage: Stage, models: list[tuple[str, str]], agents: list[AgentProcess]) -> None:
    """One promoted, one half-way, one aborted by hand, one rejected for its price, two that wait."""
    await _rollout(stage, "promoted", AGENTS[0], {"trainingRunRef": {"name": "trained-0"}}, immediate=True)
    await _rollout(stage, "half-way", AGENTS[1], _model(models[0]))
    await _rollout(stage, "aborted", AGENTS[2], _model(models[2]))
    await _rollout(stage, "too-dear", AGENTS[2], {"trainingRunRef": {"name": "trained-2"}}, most="0.000001")
    await _rollout(stage, "waits-for-run", AGENTS[3], {"trainingRunRef": {"name": "held-03"}})
    try:
        await eventually(lambda: _has_reason(stage, "half-way", "Watching"), what="half-way")
    except TimeoutError as error:
        raise TimeoutError(f"half-way is {(await _status(stage, 'half-way')).get('reason')}") from error
    await _rollout(stage, "waits-for-turn", AGENTS[1], _model(models[1]))
    for agent in agents:
        await agent.ask("requests", 200, True)
    await eventually(lambda: _has_phase(stage, "aborted", "Progressing"), what="the canary to abort")
    await eventually(lambda: _has_phase(stage, "promoted", "Succeeded"), what="the promoted rollout")
    await stage.edit(ROLLOUTS, "aborted", abort=True)
    await eventually(lambda: _has_phase(stage, "aborted", "Aborted"), what="the aborted rollout")


async def _settled(stage: Stage) -> Counter[str]:
    """The phases, when nothing has changed for so long that nothing is due, such as an endpoint's end."""
    known: list[str] = []
    while True:
        found = [
            item["metadata"]["resourceVersion"]
            for resource in (TRAINING_RUNS, ROLLOUTS, AGENT_MODELS, CONFIG_MAPS)
            for item in await stage.items(resource)
        ]
        if found == known:
            return await _phases(stage)
        known = found
        await asyncio.sleep(QUIET_SECONDS)


async def _phases(stage: Stage) -> Counter[str]:
    items = [*await stage.items(TRAINING_RUNS), *await stage.items(ROLLOUTS)]
    return Counter(f"{item['kind']} {item['status']['phase']}" for item in items)


async def _run(stage: Stage, name: str, agent: str, **given: str) -> None:
    await stage.create(TRAINING_RUNS, name, spec=training_run_spec(agent, **given))


async def _rollout(
    stage: Stage, name: str, agent: str, candidate: Json, *, immediate: bool = False, most: str = "9"
) -> None:
    pause = {"pause": {"durationSeconds": 3600}}
    canary = {"canary": {"steps": [{"setWeight": 20}, pause, {"setWeight": 100}]}}
    spec = {
        "agentModelRef": {"name": agent},
        "candidate": candidate,
        "maxUSD": most,
        "strategy": {"immediate": {}} if immediate else canary,
        "analysis": {"minRequests": 20},
        "progressDeadlineSeconds": 7200,
    }
    await stage.create(ROLLOUTS, name, spec=spec)


def _model(model: tuple[str, str]) -> Json:
    return {"model": {"repo": model[0], "revision": model[1]}}


async def _records(stage: Stage) -> bool:
    names = {item["metadata"]["name"] for item in await stage.items(CONFIG_MAPS)}
    return names >= {record_name(agent) for agent in AGENTS}


async def _count(stage: Stage, phase: str, count: int) -> bool:
    return (await _phases_of_runs(stage))[phase] >= count


async def _phases_of_runs(stage: Stage) -> Counter[str]:
    await asyncio.sleep(0.2)
    return Counter(item.get("status", {}).get("phase", "") for item in await stage.items(TRAINING_RUNS))


async def _status(stage: Stage, name: str) -> Json:
    item = await stage.kube.get(ROLLOUTS, stage.namespace, name)
    found: Json = (item or {}).get("status") or {}
    return found


async def _has_phase(stage: Stage, name: str, phase: str) -> bool:
    return bool((await _status(stage, name)).get("phase") == phase)


async def _has_reason(stage: Stage, name: str, reason: str) -> bool:
    return bool((await _status(stage, name)).get("reason") == reason)


def _events(writes: list[Write]) -> int:
    return sum(write.resource == "events" for write in writes)


def _reason(write: Write) -> str:
    status = write.body.get("status", {})
    return f"{status.get('phase', '')} {status.get('reason', '')}"


def _free_port() -> int:
    """For the reports, which agents go on sending to the same address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
