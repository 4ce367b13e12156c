"""An endpoint that never ends its answer holds none of the few threads that call Hugging Face."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.loopback_server import EndlessAnswer, serving

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceEndpoints
from modelops.domain.model_hosts import ModelHosts

TEST_SECONDS = 10.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(EndlessAnswer) as address:
        yield address


@pytest.mark.parametrize(("status", "answers"), [(200, True), (503, False)])
async def test_whether_an_endpoint_answers_is_known_in_time(url: str, status: int, answers: bool) -> None:
    connection = HuggingFaceConnection(hub_url=url, endpoints_url=url, model_hosts=ModelHosts(loopback=True))
    try:
        async with asyncio.timeout(TEST_SECONDS):
            assert await HuggingFaceEndpoints(connection).answers("t", f"{url}/{status}") is answers
    finally:
        connection.close()
