"""Requests through the router that once were counted wrongly, or lost their answer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.router.loopback import agents_yaml

from modelops.router import Router


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    file = tmp_path / "agents.yaml"
    file.write_text(agents_yaml())
    with Router("docs", file=file, watch=None) as found:
        yield found


def outcomes(router: Router) -> tuple[int, int]:
    """Requests and errors."""
    found = router._counters.as_report()["tracks"]["stable"]
    return found["requests"], found["errors"]


def test_answer_without_usage_is_returned_and_its_tokens_are_unknown(router: Router) -> None:
    def ask() -> str:
        with router.request("thread") as request:
            request.tokens = None
            return "the answer"

    assert ask() == "the answer"
    assert outcomes(router) == (1, 0)


def test_stream_that_is_closed_early_is_no_error(router: Router) -> None:
    def ask() -> Iterator[str]:
        with router.request("thread"):
            yield "the"
            yield "answer"

    reading = ask()
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert outcomes(router) == (0, 0)


def test_cancelled_task_is_no_error(router: Router) -> None:
    async def ask() -> None:
        with router.request("thread"):
            await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.01)

    asyncio.run(main())
    assert outcomes(router) == (0, 0)
