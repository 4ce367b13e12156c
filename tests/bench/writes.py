"""Row 1: what a TrainingRun and a Rollout write to the API server in their lives, each write listed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from langsmith import Client
from tests.bench.agents import AgentProcess, agent_processes
from tests.bench.operators import operator
from tests.bench.recording_proxy import RecordingProxy, Write, recording_proxy
from tests.bench.stage import Stage, eventually, training_run_spec
from tests.bench.table import Row

from modelops.api.v1alpha1.names import record_name
from modelops.demo.stdlib_examples import read_examples
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource

EXAMPLES = 400
HELD_OUT = 80
QUIET_SECONDS = 3.0
MOST = {"TrainingRun": 14, "Rollout": 20}
AGENT = "docs"


async def measure(stage: Stage) -> list[Row]:
    """One row for a TrainingRun, one for a Rollout."""
    await asyncio.to_thread(_seed, stage)
    async with recording_proxy(stage.connection, stage.folder, namespace=stage.namespace) as (proxy, config):
        async with operator(stage, kubeconfig=config) as running:
            await stage.add_agent(AGENT)
            await eventually(lambda: _has_record(stage), what="the AgentModel's record")
            await _quiet(proxy)
            run = await _life(stage, proxy, TRAINING_RUNS, training_run_spec(AGENT))
            async with agent_processes(
                AGENT, count=3, stage=stage, report_url=running.addresses["reports"]
            ) as agents:
                traffic = asyncio.create_task(_traffic(agents))
                try:
                    rollout = await _life(stage, proxy, ROLLOUTS, _rollout_spec())
                finally:
                    traffic.cancel()

        whys = _reasons(proxy.writes, running.lines)
    return [_row("TrainingRun", run, whys), _row("Rollout", rollout, whys)]


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


async def _life(stage: Stage, proxy: RecordingProxy, resource: Resource, spec: Json) -> list[Write]:
    """From the creation until nothing is written any more."""
    before = len(proxy.writes)
    await stage.create(resource, "bench", spec=spec)

    async def over() -> bool:
        item = await stage.kube.get(resource, stage.namespace, "bench")
        phase = ((item or {}).get("status") or {}).get("phase", "")
        if phase in ("Failed", "Rejected", "Aborted", "Cancelled"):
            raise RuntimeError(f"the {resource.kind} ended as {phase}: {(item or {})['status']}")
        return bool(phase == "Succeeded")

    try:
        await eventually(over, what=f"the {resource.kind} succeeds", seconds=90)
    except TimeoutError as error:
        item = await stage.kube.get(resource, stage.namespace, "bench")
        status = (item or {}).get("status", {})
        raise TimeoutError(f"{error}: {status.get('phase')}, {status.get('reason')}") from error
    await _quiet(proxy)
    return proxy.writes[before:]


async def _quiet(proxy: RecordingProxy) -> None:
    """Returns when nothing that counts was written for a while."""
    known = -1
    while known != (now := len(list(filter(_counts, proxy.writes)))):
        known = now
        await asyncio.sleep(QUIET_SECONDS)


def _counts(write: Write) -> bool:
    return write.resource.partition("/")[0] not in ("leases", "events")


async def _traffic(agents: Sequence[AgentProcess]) -> None:
    while True:
        for agent in agents:
            await agent.ask("requests", 20, True)
        await asyncio.sleep(1)


async def _has_record(stage: Stage) -> Any:
    return await stage.kube.get(CONFIG_MAPS, stage.namespace, record_name(AGENT))


def _row(kind: str, writes: Sequence[Write], whys: dict[float, str]) -> Row:
    kept = [write for write in writes if _counts(write)]
    progress = [write for write in kept if _is_progress(write, kept)]
    listed = [write for write in kept if write not in progress]
    agent_model = sum(write.resource.startswith("agentmodels") for write in listed)
    conflicts = sum(write.status == 409 for write in listed)
    return Row(
        what=f"API writes of a {kind}'s life",
        measured=f"{len(listed)}, of them {agent_model} by its AgentModel, {conflicts} conflicts",
        limit=f"<= {MOST[kind]}",
        peer=f"{len(writes) - len(kept)} Events and leases, {len(progress)} of progress",
        over=len(listed) > MOST[kind],
        notes=tuple(f"{number:2}. {_described(write, whys)}" for number, write in enumerate(listed, start=1)),
    )


def _is_progress(write: Write, writes: Sequence[Write]) -> bool:
    """Whether a status write changed nothing but how far it is."""
    if not write.resource.endswith("/status") or write.status >= 300:
        return False
    earlier = [w for w in writes if w.at < write.at and w.resource == write.resource and w.name == write.name]
    return bool(earlier) and _without_progress(earlier[-1].body) == _without_progress(write.body)


def _without_progress(body: Json) -> str:
    status = {key: value for key, value in body["status"].items() if key not in ("progress", "analysis")}
    return json.dumps(status, sort_keys=True)


def _described(write: Write, whys: dict[float, str]) -> str:
    what = f"{write.method} {write.resource} {write.name}".ljust(44)
    if write.status >= 300:
        return f"{what} {write.status} {write.answer.get('message', '')}"[:140]
    status = write.body.get("status", {})
    if write.resource == "agentmodels/status":
        spend, active = status.get("spend", {}), status.get("activeRollout") or {}
        shown = f"reserved ${spend.get('reservedUSD')}, settled ${spend.get('settledUSD')}"
        return f"{what} projection: {shown}, active rollout {active.get('name', 'none')}"
    if write.resource.endswith("/status"):
        return f"{what} {status.get('phase')}: {status.get('reason')}"
    if "finalizers" in write.body.get("metadata", {}):
        return f"{what} finalizers {write.body['metadata']['finalizers']}"
    return f"{what} {whys.get(write.at, '')}"


def _seed(stage: Stage) -> None:
    """Real functions and docstrings of the standard library, as two datasets in the sandbox's LangSmith."""
    client = Client(api_url=stage.sandbox.langsmith, api_key=stage.sandbox.langsmith_key)
    examples = read_examples(limit=EXAMPLES)
    for name, split in (("docs-train", "train"), ("docs-holdout", "held-out")):
        dataset = client.create_dataset(name)
        rows = [example.langsmith() for example in examples if example.split == split]
        rows = rows[:HELD_OUT] if split == "held-out" else rows
        for start in range(0, len(rows), 100):
            client.create_examples(dataset_id=dataset.id, examples=rows[start : start + 100])


def _reasons(writes: Sequence[Write], lines: Sequence[dict[str, Any]]) -> dict[float, str]:
    """Why each write of a record or of the agents' file was made, as the operator's log says, by its time."""
    found: dict[float, str] = {}
    for suffix, words in ((record_name(AGENT), "record written: "), (f"{AGENT}-agents", "file written: ")):
        done = [w.at for w in writes if w.resource == "configmaps" and w.name == suffix and w.status < 300]
        said = [str(line["msg"]).partition(words)[2] for line in lines if words in str(line.get("msg"))]
        found.update(zip(done, said, strict=False))
    return found
