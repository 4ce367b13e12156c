"""Answers of services that differ from the documentation, read by the real SDK: each is one answer or one failed call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.loopback_server import serving
from tests.unit.evaluation.asked import request

from modelops.evaluation.model_client import ModelClient, is_final
from modelops.evaluation.reply import Reply
from modelops.evaluation.request import Arm

KEY = "sk-secret-key-of-the-arm"


@dataclass
class Service:
    """Answers each request with the next of `answers`: status, headers, body. The last one is given again."""

    url: str = ""
    calls: int = 0
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            found.calls += 1
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as url:
        found.url = f"{url}/v1"
        yield found


Ask = Callable[..., Reply]


@pytest.fixture
def ask(service: Service, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("KEY", KEY)
    return lambda *answers: ask_with(service, *answers)


def ask_with(service: Service, *answers: tuple[int, dict[str, str], bytes]) -> Reply:
    """One question; the service gives these answers."""

    async def call() -> Reply:
        arm = Arm(model="m", base_url=service.url, api_key_env="KEY", version="v1.0.0")
        client = ModelClient("baseline", arm, prompt=request().prompt)
        try:
            return await client.ask([{"role": "user", "content": "x"}])
        finally:
            await client.close()

    service.answers, service.calls = list(answers), 0
    return asyncio.run(call())


def ok(message: Any, *, finish: Any = "stop", **more: Any) -> tuple[int, dict[str, str], bytes]:
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        **more,
    }
    return 200, {}, json.dumps(body).encode()


def said(content: Any, **more: Any) -> tuple[int, dict[str, str], bytes]:
    return ok({"role": "assistant", "content": content}, **more)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("half \ud83d of a pair", "half ? of a pair"),
        ([{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}], "two parts"),
        ([{"type": "thinking", "thinking": []}, {"type": "text", "text": "answer"}], "answer"),
        (["a", "b"], "ab"),
        ([], None),
        ([{"type": "image_url"}], None),
        (None, None),
        (7, None),
        ({"text": "x"}, None),
    ],
)
def test_content_as_text_or_as_parts_is_read(ask: Ask, content: Any, text: str | None) -> None:
    reply = ask(said(content))
    assert (reply.text, reply.error) == (
        text,
        None if text is not None else "an answer without a text (finish_reason stop)",
    )


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "many", {"prompt_tokens": "12"}, {"prompt_tokens": None, "completion_tokens": 1.0},
     {"prompt_tokens": -1}, {"prompt_tokens": [1]}, {"cost": "a lot"}, {"cost": {}}, {"cost": -1}, {"cost": True}],
)  # fmt: skip
def test_usage_of_any_kind_spoils_no_answer(ask: Ask, usage: Any) -> None:
    reply = ask(said("good", usage=usage))
    assert (reply.text, reply.error) == ("good", None)
    assert reply.prompt_tokens is None or reply.prompt_tokens >= 0
    assert reply.cost_usd is None or Decimal(reply.cost_usd) >= 0


KEYS = ("choices", "message", "content", "usage", "finish_reason", "text", "cost", "model")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYS, "tool_calls", "function_call", "function", "name", "arguments"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(
    value=json_values,
    where=st.sampled_from(
        ["body", "choices", "choice", "message", "content", "calls", "function", "usage", "finish"]
    ),
)
def test_any_json_is_a_text_or_a_failed_call(service: Service, value: Any, where: str) -> None:
    answers = {
        "body": (200, {}, json.dumps(value).encode()),
        "choices": (200, {}, json.dumps({"choices": value}).encode()),
        "choice": (200, {}, json.dumps({"choices": [value]}).encode()),
        "message": ok(value),
        "content": said(value),
        "calls": ok({"role": "assistant", "tool_calls": value}),
        "function": ok({"role": "assistant", "tool_calls": [{"function": value}]}),
        "usage": said("x", usage=value),
        "finish": said("x", finish=value),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY", KEY)
        reply = ask_with(service, answers[where])
    assert isinstance(reply.text, str) != isinstance(reply.error, str)
    assert json.dumps(
        [reply.text, reply.calls, reply.finish, reply.model, reply.cost_usd, reply.prompt_tokens]
    )


def called(arguments: Any, name: Any = "read") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("message", "text", "calls"),
    [
        ({"content": None, "tool_calls": [{"id": "c1", **called('{"n": 1}')}]}, "", [called('{"n": 1}')]),
        (
            {"content": "I look.", "tool_calls": [called("{}"), called("")]},
            "I look.",
            [called("{}"), called("")],
        ),
        ({"tool_calls": [called({"n": True})]}, "", [called('{"n": true}')]),
        ({"content": None, "function_call": {"name": "read", "arguments": "{}"}}, "", [called("{}")]),
        ({"content": None, "tool_calls": [called("{}", 7)]}, "", [called("{}", "")]),
        ({"content": None, "tool_calls": [called("half \ud83d")]}, "", [called("half ?")]),
        ({"content": "x", "tool_calls": None}, "x", []),
        ({"content": "x", "tool_calls": {}}, "x", []),
    ],
)
def test_a_call_of_a_tool_is_an_answer(
    ask: Ask, message: dict[str, Any], text: str, calls: list[dict[str, Any]]
) -> None:
    reply = ask(ok({"role": "assistant", **message}, finish="tool_calls"))
    assert (reply.text, list(reply.calls), reply.error, reply.attempts) == (text, calls, None, 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"error": {"message": "max_tokens is too large: 9000", "code": 400}}',
            "max_tokens is too large: 9000",
        ),
        (b'{"detail": [{"msg": "x"}]}', ""),
        (b'{"message": "no such parameter"}', "no such parameter"),
        (b"plain words", "plain words"),
        (b"<html>502</html>", ""),
        (b"<Error><Code>SlowDown</Code><Message>Reduce</Message></Error>", "SlowDown: Reduce"),
        (f'{{"error": "bad key {KEY}"}}'.encode(), "bad key ***"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_a_refusal_keeps_the_services_words_without_the_key(ask: Ask, body: bytes, words: str) -> None:
    reply = ask((400, {}, body))
    assert reply.status == 400
    assert reply.error == (f"HTTP 400: {words}" if words else "HTTP 400")


def test_a_retry_after_that_is_a_date_or_nonsense_is_no_failure(ask: Ask) -> None:
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    nonsense = {"Retry-After": "nan"}
    reply = ask((429, past, b""), (503, nonsense, b""), said("good"))
    assert (reply.text, reply.attempts) == ("good", 3)


@pytest.mark.parametrize(
    ("status", "final"),
    [
        (400, True),
        (402, True),
        (404, True),
        (413, True),
        (408, False),
        (429, False),
        (500, False),
        (None, False),
    ],
)
def test_a_refusal_is_final_and_an_outage_is_not(status: int | None, final: bool) -> None:
    assert is_final(status) is final


def in_body(error: Any) -> tuple[int, dict[str, str], bytes]:
    """A service that fails while the model answers says so in the body of an answer 200 (OpenRouter, "Errors")."""
    return 200, {}, json.dumps({"error": error, "user_id": "u"}).encode()


def test_error_in_the_body_of_an_answer_is_said_in_the_services_words(ask: Ask) -> None:
    reply = ask(in_body({"code": 502, "message": "Provider returned error"}))
    assert (reply.error, reply.status) == ("an answer with error 502: Provider returned error", 502)
    reply = ask(in_body({"message": "the model crashed"}))
    assert (reply.error, reply.status) == ("an answer without content: the model crashed", None)
    choice = {"index": 0, "message": {"content": "half"}, "finish_reason": "error"}
    broken = {"id": "1", "choices": [{**choice, "error": {"code": 429, "message": "too many requests"}}]}
    reply = ask((200, {}, json.dumps(broken).encode()), said("good"))
    assert (reply.text, reply.attempts) == ("good", 2)


@pytest.mark.parametrize(("finish", "calls"), [("length", 1), ("content_filter", 1), ("stop", 3), (None, 3)])
def test_answer_without_a_text_is_asked_for_again_only_where_the_model_may_warm_up(
    ask: Ask, service: Service, finish: str | None, calls: int
) -> None:
    reply = ask(said(None, finish=finish))
    assert (service.calls, reply.without_text, reply.finish) == (calls, True, finish)
    assert ask(said(None, finish="stop"), said("warm")).text == "warm"


def test_question_that_moderation_flags_says_nothing_about_the_key(ask: Ask) -> None:
    flagged = {"reasons": ["violence"], "flagged_input": "kill ... process", "provider_name": "p"}
    body = json.dumps({"error": {"code": 403, "message": "Input was flagged", "metadata": flagged}}).encode()
    reply = ask((403, {}, body))
    assert (reply.error, reply.is_about_the_question) == ("HTTP 403: Input was flagged", True)
    assert not ask((403, {}, b'{"error": {"message": "no"}}')).is_about_the_question
