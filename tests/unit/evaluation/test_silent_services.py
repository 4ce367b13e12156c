"""A service that keeps a connection alive and never ends its answer holds no program for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from tests.loopback_server import EndlessAnswer, serving
from tests.unit.evaluation.asked import request

from modelops.evaluation import check
from modelops.evaluation.model_client import ModelClient
from modelops.evaluation.reply import Reply
from modelops.evaluation.request import Arm

LIMIT_SECONDS = 0.5
TEST_SECONDS = 10.0


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Arm]:
    monkeypatch.setenv("KEY", "sk-key")
    monkeypatch.setattr(check, "KEY_TIMEOUT_SECONDS", LIMIT_SECONDS)
    with serving(EndlessAnswer) as url:
        yield Arm(
            model="author/m", base_url=f"{url}/v1", api_key_env="KEY", version="v1.0.0", service="openrouter"
        )


def test_a_call_of_a_model_ends_in_time(arm: Arm) -> None:
    async def ask() -> Reply:
        client = ModelClient("baseline", arm, prompt=request().prompt, timeout_seconds=LIMIT_SECONDS)
        try:
            async with asyncio.timeout(TEST_SECONDS):
                return await client.ask([{"role": "user", "content": "x"}])
        finally:
            await client.close()

    assert asyncio.run(ask()).error == "no answer within 0.5 s"


def test_a_question_about_a_key_ends_in_time(arm: Arm) -> None:
    began = time.monotonic()
    assert check._status_at_open_router("baseline", arm, "/key") == 200
    assert time.monotonic() - began < TEST_SECONDS
