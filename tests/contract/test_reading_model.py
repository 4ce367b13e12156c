"""A chat model of LangChain over HTTP, with the SDK of OpenAI, that helps to read messages.

It speaks to a server with given answers, to the sandbox's OpenRouter, whose models take no tools, and to a server that
never ends its answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from openai import AsyncOpenAI
from tests.loopback_server import EndlessAnswer, serving

from modelops.infra_agent.readers import Reader
from modelops.infra_agent.understanding import Intent, Understanding
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.openrouter.catalogue import MODELS

UNSURE = "could docs maybe profit from ls://docs/pairs somehow"


class OpenAIModel(BaseChatModel):
    """A chat model of LangChain on any server that speaks OpenAI's protocol."""

    base_url: str
    api_key: str = "key"
    name: str = "a-model"

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    def _generate(self, messages: list[BaseMessage], *args: Any, **given: Any) -> ChatResult:
        raise NotImplementedError("the graph is asynchronous")

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **given: Any) -> ChatResult:
        async with AsyncOpenAI(base_url=self.base_url, api_key=self.api_key, max_retries=0) as client:
            asked: Any = [{"role": "user", "content": str(one.content)} for one in messages]
            reply = await client.chat.completions.create(
                model=self.name, messages=asked, tools=given["tools"]
            )
        said = reply.choices[0].message
        calls: list[Any] = [
            {"name": one.function.name, "args": json.loads(one.function.arguments), "id": one.id, "type": "tool_call"}
            for one in said.tool_calls or []
            if one.type == "function"
        ]  # fmt: skip
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage(said.content or "", tool_calls=calls))]
        )

    def bind_tools(self, tools: Any, **given: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])


class Scripted(BaseHTTPRequestHandler):
    """Answers each request with `arguments` as the call of the one tool that was sent."""

    arguments = "{}"
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        function = {"name": body["tools"][0]["function"]["name"], "arguments": self.arguments}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": function}],
        }
        choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "a-model",
            "choices": [choice],
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())


@contextmanager
def answering(arguments: str) -> Iterator[tuple[OpenAIModel, list[dict[str, Any]]]]:
    """A model that answers with these arguments, and what it was asked."""
    asked: list[dict[str, Any]] = []
    handler = type("Given", (Scripted,), {"arguments": arguments, "asked": asked})
    with serving(handler) as url:
        yield OpenAIModel(base_url=f"{url}/v1"), asked


async def read(model: BaseChatModel, *, seconds: float = 10) -> Understanding:
    return await Reader(model=model, seconds=seconds)(UNSURE, (), ("docs", "cicd"))


async def test_an_answer_in_the_form_that_was_asked_for_counts() -> None:
    with answering('{"intent": "train", "agent": "docs", "question": null, "why": "a wish"}') as (
        model,
        asked,
    ):
        found = await read(model)
    assert (found.intent, found.agent, found.slots.dataset) == (Intent.TRAIN, "docs", "ls://docs/pairs")
    assert found.by_model
    (request,) = asked
    assert UNSURE in request["messages"][0]["content"]
    parameters = request["tools"][0]["function"]["parameters"]
    assert "approve" in parameters["properties"]["intent"]["enum"] or "$defs" in parameters
    assert set(parameters["properties"]) == {"intent", "agent", "question", "why"}


@pytest.mark.parametrize(
    "arguments",
    ['{"intent": "obey"}', '{"intent": "train", "max_usd": 900}', "{}", '{"intent": ["train"]}', "not json"],
)
async def test_an_answer_in_another_form_is_a_question(arguments: str) -> None:
    with answering(arguments) as (model, _):
        found = await read(model)
    assert found.intent is Intent.AMBIGUOUS
    assert not found.by_model


async def test_a_model_without_tools_is_a_question(sandbox: SandboxInfo) -> None:
    model = OpenAIModel(base_url=sandbox.openrouter, api_key=sandbox.openrouter_key, name=next(iter(MODELS)))
    assert (await read(model)).intent is Intent.AMBIGUOUS


async def test_a_model_that_does_not_end_its_answer_is_a_question() -> None:
    with serving(EndlessAnswer) as url:
        found = await read(OpenAIModel(base_url=f"{url}/v1"), seconds=0.5)
    assert found.intent is Intent.AMBIGUOUS


async def test_a_model_that_is_not_there_is_a_question() -> None:
    assert (await read(OpenAIModel(base_url="http://127.0.0.1:1/v1"))).intent is Intent.AMBIGUOUS
