"""A small agent behind HTTP, to copy: it answers a chat with the model that the router picks for the session.

`POST /sessions/{session}/chat` with `{"messages": [...]}`; `GET /healthz` says which version serves.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI, OpenAIError
from pydantic import BaseModel

from modelops.router import Router

AGENT = os.environ.get("AGENT", "docs")
SECONDS = 60.0
"""Time limit of a call. It raises an error, which counts; a cancelled request does not."""


class Chat(BaseModel):
    """The messages of a conversation, oldest first."""

    messages: list[dict[str, Any]]


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
    try:
        with app.state.router.request(session) as request:
            route = request.route
            client = AsyncOpenAI(
                base_url=route.endpoint_url,
                api_key=os.environ[route.api_key_env],
                timeout=SECONDS,
                max_retries=0,
            )
            async with client:
                reply = await client.chat.completions.create(
                    model=route.served_model,
                    messages=asked.messages,  # type: ignore[arg-type]
                )
            request.tokens = getattr(reply.usage, "total_tokens", None)
            choice = reply.choices[0]
            request.ok = choice.finish_reason is not None and bool(choice.message.content)
    except OpenAIError as error:  # The block above has counted it.
        raise HTTPException(502, f"the model did not answer: {type(error).__name__}") from error
    return {"answer": choice.message.content, "version": route.version, "track": route.track}


@app.get("/healthz")
async def healthz() -> dict[str, Any]:
    """The routing that this process uses."""
    state = app.state.router.state()
    return {"generation": state.generation, "weight": state.weight}
