"""The routed chat model of LangChain: a ChatOpenAI whose requests are routed, counted and sent to stable once."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.router.loopback import Mount
from tests.unit.router.services import DONE, USAGE, Gate, Service, body, entry, event, service, stream, whole
from tests.unit.router.test_routed_clients import counted

from modelops.router import Router

pytest.importorskip("langchain_openai")

TOOL_CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"term": "PEP 8"}'},
}


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


def ask(model: Any, way: str) -> str:
    """The text of the answer, asked in one of the four ways."""

    async def read() -> str:
        return "".join([str(chunk.content) async for chunk in model.astream("Hi")])

    match way:
        case "invoke":
            return str(model.invoke("Hi").content)
        case "ainvoke":
            return str(asyncio.run(model.ainvoke("Hi")).content)
        case "stream":
            return "".join(str(chunk.content) for chunk in model.stream("Hi"))
        case _:
            return asyncio.run(read())


WAYS = ["invoke", "ainvoke", "stream", "astream"]


def answer(way: str, text: str = "Hello") -> Any:
    return (
        stream(event(), event(text), event(finish="stop"), USAGE, DONE)
        if "stream" in way
        else whole(body(text))
    )


@pytest.mark.parametrize("way", WAYS)
def test_it_asks_the_route_of_its_session_and_is_counted(
    router: Router, canary: Service, stable: Service, way: str
) -> None:
    canary.answer = answer(way)
    assert ask(router.chat_model("session", temperature=0.5), way) == "Hello"
    ((path, key, asked),) = canary.asked
    assert (path, key, asked["model"]) == ("/v1/chat/completions", "Bearer key-of-canary", "tuned")
    assert asked["temperature"] == 0.5
    assert counted(router)["requests"] == 1
    assert counted(router)["tokens"] == (3 if "stream" in way else 7)
    assert stable.asked == []


@pytest.mark.parametrize("way", WAYS)
def test_stable_answers_once_where_the_canary_fails(
    router: Router, canary: Service, stable: Service, way: str
) -> None:
    canary.answer, stable.answer = whole({"error": {"message": "no"}}, 500), answer(way, "stable says")
    assert ask(router.chat_model("session"), way) == "stable says"
    assert [len(canary.asked), len(stable.asked)] == [1, 1]
    found = counted(router)
    assert (found["requests"], found["errors"], found["fallbacks"]) == (1, 1, 1)


def test_tools_are_bound_as_with_any_chat_model(router: Router, canary: Service) -> None:
    def look_up(term: str) -> str:
        """Look up a term."""
        return term

    message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    canary.answer = whole(body(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}]))
    said = router.chat_model("session").bind_tools([look_up]).invoke("What is PEP 8?")
    assert said.tool_calls[0]["args"] == {"term": "PEP 8"}
    assert canary.asked[0][2]["tools"][0]["function"]["name"] == "look_up"
    assert "errors" not in counted(router)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_reader_who_leaves_says_nothing_of_the_model(router: Router, canary: Service, way: str) -> None:
    gate = Gate()
    canary.answer = stream(event("Hel"), then=gate.wait)
    model = router.chat_model("session")

    async def leave() -> None:
        chunks = model.astream("Hi")
        assert (await anext(chunks)).content == "Hel"
        await chunks.aclose()

    if way == "astream":
        asyncio.run(leave())
    else:
        chunks = model.stream("Hi")
        assert next(chunks).content == "Hel"
        chunks.close()
    gate.open()
    assert counted(router) == {}


def test_the_address_and_the_key_are_the_routes(router: Router) -> None:
    with pytest.raises(TypeError, match="api_key is the route's"):
        router.chat_model("session", api_key="mine")
