"""What happens to a request after the model was called decides whether it is counted, and never spoils the answer."""

import asyncio
import concurrent.futures
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.router.loopback import Mount, Recorder, agents_yaml, eventually, recording

from modelops.adapters.reports.body import ReportBody
from modelops.router import Request, Router
from modelops.router import reachability as reachability_module
from modelops.router import router as router_module
from modelops.router.request_counters import RequestCounters
from modelops.router.routing_table import CANARY, Route


def counted(router: Router, track: str = "stable") -> tuple[int, int]:
    """Requests and errors of a track."""
    found = router._counters.as_report()["tracks"][track]
    return found["requests"], found["errors"]


@pytest.fixture
def router(mount: Mount) -> Any:
    mount.write(agents_yaml())
    with Router("docs", file=mount.file, watch=None) as found:
        yield found


@pytest.mark.parametrize(
    "stop",
    [asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit, concurrent.futures.CancelledError],
)
def test_a_cancelled_request_is_not_counted(router: Router, stop: type[BaseException]) -> None:
    with pytest.raises(stop), router.request("session"):
        raise stop
    assert counted(router) == (0, 0)


@pytest.mark.parametrize("stop", [asyncio.CancelledError, GeneratorExit])
def test_a_request_that_failed_before_it_was_cancelled_is_an_error(
    router: Router, stop: type[BaseException]
) -> None:
    def answer() -> None:
        with router.request("session") as request:
            request.ok = False
            raise stop

    with pytest.raises(stop):
        answer()
    assert counted(router) == (1, 1)


@pytest.mark.parametrize("failure", [ValueError, TimeoutError, OSError])
def test_an_exception_is_an_error(router: Router, failure: type[Exception]) -> None:
    with pytest.raises(failure), router.request("session"):
        raise failure
    assert counted(router) == (1, 1)


def test_a_stream_that_its_reader_closes_is_not_counted(router: Router) -> None:
    def stream() -> Generator[str, None, None]:
        with router.request("session"):
            yield "one"
            yield "two"

    reading = stream()
    assert next(reading) == "one"
    reading.close()
    assert counted(router) == (0, 0)


def test_a_cancelled_task_is_not_counted(router: Router) -> None:
    async def ask(started: asyncio.Event) -> None:
        with router.request("session"):
            started.set()
            await asyncio.Event().wait()

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(ask(started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert counted(router) == (0, 0)


@pytest.mark.parametrize(
    "given_tokens", [None, "12", "many", float("nan"), float("inf"), -5, 10**40, object(), 1.7]
)
def test_tokens_of_any_kind_leave_the_answer_as_it_is(router: Router, given_tokens: Any) -> None:
    with router.request("session") as request:
        request.tokens = given_tokens
        request.cost_micro_usd = given_tokens
        answer = "hello"
    assert answer == "hello"
    assert counted(router) == (1, 0)


@given(st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text()), max_size=5))
def test_the_operator_accepts_every_report_that_a_router_makes(values: list[Any]) -> None:
    counters = RequestCounters()
    for value in values:
        counters.observe(
            Route(track=CANARY, model="m", served_model="m"),
            ok=True,
            latency_ms=value if isinstance(value, float) else 1.0,
            tokens=value,
            cost_micro_usd=value,
            fallback=False,
        )
    report = {
        "agent": "docs",
        "process": "p",
        "generation": 1,
        "models": counters.models_in_use([]),
        **counters.as_report(),
    }
    assert ReportBody.model_validate(report).tracks.canary.requests == 0 or values


@pytest.mark.parametrize("key", [0, "0", UUID(int=7), 3.5, b"bytes"])
def test_a_key_of_any_type_is_one_session_that_stays_where_its_text_is(mount: Mount, key: object) -> None:
    mount.write(agents_yaml(weight=50))
    with Router("docs", file=mount.file, watch=None) as router:
        tracks = {router.pick(key).track for _ in range(50)}
        assert tracks == {router.pick(str(key)).track}
        assert router.state().unkeyed == 0


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_is_a_session_for_each_request(mount: Mount, key: str | None) -> None:
    mount.write(agents_yaml(weight=50))
    with Router("docs", file=mount.file, watch=None) as router:
        for _ in range(3):
            router.pick(key)
        assert router.state().unkeyed == 3


async def _sends_later(request: Request) -> str:
    raise ConnectionError


def _streams(request: Request) -> Generator[str, None, None]:
    yield "one"
    raise ConnectionError


@pytest.mark.parametrize(
    ("send", "instead"),
    [(_sends_later, "await the answer inside"), (_streams, "iterate over the answer inside")],
)
@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.filterwarnings("error")
def test_an_answer_that_is_still_to_come_is_refused_and_no_success(
    mount: Mount, send: Any, instead: str, fallback: bool
) -> None:
    mount.write(agents_yaml(weight=100))
    with Router("docs", file=mount.file, watch=None) as router:
        with pytest.raises(TypeError, match=instead):
            router.call("session", send, fallback=fallback)
        assert counted(router, "canary") == (1, 1)


# --- a canary that stops answering


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_TEST_KEY", "key")
    monkeypatch.setattr(router_module, "FILE_POLL_SECONDS", 0.02)
    monkeypatch.setattr(reachability_module, "FIRST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(reachability_module, "CONFIRM_SECONDS", 0.05)


@contextmanager
def canary(mount: Mount, *, weight: int) -> Iterator[tuple[Recorder, Router]]:
    """An endpoint that answers, and a router that has reached it as its canary."""
    with recording() as endpoint:
        mount.write(agents_yaml(weight=weight, endpoint_url=f"{endpoint.url}/v1"))
        with Router("docs", file=mount.file, watch=None) as router:
            eventually(lambda: router.state().canary_reachable)
            yield endpoint, router


@pytest.mark.usefixtures("_fast")
def test_a_failed_request_makes_the_router_look_again_whether_the_canary_answers(mount: Mount) -> None:
    with canary(mount, weight=100) as (endpoint, router):
        endpoint.status = 503

        def fails() -> bool:
            router.observe(router.pick("session"), ok=False, latency_ms=5.0)
            return router.state().canary_reachable is False

        eventually(fails)
        assert router.state().canary_error == "HTTP503"
        endpoint.status = 200
        eventually(lambda: router.state().canary_reachable)


@pytest.mark.usefixtures("_fast")
def test_one_failed_check_of_a_canary_that_was_reached_is_not_reported(mount: Mount) -> None:
    with canary(mount, weight=100) as (endpoint, router):
        check, seen = router._canary_check, []
        check._on_result = lambda: seen.append(check.reachable)
        checks = len(endpoint.requests)
        endpoint.status = 503
        eventually(lambda: check.check_again() or len(endpoint.requests) > checks)
        endpoint.status = 200
        eventually(lambda: len(endpoint.requests) > checks + 1 and not check._doubted)
        assert seen == []
        assert router.state().canary_reachable


@pytest.mark.usefixtures("_fast")
def test_a_failed_request_to_stable_starts_no_check(mount: Mount) -> None:
    with canary(mount, weight=0) as (endpoint, router):
        router._canary_check._checked_at = float("-inf")
        router.observe(router.pick("session"), ok=False, latency_ms=5.0)
        assert not router._canary_check._changed.is_set()
        assert len(endpoint.requests) == 1
