"""`modelops mcp --transport http` as a process."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster.mcp_world import World
from tests.patience import patient

_LISTENS = re.compile(rb"MCP at (http\S+)")


@asynccontextmanager
async def serving(world: World, user: str, *more: str) -> AsyncIterator[str]:
    """The address of `modelops mcp --transport http`."""
    kubeconfig = world.cluster.kubeconfig_for(user)
    options = ["--transport", "http", "--port", "0", "-n", world.namespace, "--kubeconfig", str(kubeconfig)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modelops.cli", "mcp", *options, *more, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said = b""
    try:
        async with asyncio.timeout(patient(20)):
            while not (found := _LISTENS.search(said)):
                line = await process.stderr.readline()
                assert line, said
                said += line
        drained = asyncio.create_task(process.stderr.read())
        yield found[1].decode()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), patient(10)) == 0
        assert b"Traceback" not in await drained
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
