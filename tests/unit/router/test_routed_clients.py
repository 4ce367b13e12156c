"""The routed OpenAI clients: each request goes to the route of its session, is counted once, and falls back once."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import openai
import pytest
from tests.unit.router.loopback import Mount
from tests.unit.router.services import (
    DONE,
    USAGE,
    Gate,
    Service,
    body,
    entry,
    event,
    hang_up,
    service,
    stream,
    whole,
)

from modelops.router import CallsExhausted, EvaluationArm, NoConfiguration, Router

ASKED: list[Any] = [{"role": "user", "content": "Hi"}]
WHOLE = (event(), event("Hel"), event("lo"), event(finish="stop"), USAGE, DONE)


@pytest.fixture
def stable() -> Iterator[Service]:
    with service() as found:
        yield found


@pytest.fixture
def canary() -> Iterator[Service]:
    with service() as found:
        yield found


@pytest.fixture
def router(
    mount: Mount, stable: Service, canary: Service, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Router]:
    """Every session is on the canary."""
    monkeypatch.setenv("STABLE_KEY", "key-of-stable")
    monkeypatch.setenv("CANARY_KEY", "key-of-canary")
    mount.write(entry(stable, canary))
    with Router("docs", file=mount.file, watch=None) as found:
        yield found


def counted(router: Router, track: str = "canary") -> dict[str, int]:
    """The counters of a track that are not 0."""
    found = router._counters.as_report()["tracks"][track]
    names = ("requests", "errors", "fallbacks", "tokens", "costMicroUSD")
    return {name: found[name] for name in names if found[name]}


class Asker:
    """Asks as a program does: plain or by asyncio, whole or in a stream."""

    def __init__(self, *, asynchronous: bool, streamed: bool) -> None:
        self.asynchronous, self.streamed = asynchronous, streamed

    def ask(self, router: Router, key: object = "session", **options: Any) -> str:
        """The text of the answer."""
        if self.asynchronous:
            return asyncio.run(self._ask(router, key, options))
        client = router.openai(key, **options)
        if not self.streamed:
            return (
                client.chat.completions.create(model="docs", messages=ASKED).choices[0].message.content or ""
            )
        chunks = client.chat.completions.create(model="docs", messages=ASKED, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    async def _ask(self, router: Router, key: object, options: dict[str, Any]) -> str:
        client = router.async_openai(key, **options)
        if not self.streamed:
            answer = await client.chat.completions.create(model="docs", messages=ASKED)
            return answer.choices[0].message.content or ""
        found: AsyncIterator[Any] = await client.chat.completions.create(
            model="docs", messages=ASKED, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in found if chunk.choices])

    def answer(self, text: str = "Hello") -> Any:
        """A good answer of a service, in this form."""
        return (
            stream(event(), event(text), event(finish="stop"), USAGE, DONE)
            if self.streamed
            else whole(body(text))
        )


@pytest.fixture(params=["whole", "streamed", "async whole", "async streamed"])
def asker(request: pytest.FixtureRequest) -> Asker:
    return Asker(asynchronous="async" in request.param, streamed="streamed" in request.param)


def test_a_request_goes_to_the_route_of_its_session_with_its_key_and_is_counted(
    router: Router, canary: Service, stable: Service, asker: Asker
) -> None:
    canary.answer = asker.answer()
    assert asker.ask(router) == "Hello"
    ((path, key, asked),) = canary.asked
    assert (path, key) == ("/v1/chat/completions", "Bearer key-of-canary")
    assert (asked["model"], asked["messages"]) == ("tuned", ASKED)
    tokens, cost = (3, 10) if asker.streamed else (7, 12)
    assert counted(router) == {"requests": 1, "tokens": tokens, "costMicroUSD": cost}
    assert (stable.asked, counted(router, "stable")) == ([], {})


FAILURES = {
    "server error": whole({"error": {"message": "no"}}, 500),
    "not found": whole({"detail": "no"}, 404),
    "no connection": hang_up,
    "an error as an answer": whole({"error": {"message": "out of memory", "code": 500}}),
    "nothing said": whole(body("")),
    "no choices": whole(body(choices=[])),
}
STREAM_FAILURES = {
    "server error": whole({"error": {"message": "no"}}, 500),
    "no connection": hang_up,
    "cut off before the first token": stream(event()),
    "error before the first token": stream(
        event(), event(finish="error", error={"message": "no", "code": 500}), DONE
    ),
    "nothing said": stream(event(), event(finish="stop"), DONE),
    "only the end": stream(DONE),
}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize(
    ("streamed", "failure"),
    [
        *[pytest.param(False, answer, id=name) for name, answer in FAILURES.items()],
        *[pytest.param(True, answer, id=f"streamed {name}") for name, answer in STREAM_FAILURES.items()],
    ],
)
def test_stable_answers_once_where_the_canary_fails_before_its_first_token(
    router: Router, canary: Service, stable: Service, streamed: bool, failure: Any, asynchronous: bool
) -> None:
    asker = Asker(asynchronous=asynchronous, streamed=streamed)
    canary.answer, stable.answer = failure, asker.answer("stable says")
    assert asker.ask(router) == "stable says"
    assert [len(canary.asked), len(stable.asked)] == [1, 1]
    ((_, key, asked),) = stable.asked
    assert (key, asked["model"]) == ("Bearer key-of-stable", "org/base")
    found = counted(router)
    assert (found["requests"], found["errors"], found["fallbacks"]) == (1, 1, 1)
    assert counted(router, "stable")["requests"] == 1
    sessions = router._sessions.as_report(0)
    # [bucket, sessions, timed, first failed, touched, ...]: the failure is the canary's session, and none of stable's.
    assert [sessions["canary"]["buckets"][0][1], sessions["stable"]["buckets"]] == [1, []]


def test_where_both_fail_the_error_is_that_of_stable_and_each_counts_once(
    router: Router, canary: Service, stable: Service, asker: Asker
) -> None:
    canary.answer, stable.answer = (
        whole({"error": {"message": "canary"}}, 500),
        whole({"error": {"message": "stable"}}, 503),
    )
    with pytest.raises(openai.InternalServerError, match="stable"):
        asker.ask(router)
    assert [len(canary.asked), len(stable.asked)] == [1, 1]
    assert counted(router) == {"requests": 1, "errors": 1, "fallbacks": 1}
    assert counted(router, "stable") == {"requests": 1, "errors": 1}


def test_without_fallback_the_error_of_the_canary_is_raised(
    router: Router, canary: Service, asker: Asker
) -> None:
    canary.answer = whole({"error": {"message": "busy"}}, 503)
    with pytest.raises(openai.InternalServerError, match="busy"):
        asker.ask(router, fallback=False)
    assert counted(router) == {"requests": 1, "errors": 1}


def test_each_retry_that_a_program_asks_for_is_a_request_of_its_own(
    router: Router, canary: Service, stable: Service, asker: Asker
) -> None:
    canary.answer = stable.answer = whole({"error": {"message": "busy"}}, 503)
    with pytest.raises(openai.InternalServerError):
        asker.ask(router, max_retries=1)
    assert [len(canary.asked), len(stable.asked)] == [2, 2]
    assert counted(router) == {"requests": 2, "errors": 2, "fallbacks": 2}


def test_a_key_that_is_missing_for_the_canary_is_its_failure(
    router: Router, stable: Service, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CANARY_KEY")
    stable.answer = asker.answer()
    assert asker.ask(router) == "Hello"
    assert counted(router) == {"requests": 1, "errors": 1, "fallbacks": 1}
    monkeypatch.delenv("STABLE_KEY")
    with pytest.raises(openai.OpenAIError, match=r"STABLE_KEY.*is not set"):
        asker.ask(router)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"total_tokens": None, "cost": None},
        {"total_tokens": "3", "cost": "free"},
        {"cost": -1},
    ],
    ids=str,
)
def test_a_usage_of_any_form_does_not_spoil_an_answer(router: Router, canary: Service, usage: Any) -> None:
    for asker in (Asker(asynchronous=False, streamed=False), Asker(asynchronous=False, streamed=True)):
        given = {} if usage is None else {"usage": usage}
        answer = {name: value for name, value in body().items() if name != "usage"}
        canary.answer = (
            stream(event("Hello"), event(finish="stop", **given), DONE)
            if asker.streamed
            else whole({**answer, **given})
        )
        assert asker.ask(router, fallback=False) == "Hello"
    assert counted(router) == {"requests": 2}


def test_strange_chunks_are_passed_on_and_do_not_spoil_a_stream(router: Router, canary: Service) -> None:
    canary.answer = stream(
        ": keep-alive\n\n",
        "event: ping\n",
        'data: {"choices": [null], "usage": 4}\n\n',
        'data: {"choices": {"a": 1}, "id": 7}\n\n',
        "data: []\n\n",
        event("Hel").replace("\n\n", "\r\n\r\n"),
        event("lo"),
        event(finish="stop"),
        DONE,
    )
    chunks = router.openai("session").chat.completions.create(model="docs", messages=ASKED, stream=True)
    said = []
    for chunk in chunks:
        choices = getattr(chunk, "choices", None)
        said += [choice.delta.content for choice in choices if choice] if isinstance(choices, list) else []
    assert "".join(text or "" for text in said) == "Hello"
    assert counted(router) == {"requests": 1}


def test_a_compressed_answer_is_read(router: Router, canary: Service) -> None:
    import json

    def compressed(handler: Any, _: Any) -> None:
        text = gzip.compress(json.dumps(body()).encode())
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    canary.answer = compressed
    assert Asker(asynchronous=False, streamed=False).ask(router) == "Hello"
    assert counted(router)["tokens"] == 7


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ((event("Hello"), DONE), {"requests": 1, "errors": 1}),
        ((event("Hello"),), {"requests": 1, "errors": 1}),
        ((event("Hello"), event(finish="length"), DONE), {"requests": 1}),
    ],
    ids=["no finish reason", "cut off", "without usage"],
)
def test_a_stream_is_an_answer_only_if_the_model_ended_it_and_it_does_not_begin_again(
    router: Router, canary: Service, stable: Service, events: tuple[str, ...], outcome: dict[str, int]
) -> None:
    canary.answer = stream(*events)
    assert Asker(asynchronous=False, streamed=True).ask(router) == "Hello"
    assert (counted(router), stable.asked) == (outcome, [])


def test_an_error_after_the_first_token_is_raised_and_counted(
    router: Router, canary: Service, stable: Service, asker: Asker
) -> None:
    canary.answer = stream(event("Hel"), event(finish="error", error={"message": "disconnected"}), DONE)
    with pytest.raises(openai.APIError, match="disconnected"):
        Asker(asynchronous=asker.asynchronous, streamed=True).ask(router)
    assert (counted(router), stable.asked) == ({"requests": 1, "errors": 1}, [])


def test_a_reader_who_leaves_a_stream_says_nothing_of_the_model(router: Router, canary: Service) -> None:
    gate = Gate()
    canary.answer = stream(event("Hel"), then=gate.wait)
    chunks = router.openai("session").chat.completions.create(model="docs", messages=ASKED, stream=True)
    assert next(chunks).choices[0].delta.content == "Hel"
    chunks.close()
    gate.open()
    assert counted(router) == {}


def test_a_reader_who_leaves_after_the_end_has_had_the_answer(router: Router, canary: Service) -> None:
    canary.answer = stream(*WHOLE)
    with router.openai("session").chat.completions.create(
        model="docs", messages=ASKED, stream=True
    ) as chunks:
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].finish_reason:
                break
    assert counted(router)["requests"] == 1
    assert "errors" not in counted(router)


@pytest.mark.parametrize("begun", [False, True], ids=["before the first token", "after it"])
def test_a_cancelled_task_says_nothing_of_the_model_and_asks_nobody_else(
    router: Router, canary: Service, stable: Service, begun: bool
) -> None:
    gate = Gate()
    canary.answer = stream(*([event("Hel")] if begun else []), then=gate.wait)

    async def ask(reading: asyncio.Event) -> None:
        client = router.async_openai("session")
        reading.set() if not begun else None
        async for _ in await client.chat.completions.create(model="docs", messages=ASKED, stream=True):
            reading.set()

    async def cancel() -> None:
        reading = asyncio.Event()
        task = asyncio.create_task(ask(reading))
        await reading.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open()

    asyncio.run(cancel())
    assert (counted(router), stable.asked, counted(router, "stable")) == ({}, [], {})


def test_a_time_limit_is_an_error_of_the_canary(
    router: Router, canary: Service, stable: Service, asker: Asker
) -> None:
    gate = Gate()
    canary.answer, stable.answer = stream(then=gate.wait), asker.answer()
    try:
        assert asker.ask(router, timeout=0.2) == "Hello"
    finally:
        gate.open()
    assert counted(router) == {"requests": 1, "errors": 1, "fallbacks": 1}


def test_the_responses_api_is_routed_and_counted(router: Router, canary: Service) -> None:
    canary.answer = whole(
        {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "model": "tuned",
            "status": "completed",
            "output": [
                {
                    "id": "m",
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
                }
            ],
            "usage": {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5},
        }
    )
    assert router.openai("session").responses.create(model="docs", input="Hi").output_text == "Hello"
    assert canary.asked[0][2]["model"] == "tuned"
    assert counted(router) == {"requests": 1, "tokens": 5}


def test_what_is_no_answer_of_the_model_is_refused_or_not_counted(router: Router) -> None:
    client = router.openai("session")
    assert list(client.models.list()) == []
    with pytest.raises(openai.OpenAIError, match=r"POST /embeddings is not routed"):
        client.embeddings.create(model="e", input="text")
    with pytest.raises(TypeError, match="base_url is the route's"):
        router.openai("session", base_url="http://elsewhere")
    assert counted(router) == {}


def test_without_a_configuration_the_error_is_that_of_pick(tmp_path: Any, asker: Asker) -> None:
    with Router("docs", file=tmp_path / "none.yaml", watch=None) as router, pytest.raises(NoConfiguration):
        asker.ask(router)


def test_in_an_evaluation_the_clients_ask_the_model_of_the_evaluation(
    router: Router, canary: Service, stable: Service, asker: Asker
) -> None:
    stable.answer = asker.answer()
    route = {"model": "candidate", "endpoint_url": stable.url, "api_key_env": "STABLE_KEY", "version": "v9"}
    with EvaluationArm("docs", route, max_calls=1) as arm:
        assert asker.ask(router) == "Hello"
        with pytest.raises(CallsExhausted):
            asker.ask(router)
    assert arm.report()["served"] == {"version": "v9", "models": ["m"], "calls": 1, "failed": 0}
    assert arm.report()["usage"]["total_tokens"] == (3 if asker.streamed else 7)
    assert (canary.asked, counted(router), counted(router, "stable")) == ([], {}, {})


def test_the_sessions_of_a_router_share_its_connections_also_where_a_client_is_closed(
    router: Router, canary: Service
) -> None:
    for number in range(3):
        with router.openai(number) as client:
            client.chat.completions.create(model="docs", messages=ASKED)
    assert len(canary.asked) == 3
    assert router._connections.shared is not None
    router.close()
    assert router._connections.shared is None


def test_a_proxy_of_the_environment_does_not_take_the_requests_away_from_the_router(
    router: Router, canary: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert Asker(asynchronous=False, streamed=False).ask(router) == "Hello"
    assert len(canary.asked) == 1


def test_any_hashable_key_has_one_route_in_pick_and_in_the_clients(
    mount: Mount, stable: Service, canary: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 13: 0 was no key, so that its session jumped."""
    monkeypatch.setenv("STABLE_KEY", "s")
    monkeypatch.setenv("CANARY_KEY", "c")
    mount.write(entry(stable, canary, weight=50))
    keys = [0, "0", 1, False, "", ("owner/repo", 7), frozenset({4}), 2.5, b"bytes", UUID(int=4), "thread-1"]
    with ExitStack() as stack:
        first, second = (stack.enter_context(Router("docs", file=mount.file, watch=None)) for _ in range(2))
        for key in keys:
            if key == "" and isinstance(key, str):
                continue
            picked = {router.pick(key).track for router in (first, second) for _ in range(20)}
            assert len(picked) == 1, key
            before = [len(stable.asked), len(canary.asked)]
            for _ in range(2):
                first.openai(key).chat.completions.create(model="docs", messages=ASKED)
            asked = [len(stable.asked) - before[0], len(canary.asked) - before[1]]
            assert asked == ([2, 0] if picked == {"stable"} else [0, 2]), key
        assert first.pick(0).track == first.pick("0").track
        assert first.state().unkeyed == 0
        tracks = first._counters.as_report()["tracks"]
        # 0 and "0" are one session, as everywhere else.
        assert tracks["stable"]["sessions"] + tracks["canary"]["sessions"] == len(keys) - 2


def test_connections_of_loops_that_have_ended_are_not_kept(router: Router) -> None:
    asker = Asker(asynchronous=True, streamed=False)
    for _ in range(4):
        asker.ask(router)
    assert len(router._connections.of_loop) == 1


def test_a_client_of_before_a_fork_does_not_use_the_connections_of_the_parent(router: Router) -> None:
    client = router.openai("session")
    client.chat.completions.create(model="docs", messages=ASKED)
    parents, reading, writing = router._connections.shared, *os.pipe()
    connections = router._connections
    child = os.fork()
    if child == 0:
        try:
            client.chat.completions.create(model="docs", messages=ASKED)
            os.write(writing, b"own" if connections.shared is not parents else b"shared")
        finally:
            os._exit(0)
    os.close(writing)
    try:
        assert os.read(reading, 10) == b"own"
    finally:
        os.close(reading)
        os.waitpid(child, 0)
