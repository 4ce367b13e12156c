"""The row memory: resident memory of the idle operator in an environment with only its own dependencies."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import psutil
from tests.bench.environment import Environment
from tests.bench.operators import operator
from tests.bench.table import Row

from modelops.localcluster.cache import cache_root

LIMIT_MB = 110.0
IDLE_SECONDS = 8.0
REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "operator.txt"
_PEER = "import kopf, sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"


async def measure(env: Environment) -> list[Row]:
    """Measures the operator while it leads, watches, and has nothing to do."""
    python = await asyncio.to_thread(operator_python)
    async with operator(env, python=str(python)) as running:
        await asyncio.sleep(IDLE_SECONDS)
        idle = resident_mb(running.process.pid)
        await env.add_agent("docs")
        await asyncio.sleep(IDLE_SECONDS / 2)
        with_agent = resident_mb(running.process.pid)
    bare = await _kopfresident_mb(str(python))
    return [
        Row(
            name="idle RSS of the operator, its own extra only",
            measured=f"{idle:.0f} MB",
            limit=f"< {LIMIT_MB:.0f} MB",
            peer=f"a process that imports kopf: {bare:.0f} MB",
            limit_missed=idle >= LIMIT_MB,
            notes=(f"with one AgentModel: {with_agent:.0f} MB",),
        )
    ]


def operator_python() -> Path:
    """The Python of an environment with requirements/operator.txt, created once in the user's cache folder."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_root(os.environ) / f"bench-operator-{digest}"
    python = folder / "bin" / "python"
    if (folder / ".ready").exists():
        return python
    print("memory: makes an environment of requirements/operator.txt, once", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    uv = Path(sys.executable).with_name("uv")
    install = [str(uv), "pip", "install", "-q", "--python", str(python)]
    subprocess.run([*install, "--require-hashes", "-r", str(REQUIREMENTS)], check=True)
    (folder / ".ready").touch()
    return python


async def _kopfresident_mb(python: str) -> float:
    process = await asyncio.create_subprocess_exec(python, "-c", _PEER, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        return resident_mb(process.pid)
    finally:
        process.kill()
        await process.wait()


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6
