"""`HuggingFaceEndpoints` against the sandbox."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from tests.patience import deadline_after

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceEndpoints
from modelops.adapters.huggingface.endpoints import openai_base_url
from modelops.domain.model_hosts import ModelHosts
from modelops.ports import Endpoint, EndpointRequest, Refused, Unavailable, Uncertain
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER


@pytest.fixture
def connection(sandbox: SandboxInfo) -> Any:
    made = HuggingFaceConnection(
        hub_url=sandbox.hub, endpoints_url=sandbox.endpoints, model_hosts=ModelHosts(loopback=True)
    )
    yield made
    made.close()


@pytest.fixture
def endpoints(connection: HuggingFaceConnection) -> HuggingFaceEndpoints:
    return HuggingFaceEndpoints(connection)


@pytest.fixture
def token(sandbox: SandboxInfo) -> str:
    return sandbox.hf_token


@pytest.fixture
async def wanted(
    endpoints: HuggingFaceEndpoints, token: str, unique: Callable[[str], str]
) -> AsyncIterator[EndpointRequest]:
    request = EndpointRequest(
        name=unique("ep"),
        repo=BASE_MODEL,
        revision="main",
        vendor="aws",
        region="us-east-1",
        accelerator="cpu",
        instance_type="intel-spr",
        instance_size="x1",
        min_replica=1,
        max_replica=1,
    )
    yield request
    await endpoints.delete(token, USER, request.name)


async def running(endpoints: HuggingFaceEndpoints, token: str, name: str) -> Endpoint:
    deadline = deadline_after(15)
    while time.monotonic() < deadline:
        for endpoint in await endpoints.list(token, USER):
            if endpoint.name == name and endpoint.state == "running":
                return endpoint
        await asyncio.sleep(0.05)
    pytest.fail(f"{name} did not run: {await endpoints.list(token, USER)}")


async def test_a_created_endpoint_runs_and_answers_until_it_is_deleted(
    endpoints: HuggingFaceEndpoints, token: str, wanted: EndpointRequest
) -> None:
    made = await endpoints.create(token, USER, wanted)
    assert (made.name, made.repo) == (wanted.name, BASE_MODEL)
    endpoint = await running(endpoints, token, wanted.name)
    assert endpoint.url.endswith("/v1")
    assert await endpoints.answers(token, endpoint.url)
    await endpoints.delete(token, USER, wanted.name)
    await endpoints.delete(token, USER, wanted.name)
    assert wanted.name not in [item.name for item in await endpoints.list(token, USER)]
    assert not await endpoints.answers(token, endpoint.url)


async def test_an_existing_endpoint_is_returned_as_it_is(
    endpoints: HuggingFaceEndpoints, token: str, wanted: EndpointRequest
) -> None:
    await endpoints.create(token, USER, wanted)
    again = await endpoints.create(token, USER, replace(wanted, max_replica=2))
    assert again.name == wanted.name


async def test_a_lost_answer_is_uncertain_and_the_endpoint_is_there(
    endpoints: HuggingFaceEndpoints, token: str, wanted: EndpointRequest, sandbox: SandboxInfo
) -> None:
    sandbox.fault("endpoints", "lost_answer", method="POST")
    with pytest.raises(Uncertain):
        await endpoints.create(token, USER, wanted)
    assert wanted.name in [item.name for item in await endpoints.list(token, USER)]


async def test_a_rate_limit_is_unavailable_with_its_retry_time(
    endpoints: HuggingFaceEndpoints, token: str, wanted: EndpointRequest, sandbox: SandboxInfo
) -> None:
    sandbox.fault("endpoints", "status", status=429, retry_after=9, method="POST")
    with pytest.raises(Unavailable) as told:
        await endpoints.create(token, USER, wanted)
    assert told.value.retry_after == 9.0


@pytest.mark.parametrize("name", ["x" * 33, "Upper", "under_score", "-dash", "dash-", ""])
async def test_an_invalid_name_is_refused_before_a_request_is_sent(
    endpoints: HuggingFaceEndpoints, token: str, wanted: EndpointRequest, sandbox: SandboxInfo, name: str
) -> None:
    with pytest.raises(Refused, match="endpoint name"):
        await endpoints.create(token, USER, replace(wanted, name=name))
    assert sandbox.requests(service="endpoints") == []


async def test_the_price_list_is_read_once(
    endpoints: HuggingFaceEndpoints, token: str, wanted: EndpointRequest, sandbox: SandboxInfo
) -> None:
    price = await endpoints.usd_micro_per_hour(token, USER, wanted)
    assert price is not None
    assert price > 0
    assert await endpoints.usd_micro_per_hour(token, USER, replace(wanted, instance_type="abacus")) is None
    assert len(sandbox.requests(service="endpoints", path_regex="/provider/")) == 1


async def test_no_token_is_sent_to_a_foreign_address(
    endpoints: HuggingFaceEndpoints, connection: HuggingFaceConnection, token: str
) -> None:
    assert not await endpoints.answers(token, "https://endpoints.huggingface.cloud.example.org/v1")
    with pytest.raises(Refused, match="nothing was sent"):
        await connection.call(
            lambda api: type(api)(endpoint="https://hub.example.org").model_info("a/b"),
            doing="a test",
            token=token,
        )


async def test_no_request_is_sent_when_another_connection_changed_the_address(
    endpoints: HuggingFaceEndpoints, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    await endpoints.list(token, USER)
    monkeypatch.setattr(
        constants, "INFERENCE_ENDPOINTS_ENDPOINT", "https://api.endpoints.huggingface.cloud/v2"
    )
    with pytest.raises(RuntimeError, match="one HuggingFaceConnection"):
        await endpoints.list(token, USER)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("https://x.endpoints.huggingface.cloud", "https://x.endpoints.huggingface.cloud/v1"),
        ("https://x/", "https://x/v1"),
        ("https://x/v1/", "https://x/v1"),
    ],
)
def test_the_base_url_has_a_version_segment(given: str, expected: str) -> None:
    assert openai_base_url(given) == expected


def put_to_sleep(sandbox: SandboxInfo, name: str, how: str) -> None:
    """As a person does it, in the service's console."""
    url = f"{sandbox.endpoints}/endpoint/{USER}/{name}/{how}"
    requests.post(url, headers={"Authorization": f"Bearer {sandbox.hf_token}"}, timeout=30).raise_for_status()


