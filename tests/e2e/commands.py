"""The command line as a person has it: a kubeconfig, and the Hub's address and token in the environment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from tests.e2e.stage import Stage

from modelops.sandbox.tokens import USER


async def modelops(here: Stage, *arguments: str, expect: int = 0, org: str = USER) -> str:
    """What a command says, on stdout and then on stderr; it must end with this exit code."""
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME", "PYTHONPATH") if key in os.environ},
        **here.cloud.sandbox.environment(),
        "KUBECONFIG": str(here.cluster.kubeconfig),
        "MODELOPS_HUB_ORG": org,
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "modelops.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode == expect, f"{arguments}: exit code {done.returncode}\n{said}"
    assert here.cloud.sandbox.hf_token not in said
    return said
