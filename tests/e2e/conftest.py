"""Fixtures of the end-to-end tests: one sandbox for a session, one environment for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from tests.e2e.cloud import Cloud, seed_datasets
from tests.e2e.environment import Environment, open_environment

from modelops.demo.stdlib_examples import read_examples
from modelops.localcluster import LocalCluster
from modelops.sandbox.client import start


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A sandbox with 60 training examples and 40 held-out examples."""
    with start(tmp_path_factory.mktemp("sandbox")) as info, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", info.endpoints)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("HF_TOKEN", info.hf_token)
        patch.setenv("OPENROUTER_API_KEY", info.openrouter_key)
        hf = HfApi(endpoint=info.hub, token=info.hf_token)
        yield seed_datasets(info, hf, read_examples(limit=100, held_out=0.4))


@pytest.fixture
async def env(
    cluster: LocalCluster, cloud: Cloud, namespace: str, tmp_path: Path
) -> AsyncIterator[Environment]:
    """A namespace with agents.yaml and the Secret with the tokens; the operator is not started yet."""
    cloud.sandbox.clear()
    async with open_environment(cluster, cloud, namespace, tmp_path) as made:
        yield made
    cloud.sandbox.clear()