async def test_a_paused_endpoint_is_resumed_and_a_running_one_is_left_alone(
    endpoints: HuggingFaceEndpoints, sandbox: SandboxInfo, token: str, wanted: EndpointRequest
) -> None:
    await endpoints.create(token, USER, wanted)
    await running(endpoints, token, wanted.name)
    await endpoints.resume(token, USER, wanted.name)
    await asyncio.to_thread(put_to_sleep, sandbox, wanted.name, "pause")
    (paused,) = [e for e in await endpoints.list(token, USER) if e.name == wanted.name]
    assert paused.state == "paused"
    await endpoints.resume(token, USER, wanted.name)
    endpoint = await running(endpoints, token, wanted.name)
    assert await endpoints.answers(token, endpoint.url)


async def test_a_question_wakes_an_endpoint_that_is_scaled_to_zero(
    endpoints: HuggingFaceEndpoints, sandbox: SandboxInfo, token: str, wanted: EndpointRequest
) -> None:
    await endpoints.create(token, USER, wanted)
    await running(endpoints, token, wanted.name)
    await asyncio.to_thread(put_to_sleep, sandbox, wanted.name, "scale-to-zero")
    (asleep,) = [e for e in await endpoints.list(token, USER) if e.name == wanted.name]
    assert (asleep.state, bool(asleep.url)) == ("scaledToZero", True)
    assert not await endpoints.answers(token, asleep.url)
    assert await endpoints.answers(token, (await running(endpoints, token, wanted.name)).url)
