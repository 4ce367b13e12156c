"""Cached answers of services."""

import asyncio
from datetime import UTC, datetime

import pytest

from modelops.engine.ttl_cache import TtlCache
from modelops.ports import Unavailable


class ManualClock:
    """A clock that changes only when a test sets it."""

    at = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at


class Service:
    """Counts its requests; raises `error` if there is one, otherwise answers with `answer`."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: str | None = "yes"
        self.error: Exception | None = None

    async def ask(self) -> str | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return self.answer


async def test_concurrent_callers_share_one_request() -> None:
    service, cache = Service(), TtlCache[str | None](ManualClock(), seconds=10)
    assert await asyncio.gather(*(cache.get("key", service.ask) for _ in range(5))) == ["yes"] * 5
    assert service.asked == 1


async def test_a_request_is_sent_for_an_expired_answer_and_for_another_key() -> None:
    service, clock = Service(), ManualClock()
    cache = TtlCache[str | None](clock, seconds=10)
    await cache.get("key", service.ask)
    clock.at = 9.9
    await cache.get("key", service.ask)
    assert service.asked == 1
    await cache.get("other", service.ask)
    clock.at = 10.0
    await cache.get("key", service.ask)
    assert service.asked == 3


async def test_errors_and_none_are_not_cached() -> None:
    service, cache = Service(), TtlCache[str | None](ManualClock(), seconds=10)
    service.error = Unavailable("down")
    with pytest.raises(Unavailable):
        await cache.get("key", service.ask)
    service.error, service.answer = None, None
    assert await cache.get("key", service.ask) is None
    service.answer = "there now"
    assert await cache.get("key", service.ask) == "there now"


async def test_a_cancelled_caller_does_not_cancel_the_shared_request() -> None:
    service, cache = Service(), TtlCache[str | None](ManualClock(), seconds=10)
    first = asyncio.create_task(cache.get("key", service.ask))
    second = asyncio.create_task(cache.get("key", service.ask))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "yes"
    assert service.asked == 1
