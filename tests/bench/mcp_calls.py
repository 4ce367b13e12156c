"""The row mcp: what the MCP server adds to the API server's time, and fifty clients at once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psutil
from tests.bench.commands import long_record
from tests.bench.environment import Environment
from tests.bench.memory import resident_mb
from tests.bench.processor import server_pids
from tests.bench.table import Row, milliseconds, quantile

from modelops.api.v1alpha1.names import AGENT_MODELS, record_name
from modelops.client import Access, AsyncClient
from modelops.engine.executor import CONFIG_MAPS

CLIENTS, CALLS, ALONE, VERSIONS = 50, 20, 60, 1000
OVERHEAD_SECONDS, LOAD_SECONDS, LOAD_MB, LIST_SECONDS = 0.030, 1.0, 200.0, 0.300
_LISTENS = re.compile(rb"MCP at (http\S+)")
_READ: tuple[tuple[str, dict[str, Any]], ...] = (
    ("agent_spending", {}),
    ("list_agent_models", {"agent_name": "docs"}),
    ("explain", {"name": "docs"}),
)
"""What a client calls in turns."""


async def measure(env: Environment) -> list[Row]:
    """One caller alone beside the bare requests, then fifty callers at once, each with a token of its own."""
    for agent, versions in (("docs", 5), ("long", VERSIONS)):
        await env.add_agent(agent)
        await env.create(CONFIG_MAPS, record_name(agent), data=long_record(agent, versions).to_data())
    tokens = await asyncio.to_thread(_accounts, env)
    async with serving(env) as (process, address):
        alone = await _alone(env, address, tokens[0])
        return [*alone, *await _load(env, process, address, tokens)]


@asynccontextmanager
async def serving(env: Environment) -> AsyncIterator[tuple[Process, str]]:
    """The server as the chart starts it: callers log in by tokens, and are impersonated."""
    options = ["--transport", "http", "--port", "0", "--auth", "tokenreview", "-n", env.namespace]
    options += ["--kubeconfig", str(env.cluster.kubeconfig), "--calls-per-minute", "6000"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelops.cli", "mcp", *options),
        env={**os.environ, "LANGSMITH_ENDPOINT": env.sandbox.langsmith},
        stderr=PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            said = b""
            while not (found := _LISTENS.search(said)):
                said = await process.stderr.readline()
                assert said, "the server has ended"
        log = asyncio.create_task(process.stderr.read())
        yield process, found[1].decode()
        process.terminate()
        await process.wait()
        await log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _alone(env: Environment, address: str, token: str) -> list[Row]:
    """A tool that makes one request beside this request, in turns; and a tool with a long answer."""
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    access, path = _bare(env)
    bare: list[float] = []
    tool: list[float] = []
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        AsyncClient(access) as api,
        httpx2.AsyncClient(headers=headers, timeout=60) as web,
        Client(streamable_http_client(address, http_client=web)) as client,
    ):
        for _ in range(ALONE):
            bare.append(await _timed(lambda: api.read(path)))
            tool.append(await _timed(lambda: client.call_tool("agent_spending", {})))
        # It imports LangSmith's package, which counts in the memory.
        assert not (await client.call_tool("list_datasets", {"agent_name": "docs"})).is_error
        history = {"agent_name": "long"}
        page = [
            await _timed(lambda: client.call_tool("list_agent_models", history)) for _ in range(ALONE // 3)
        ]
    added = quantile(tool, 0.5) - quantile(bare, 0.5)
    return [
        Row(
            name="a call of an MCP tool beside its bare request",
            measured=f"{added * 1000:.1f} ms more: {milliseconds(tool)}",
            limit=f"< {OVERHEAD_SECONDS * 1000:.0f} ms",
            peer=f"GET: {milliseconds(bare)}",
            limit_missed=added >= OVERHEAD_SECONDS,
        ),
        Row(
            name=f"list_agent_models of {VERSIONS:,} versions by MCP",
            measured=milliseconds(page),
            limit=f"p99 < {LIST_SECONDS * 1000:.0f} ms",
            limit_missed=quantile(page, 0.99) >= LIST_SECONDS,
        ),
    ]


async def _load(env: Environment, process: Process, address: str, tokens: list[str]) -> list[Row]:
    """Fifty official clients in a process of their own, as fast as they are answered."""
    bare = await _load_of_bare_requests(env)
    parts = {"server": process.pid, **server_pids(env.cluster)}
    before = {part: _processor_seconds(pid) for part, pid in parts.items()}
    clients = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.mcp_clients", stdin=PIPE, stdout=PIPE
    )
    given = {"address": address, "tokens": tokens, "calls": [_READ[i % len(_READ)] for i in range(CALLS)]}
    answer, _ = await clients.communicate(json.dumps(given).encode())
    found = json.loads(answer)
    used = {part: _processor_seconds(pid) - before[part] for part, pid in parts.items()}
    seconds, lost = found["seconds"], CLIENTS * CALLS - len(found["seconds"])
    memory = resident_mb(process.pid)
    spent = ", ".join(f"{part} {used[part] / (CLIENTS * CALLS) * 1000:.1f} ms" for part in used)
    return [
        Row(
            name=f"{CLIENTS} MCP clients at once, {CALLS} calls each",
            measured=f"{lost} lost, {milliseconds(seconds)}, {len(seconds) / found['wall']:.0f}/s",
            limit=f"0 lost, p99 < {LOAD_SECONDS * 1000:.0f} ms",
            peer=f"as many GETs at once: {milliseconds(bare)}",
            limit_missed=lost > 0 or quantile(seconds, 0.99) >= LOAD_SECONDS,
            notes=(
                f"processor time of one call: {spent}, clients {found['processor'] / (CLIENTS * CALLS) * 1000:.1f} ms",
                *found["errors"][:3],
            ),
        ),
        Row(
            name="RSS of the MCP server after these calls",
            measured=f"{memory:.0f} MB",
            limit=f"< {LOAD_MB:.0f} MB",
            limit_missed=memory >= LOAD_MB,
        ),
    ]


async def _load_of_bare_requests(env: Environment) -> list[float]:
    """As many callers at once with as many bare requests, without a server between."""
    access, path = _bare(env)
    async with AsyncClient(access) as api:

        async def call() -> list[float]:
            return [await _timed(lambda: api.read(path)) for _ in range(CALLS)]

        return [one for called in await asyncio.gather(*(call() for _ in range(CLIENTS))) for one in called]


def _bare(env: Environment) -> tuple[Access, str]:
    """Whose rights, and the request that the tool `agent_spending` makes."""
    path = f"/apis/{AGENT_MODELS.crd_name.partition('.')[2]}/v1alpha1/namespaces/{env.namespace}/agentmodels"
    return Access(kubeconfig=str(env.cluster.kubeconfig), namespace=env.namespace), path


def _accounts(env: Environment) -> list[str]:
    """Tokens of fifty service accounts, which may read."""
    kubectl = [str(env.cluster.kubectl), "--kubeconfig", str(env.cluster.kubeconfig), "-n", env.namespace]
    group = "rbac.authorization.k8s.io"
    everybody = {"apiGroup": group, "kind": "Group", "name": f"system:serviceaccounts:{env.namespace}"}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "callers"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [everybody],
    }
    names = [f"caller-{number}" for number in range(CLIENTS)]
    accounts = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in names]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*accounts, binding]})
    subprocess.run(
        [*kubectl, "create", "-f", "-"], input=manifest, text=True, check=True, capture_output=True
    )
    return [
        subprocess.run(
            [*kubectl, "create", "token", name, "--audience", "modelops-mcp"],
            text=True,
            check=True,
            capture_output=True,
        ).stdout.strip()
        for name in names
    ]


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def _processor_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
