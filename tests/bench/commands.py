"""The row commands: how quickly `modelops` starts, and what the client and the tools add to the API server's own time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.bench.environment import Environment, training_run_spec
from tests.bench.table import Row, milliseconds, quantile

from modelops.api.v1alpha1.names import AGENT_MODELS, record_name
from modelops.client import Access, AsyncClient
from modelops.domain.record import Record, RegistryEntry, Target, initial_record
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import TRAINING_RUNS
from modelops.tools.history import list_models
from modelops.tools.spending import spending

STARTS, CALLS, CHANGES, VERSIONS = 15, 60, 30, 1000
STARTS_RATIO, OVERHEAD_SECONDS, WATCH_SECONDS, LIST_SECONDS = 1.0, 0.030, 0.300, 0.300


async def measure(env: Environment) -> list[Row]:
    """Starts of the program, tool calls, a watch, and a long history."""
    starts = await asyncio.to_thread(_starts, env)
    access = Access(kubeconfig=str(env.cluster.kubeconfig), namespace=env.namespace)
    async with AsyncClient(access) as client:
        await env.add_agent("docs")
        calls = [await _overhead(client), await _watch(env, client), await _shown(env)]
        return [*starts, *calls, await _history(env, client)]


def _starts(env: Environment) -> list[Row]:
    """Each program in turns, so that all see the same machine. The fastest of each is compared."""
    program = [sys.executable, "-m", "modelops.cli"]
    commands: dict[str, tuple[list[str], Mapping[str, str]]] = {
        "kubectl": ([str(env.cluster.kubectl), "version", "--client"], {}),
        "help": ([*program, "--help"], {}),
        "completion": (program, _completion("modelops tr")),
        "argument": (program, _completion("modelops deploy docs --str")),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, (command, variables) in commands.items():
            started = time.perf_counter()
            shell = f"exec {' '.join(command)} 8>&1 9>&2 1>/dev/null"
            subprocess.run(
                ["/bin/sh", "-c", shell],
                env={**os.environ, **variables},
                capture_output=True,
                check=False,
            )
            seconds[name].append(time.perf_counter() - started)
    peer = min(seconds["kubectl"])
    return [
        Row(
            name=f"modelops {what}",
            measured=f"{min(seconds[name]) * 1000:.0f} ms: {min(seconds[name]) / peer:.2f} of the peer",
            limit=f"<= {STARTS_RATIO:.0f} of the peer",
            peer=f"kubectl version --client: {peer * 1000:.0f} ms",
            limit_missed=min(seconds[name]) > STARTS_RATIO * peer,
        )
        for name, what in (
            ("help", "--help"),
            ("completion", "completion of a command"),
            ("argument", "completion of an argument"),
        )
    ]


def _completion(line: str) -> dict[str, str]:
    """The variables with which a shell asks for the completion of a line."""
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    return {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", **asked}


async def _overhead(client: AsyncClient) -> Row:
    """A tool beside the one request that it makes, in turns."""
    namespace = await client.namespace()
    path = f"/apis/{AGENT_MODELS.crd_name.partition('.')[2]}/v1alpha1/namespaces/{namespace}/agentmodels"
    bare: list[float] = []
    tool: list[float] = []
    for _ in range(CALLS):
        bare.append(await _timed(lambda: client.read(path)))
        tool.append(await _timed(lambda: spending(client, "docs")))
    added = quantile(tool, 0.5) - quantile(bare, 0.5)
    return Row(
        name="a tool call beside its bare request",
        measured=f"{added * 1000:.1f} ms more",
        limit=f"< {OVERHEAD_SECONDS * 1000:.0f} ms",
        peer=f"GET: {milliseconds(bare)}",
        limit_missed=added >= OVERHEAD_SECONDS,
    )


async def _watch(env: Environment, client: AsyncClient) -> Row:
    """From just before the request that changes an object until the watch has told it."""
    await env.create(TRAINING_RUNS, "watched", spec=training_run_spec("docs"))
    told: list[float] = []
    events = client.training_runs.watch("watched")
    await anext(events)
    for number in range(CHANGES):
        started = time.perf_counter()
        change = asyncio.create_task(
            client.training_runs.patch("watched", {"metadata": {"annotations": {"number": str(number)}}})
        )
        await anext(events)
        told.append(time.perf_counter() - started)
        await change
    await events.aclose()
    return Row(
        name="change -> told by a watch",
        measured=milliseconds(told),
        limit=f"p99 < {WATCH_SECONDS * 1000:.0f} ms",
        limit_missed=quantile(told, 0.99) >= WATCH_SECONDS,
    )


async def _shown(env: Environment) -> Row:
    """From just before a status is written until `modelops watch` has written the line that shows it."""
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelops.cli", "watch", "watched", "-n", env.namespace),
        *("--kubeconfig", str(env.cluster.kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    await watching.stdout.readline()
    told: list[float] = []
    for number in range(CHANGES):
        item = await env.kube.get(TRAINING_RUNS, env.namespace, "watched")
        assert item is not None
        condition = {"type": "Ready", "status": "False", "reason": "Waiting", "message": f"number {number}."}
        item["status"] = {
            "phase": "Pending",
            "reason": "Waiting",
            "conditions": [{**condition, "lastTransitionTime": "2025-12-09T22:00:00Z"}],
        }
        started = time.perf_counter()
        written = asyncio.create_task(env.kube.replace_status(TRAINING_RUNS, item))
        while f"number {number}." not in (await watching.stdout.readline()).decode():
            pass
        told.append(time.perf_counter() - started)
        await written
    watching.terminate()
    await watching.wait()
    return Row(
        name="change -> shown by modelops watch",
        measured=milliseconds(told),
        limit=f"p99 < {WATCH_SECONDS * 1000:.0f} ms",
        limit_missed=quantile(told, 0.99) >= WATCH_SECONDS,
    )


async def _history(env: Environment, client: AsyncClient) -> Row:
    """`list_agent_models` of an agent with a long history: the first page, and all of it."""
    record = long_record("docs", VERSIONS)
    await env.create(CONFIG_MAPS, record_name("docs"), data=record.to_data())
    page = [await _timed(lambda: list_models(client, "docs")) for _ in range(CALLS // 3)]
    whole = [await _timed(lambda: list_models(client, "docs", limit=VERSIONS)) for _ in range(CALLS // 3)]
    size = len(json.dumps(record.to_data()))
    return Row(
        name=f"list_agent_models of {VERSIONS:,} versions",
        measured=f"a page {milliseconds(page)}, all {milliseconds(whole)}",
        limit=f"p99 < {LIST_SECONDS * 1000:.0f} ms",
        peer=f"a record of {size / 1000:.0f} kB",
        limit_missed=max(quantile(page, 0.99), quantile(whole, 0.99)) >= LIST_SECONDS,
    )


def long_record(agent: str, versions: int) -> Record:
    """The record of an agent after so many trainings."""
    stable = Target(
        version="v1.0.0", model="a/b", endpoint="openrouter", endpoint_url="http://x", api_key_env="K"
    )
    return initial_record(
        agent=agent,
        config_map=f"{agent}-agents",
        config_key="agents.yaml",
        stable=stable,
        now="2025-12-09T22:00:00Z",
    ).with_(history=tuple(_version(number) for number in range(versions)))


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def _version(number: int) -> RegistryEntry:
    return RegistryEntry(
        version=f"v1.{number}.0-rc.1",
        model=f"org/docs-{number}",
        base_model="Qwen/Qwen2.5-Coder-7B",
        training_method="sft",
        training_dataset="ls://docs-train",
        eval_scores={
            "accuracy": 0.87,
            "baseline_improvement": "+12%",
            "avg_latency_ms": 1200,
            "cost_per_1k": 0.003,
        },
        trained_at="2025-12-09T22:00:00Z",
        hub_repo=f"org/docs-{number}",
        deployment_status="evaluated",
        lineage={"revision": "c" * 40, "dataset": {"repo": f"org/docs-{number}-data", "revision": "d" * 40}},
    )
