"""Which of the installation's keys may replace those of an agent."""

from __future__ import annotations

import os
from unittest import mock

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.ports import Credentials
from modelops.runtime.metrics import Metrics
from modelops.runtime.settings import Settings
from modelops.runtime.wiring import build_operator


async def test_only_the_hub_token_cleans_up_after_a_deleted_agent() -> None:
    keys = {"HUGGINGFACE_HUB_TOKEN": "hub", "LANGSMITH_API_KEY": "traces", "OPENROUTER_API_KEY": "router"}
    with mock.patch.dict(os.environ, keys, clear=True):
        settings = Settings()
    clock = SystemClock()
    parts = build_operator(
        settings,
        kube=KubeClient(Transport(Connection(server="http://127.0.0.1:9", source="test"))),
        cache=ObjectCache(monotonic=clock.monotonic),
        clock=clock,
        metrics=Metrics(),
        installation="0badcafe",
    )
    try:
        given, problem = await parts.orphan_jobs._credentials.read("team", None)
    finally:
        parts.close()
    assert (given, problem) == (Credentials(hugging_face="hub", is_installation_token=True), "")
