"""The row writes: the API writes of one TrainingRun and one Rollout, each listed with its reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from langsmith import Client
from tests.bench.agents import AgentProcess, agent_processes
from tests.bench.environment import Environment, training_run_spec, wait_until
from tests.bench.operators import operator
from tests.bench.recording_proxy import RecordingProxy, Write, recording_proxy
from tests.bench.table import Row

from modelops.api.v1alpha1.names import record_name
from modelops.demo.stdlib_examples import read_examples
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource

EXAMPLES = 400
HELD_OUT = 80
QUIET_SECONDS = 3.0
WRITE_LIMITS = {"TrainingRun": 14, "Rollout": 20}
AGENT = "docs"


async def measure(env: Environment) -> list[Row]:
    """One row for a TrainingRun, one for a Rollout."""
    await asyncio.to_thread(_seed_datasets, env)
    async with recording_proxy(env.connection, env.folder, namespace=env.namespace) as (proxy, config):
        async with operator(env, kubeconfig=config) as running:
            await env.add_agent(AGENT)
            await wait_until(lambda: _has_record(env), expected="the AgentModel's record")
            await _wait_until_quiet(proxy)
            run = await _writes_of_one_object(env, proxy, TRAINING_RUNS, training_run_spec(AGENT))
            async with agent_processes(
                AGENT, count=3, env=env, report_url=running.addresses["reports"]
            ) as agents:
                traffic = asyncio.create_task(_send_traffic(agents))
                try:
                    rollout = await _writes_of_one_object(env, proxy, ROLLOUTS, _rollout_spec())
                finally:
                    traffic.cancel()

        reasons = _reasons_by_time(proxy.writes, running.lines)
    return [_row("TrainingRun", run, reasons), _row("Rollout", rollout, reasons)]


def _rollout_spec() -> Json:
    pause = {"pause": {"durationSeconds": 12}}
    return {
        "agentModelRef": {"name": AGENT},
        "candidate": {"trainingRunRef": {"name": "bench"}},
        "maxUSD": "9",
        "evaluation": {"scorer": {"type": "tokenF1", "threshold": "0.35"}},
        "strategy": {"canary": {"steps": [{"setWeight": 20}, pause, {"setWeight": 100}]}},
        "analysis": {"minRequests": 20},
        "progressDeadlineSeconds": 300,
    }


async def _writes_of_one_object(
    env: Environment, proxy: RecordingProxy, resource: Resource, spec: Json
) -> list[Write]:
    """Creates the object; returns all writes until it has succeeded and no more are made."""
    before = len(proxy.writes)
    await env.create(resource, "bench", spec=spec)

    async def has_succeeded() -> bool:
        item = await env.kube.get(resource, env.namespace, "bench")
        phase = ((item or {}).get("status") or {}).get("phase", "")
        if phase in ("Failed", "Rejected", "Aborted", "Cancelled"):
            raise RuntimeError(f"the {resource.kind} ended as {phase}: {(item or {})['status']}")
        return bool(phase == "Succeeded")

    try:
        await wait_until(has_succeeded, expected=f"the {resource.kind} succeeds", seconds=90)
    except TimeoutError as error:
        item = await env.kube.get(resource, env.namespace, "bench")
        status = (item or {}).get("status", {})
        raise TimeoutError(f"{error}: {status.get('phase')}, {status.get('reason')}") from error
    await _wait_until_quiet(proxy)
    return proxy.writes[before:]


async def _wait_until_quiet(proxy: RecordingProxy) -> None:
    """Waits until no counted write was made for 3 s."""
    known = -1
    while known != (now := len(list(filter(_is_counted, proxy.writes)))):
        known = now
        await asyncio.sleep(QUIET_SECONDS)


def _is_counted(write: Write) -> bool:
    return write.resource.partition("/")[0] not in ("leases", "events")


async def _send_traffic(agents: Sequence[AgentProcess]) -> None:
    while True:
        for agent in agents:
            await agent.ask("requests", 20, True)
        await asyncio.sleep(1)


async def _has_record(env: Environment) -> Any:
    return await env.kube.get(CONFIG_MAPS, env.namespace, record_name(AGENT))


def _row(kind: str, writes: Sequence[Write], reasons: dict[float, str]) -> Row:
    counted = [write for write in writes if _is_counted(write)]
    progress = [write for write in counted if _is_progress(write, counted)]
    listed = [write for write in counted if write not in progress]
    agent_model = sum(write.resource.startswith("agentmodels") for write in listed)
    conflicts = sum(write.status == 409 for write in listed)
    return Row(
        name=f"API writes of a {kind}'s life",
        measured=f"{len(listed)}, of them {agent_model} by its AgentModel, {conflicts} conflicts",
        limit=f"<= {WRITE_LIMITS[kind]}",
        peer=f"{len(writes) - len(counted)} Events and leases, {len(progress)} of progress",
        limit_missed=len(listed) > WRITE_LIMITS[kind],
        notes=tuple(
            f"{number:2}. {_write_note(write, reasons)}" for number, write in enumerate(listed, start=1)
        ),
    )


def _is_progress(write: Write, writes: Sequence[Write]) -> bool:
    """Whether a status write changed only the progress."""
    if not write.resource.endswith("/status") or write.status >= 300:
        return False
    earlier = [w for w in writes if w.at < write.at and w.resource == write.resource and w.name == write.name]
    return bool(earlier) and _without_progress(earlier[-1].body) == _without_progress(write.body)


def _without_progress(body: Json) -> str:
    status = {key: value for key, value in body["status"].items() if key not in ("progress", "analysis")}
    return json.dumps(status, sort_keys=True)


def _write_note(write: Write, reasons: dict[float, str]) -> str:
    target = f"{write.method} {write.resource} {write.name}".ljust(44)
    if write.status >= 300:
        return f"{target} {write.status} {write.answer.get('message', '')}"[:140]
    status = write.body.get("status", {})
    if write.resource == "agentmodels/status":
        spend, active = status.get("spend", {}), status.get("activeRollout") or {}
        shown = f"reserved ${spend.get('reservedUSD')}, settled ${spend.get('settledUSD')}"
        return f"{target} projection: {shown}, active rollout {active.get('name', 'none')}"
    if write.resource.endswith("/status"):
        return f"{target} {status.get('phase')}: {status.get('reason')}"
    if "finalizers" in write.body.get("metadata", {}):
        return f"{target} finalizers {write.body['metadata']['finalizers']}"
    return f"{target} {reasons.get(write.at, '')}"


def _seed_datasets(env: Environment) -> None:
    """Uploads functions and docstrings of the standard library to two datasets of the sandbox's LangSmith."""
    client = Client(api_url=env.sandbox.langsmith, api_key=env.sandbox.langsmith_key)
    examples = read_examples(limit=EXAMPLES)
    for name, split in (("docs-train", "train"), ("docs-holdout", "held-out")):
        dataset = client.create_dataset(name)
        rows = [example.langsmith() for example in examples if example.split == split]
        rows = rows[:HELD_OUT] if split == "held-out" else rows
        for start in range(0, len(rows), 100):
            client.create_examples(dataset_id=dataset.id, examples=rows[start : start + 100])


def _reasons_by_time(writes: Sequence[Write], lines: Sequence[dict[str, Any]]) -> dict[float, str]:
    """Purpose of each write of a record or of agents.yaml from the operator's log, by the time of the write."""
    found: dict[float, str] = {}
    for suffix, words in ((record_name(AGENT), "record written: "), (f"{AGENT}-agents", "file written: ")):
        done = [w.at for w in writes if w.resource == "configmaps" and w.name == suffix and w.status < 300]
        reasons_logged = [
            str(line["msg"]).partition(words)[2] for line in lines if words in str(line.get("msg"))
        ]
        found.update(zip(done, reasons_logged, strict=False))
    return found
