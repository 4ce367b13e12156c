"""Answers that are asked for once."""

import asyncio
from datetime import UTC, datetime

import pytest

from modelops.engine.ttl_cache import Remembered
from modelops.ports import Unavailable


class Clock:
    """Stands still until it is set."""

    at = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at


class Service:
    """Counts how often it is asked; raises `error`, or answers with `answer`."""

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


async def test_many_at_once_ask_once() -> None:
    service, known = Service(), Remembered[str | None](Clock(), seconds=10)
    assert await asyncio.gather(*(known.get("key", service.ask) for _ in range(5))) == ["yes"] * 5
    assert service.asked == 1


async def test_an_answer_is_asked_for_again_when_it_is_old_and_for_another_key() -> None:
    service, clock = Service(), Clock()
    known = Remembered[str | None](clock, seconds=10)
    await known.get("key", service.ask)
    clock.at = 9.9
    await known.get("key", service.ask)
    assert service.asked == 1
    await known.get("other", service.ask)
    clock.at = 10.0
    await known.get("key", service.ask)
    assert service.asked == 3


async def test_errors_and_missing_answers_are_not_kept() -> None:
    service, known = Service(), Remembered[str | None](Clock(), seconds=10)
    service.error = Unavailable("down")
    with pytest.raises(Unavailable):
        await known.get("key", service.ask)
    service.error, service.answer = None, None
    assert await known.get("key", service.ask) is None
    service.answer = "there now"
    assert await known.get("key", service.ask) == "there now"


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    service, known = Service(), Remembered[str | None](Clock(), seconds=10)
    first = asyncio.create_task(known.get("key", service.ask))
    second = asyncio.create_task(known.get("key", service.ask))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "yes"
    assert service.asked == 1
