"""A small agent behind HTTP, to copy: it answers a chat with the model that the router picks for the session.

`POST /sessions/{session}/chat` with `{"messages": [...]}`; `GET /healthz` says which version serves. `POST /evaluate`
answers the questions of evaluations with `target: agent`, with the token in MODELOPS_EVALUATION_TOKEN.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from openai import AsyncOpenAI, OpenAIError
from pydantic import BaseModel

from modelops.router import (
    EvaluationNotAllowed,
    Route,
    Router,
    evaluation_arm,
    require_evaluation_token,
)

AGENT = os.environ.get("AGENT", "docs")
SECONDS = 60.0
"""Time limit of a call. It raises an error, which counts; a cancelled request does not."""


class Chat(BaseModel):
    """The messages of a conversation, oldest first."""

    messages: list[dict[str, Any]]


class Question(Chat):
    """A question of an evaluation: what is asked, and `route`, the model that must answer it."""

    session: str
    route: dict[str, Any]
    tools: list[dict[str, Any]] = []
    max_calls: int | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One router for the process. Closing it sends its last counters."""
    app.state.router = Router(AGENT)
    yield
    app.state.router.close()


app = FastAPI(title=f"agent {AGENT}", lifespan=lifespan)


@app.post("/sessions/{session}/chat")
async def chat(session: str, asked: Chat) -> dict[str, Any]:
    """The answer of the model. All calls of a session go to the same model."""
    message, route = await ask_model(session, asked.messages)
    return {"answer": message.content, "version": route.version, "track": route.track}


async def ask_model(
    session: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None
) -> tuple[Any, Route]:
    """The message of the model that the router picks, and the route to it."""
    try:
        with app.state.router.request(session) as request:
            route = request.route
            client = AsyncOpenAI(
                base_url=route.endpoint_url,
                api_key=os.environ[route.api_key_env],
                timeout=SECONDS,
                max_retries=0,
            )
            offered: dict[str, Any] = {"tools": tools} if tools else {}
            async with client:
                reply = await client.chat.completions.create(
                    model=route.served_model,
                    messages=messages,  # type: ignore[arg-type]
                    **offered,
                )
            request.model = reply.model
            request.tokens = getattr(reply.usage, "total_tokens", None)
            choice = reply.choices[0]
            said = choice.message.content or choice.message.tool_calls
            request.ok = choice.finish_reason is not None and bool(said)
    except OpenAIError as error:  # The block above has counted it.
        raise HTTPException(502, f"the model did not answer: {type(error).__name__}") from error
    return choice.message, route


@app.post("/evaluate")
async def evaluate(asked: Question, authorization: Annotated[str | None, Header()] = None) -> dict[str, Any]:
    """The answer to a question of an evaluation, with the model that it names, and what served it."""
    try:
        arm = evaluation_arm(AGENT, asked.route, authorization=authorization, max_calls=asked.max_calls)
    except EvaluationNotAllowed as error:
        raise HTTPException(401, str(error)) from error
    with arm:
        message, _ = await ask_model(asked.session, asked.messages, asked.tools)
    calls = [call.model_dump() for call in message.tool_calls or ()]
    return {"answer": message.content, "tool_calls": calls, **arm.report()}


@app.get("/evaluate", status_code=204)
async def may_evaluate(authorization: Annotated[str | None, Header()] = None) -> None:
    """Whether the token is the right one: asked before an evaluation is paid for."""
    try:
        require_evaluation_token(authorization)
    except EvaluationNotAllowed as error:
        raise HTTPException(401, str(error)) from error


@app.get("/healthz")
async def healthz() -> dict[str, Any]:
    """The routing that this process uses."""
    state = app.state.router.state()
    return {"generation": state.generation, "weight": state.weight}
