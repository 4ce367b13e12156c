"""Runs `modelops` as a user does: with a kubeconfig, and with the Hub's address and token in the environment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from tests.e2e.environment import Environment
from tests.patience import patient

from modelops.sandbox.tokens import USER


async def run_modelops(env: Environment, *arguments: str, expect: int = 0, org: str = USER) -> str:
    """Runs a command, which must exit with code `expect`; returns its stdout followed by its stderr."""
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME", "PYTHONPATH") if key in os.environ},
        **env.cloud.sandbox.environment(),
        "KUBECONFIG": str(env.cluster.kubeconfig),
        "MODELOPS_HUB_ORG": org,
    }
    completed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "modelops.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=patient(120),
    )
    output = completed.stdout + completed.stderr
    assert completed.returncode == expect, f"{arguments}: exit code {completed.returncode}\n{output}"
    assert env.cloud.sandbox.hf_token not in output
    return output
