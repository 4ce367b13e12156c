"""One listing for each account and interval for all callers; refused creations are listed as failed endpoints."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from modelops.engine.shared_endpoints import SharedEndpoints
from modelops.ports import NOT_CREATED, Endpoint, EndpointRequest, Refused, Unavailable, Uncertain

REQUEST = EndpointRequest(
    name="mo-1",
    repo="org/m",
    revision="r",
    vendor="aws",
    region="us-east-1",
    accelerator="gpu",
    instance_type="nvidia-l4",
    instance_size="x1",
    min_replica=1,
    max_replica=1,
)


@dataclass
class ManualClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class EndpointService:
    listed: int = 0
    tried: int = 0
    existing: dict[str, Endpoint] = field(default_factory=dict)
    problem: Exception | None = None
    refuses: str = ""
    untaken: Exception | None = None

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        self.listed += 1
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        return tuple(self.existing.values())

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        self.tried += 1
        if self.untaken is not None:
            raise self.untaken
        if self.refuses:
            raise Refused(self.refuses)
        made = Endpoint(name=request.name, state="pending", url="", repo=request.repo, revision="r")
        self.existing[request.name] = made
        return made

    async def delete(self, token: str, namespace: str, name: str) -> None:
        self.existing.pop(name, None)

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        return 1

    async def answers(self, token: str, url: str) -> bool:
        return True


@pytest.fixture
def service() -> EndpointService:
    return EndpointService()


@pytest.fixture
def time() -> ManualClock:
    return ManualClock()


@pytest.fixture
def shared(service: EndpointService, time: ManualClock) -> SharedEndpoints:
    return SharedEndpoints(service, clock=time, interval_seconds=5.0)


async def test_a_hundred_rollouts_cost_one_listing_per_interval(
    shared: SharedEndpoints, service: EndpointService, time: ManualClock
) -> None:
    await asyncio.gather(*(shared.list("t", "org") for _ in range(100)))
    time.seconds = 4.9
    await shared.list("t", "org")
    assert service.listed == 1
    time.seconds = 5.1
    await asyncio.gather(*(shared.list("t", "org") for _ in range(100)))
    assert service.listed == 2


async def test_a_creation_or_deletion_by_the_operator_is_listed_at_once(shared: SharedEndpoints) -> None:
    assert await shared.list("t", "org") == ()
    await shared.create("t", "org", REQUEST)
    assert [e.name for e in await shared.list("t", "org")] == ["mo-1"]
    await shared.delete("t", "org", "mo-1")
    assert await shared.list("t", "org") == ()


async def test_retry_after_of_an_unavailable_service_is_respected(
    shared: SharedEndpoints, service: EndpointService, time: ManualClock
) -> None:
    service.problem = Unavailable("busy", retry_after=30)
    for _ in range(10):
        with pytest.raises(Unavailable):
            await shared.list("t", "org")
    time.seconds = 29
    with pytest.raises(Unavailable):
        await shared.list("t", "org")
    assert service.listed == 1
    service.problem, time.seconds = None, 31
    assert await shared.list("t", "org") == ()


async def test_a_refused_creation_is_listed_as_a_failed_endpoint_with_the_services_message(
    shared: SharedEndpoints, service: EndpointService, time: ManualClock
) -> None:
    service.refuses = "quota of nvidia-l4 exceeded"
    made = await shared.create("t", "org", REQUEST)
    assert (made.state, made.message) == ("failed", "quota of nvidia-l4 exceeded")
    assert await shared.list("t", "org") == (made,)
    await shared.create("t", "org", REQUEST)
    assert service.tried == 1
    service.refuses, time.seconds = "", 61
    assert await shared.list("t", "org") == ()
    assert (await shared.create("t", "org", REQUEST)).state == "pending"


async def test_a_creation_that_is_not_taken_is_listed_with_the_services_message_until_it_is_tried_again(
    shared: SharedEndpoints, service: EndpointService, time: ManualClock
) -> None:
    service.untaken = Unavailable("429: no quota", retry_after=20)
    with pytest.raises(Unavailable):
        await shared.create("t", "org", REQUEST)
    (listed,) = await shared.list("t", "org")
    assert (listed.name, listed.state, listed.message) == ("mo-1", NOT_CREATED, "429: no quota")
    time.seconds = 21
    assert await shared.list("t", "org") == ()
    service.untaken = None
    assert (await shared.create("t", "org", REQUEST)).state == "pending"
    assert [e.state for e in await shared.list("t", "org")] == ["pending"]


async def test_an_endpoint_whose_creation_was_not_answered_is_listed_as_it_is(
    shared: SharedEndpoints, service: EndpointService
) -> None:
    service.untaken = Uncertain("503")
    with pytest.raises(Uncertain):
        await shared.create("t", "org", REQUEST)
    assert [e.state for e in await shared.list("t", "org")] == [NOT_CREATED]
    service.existing["mo-1"] = Endpoint(name="mo-1", state="pending", url="", repo="org/m", revision="r")
    shared._mark_changed(shared._account("t", "org"))
    assert [e.state for e in await shared.list("t", "org")] == ["pending"]


async def test_accounts_are_separate(shared: SharedEndpoints, service: EndpointService) -> None:
    service.refuses = "no"
    await shared.create("t", "org", REQUEST)
    assert await shared.list("other", "org") == ()
