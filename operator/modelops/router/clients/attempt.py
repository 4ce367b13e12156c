"""One request of a client to one route: what is sent, and how it is counted. No I/O."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import httpx2
from openai import OpenAIError

from modelops.router.clients.answer import Answer
from modelops.router.request import Request
from modelops.router.routing_table import Route

BASE_URL: Final = "http://routed.by.modelops.invalid/v1"
"""The address that the client of `openai` has. No request goes there: the route says where it goes."""
NO_KEY: Final = "routed-by-modelops"
"""The key that the client of `openai` has. No service gets it."""
ANSWERS: Final = ("/chat/completions", "/completions", "/responses")
"""The paths whose answers come from the model, and are counted."""
_NOT_SENT: Final = frozenset({"host", "content-length", "transfer-encoding", "authorization"})
_NOT_PASSED_ON: Final = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


class NotRouted(OpenAIError):
    """The request cannot be sent: it asks for no answer of the model, or its route lacks what is needed."""


class Asked:
    """What the program asks for. Raises NotRouted where the router has no route for it."""

    def __init__(self, request: httpx2.Request) -> None:
        self.request = request
        self.path = request.url.path.removeprefix(httpx2.URL(BASE_URL).path)
        self.body: dict[str, Any] = {}
        if request.method == "GET":
            return
        if self.path not in ANSWERS:
            raise NotRouted(
                f"{request.method} {self.path} is not routed: the router's client sends "
                f"{', '.join(ANSWERS)}; use an OpenAI client of your own for everything else"
            )
        body = json.loads(request.content)
        if not isinstance(body, dict):
            raise NotRouted(f"{self.path}: the body is no JSON object")
        self.body = body

    @property
    def is_counted(self) -> bool:
        """Whether the model answers it. A GET, such as of the list of models, is sent and not counted."""
        return self.request.method != "GET"

    def to(self, route: Route) -> httpx2.Request:
        """The request to a route. Raises NotRouted where the route has no address, or its key is not set."""
        if not route.endpoint_url:
            raise NotRouted(
                f"the {route.track} route has no endpoint_url: add it to the agent's entry of agents.yaml"
            )
        asked = self.request
        headers = [(name, value) for name, value in asked.headers.multi_items() if name not in _NOT_SENT]
        if route.api_key_env:
            key = os.environ.get(route.api_key_env)
            if not key:
                raise NotRouted(
                    f"the variable {route.api_key_env}, which agents.yaml names as the key of the {route.track} "
                    "route, is not set in this process"
                )
            headers.append(("authorization", f"Bearer {key}"))
        query = asked.url.query.decode()
        return httpx2.Request(
            asked.method,
            route.endpoint_url.rstrip("/") + self.path + (f"?{query}" if query else ""),
            headers=headers,
            content=json.dumps({**self.body, "model": route.served_model}).encode() if self.body else None,
            extensions=asked.extensions,  # The time limits of the client are here.
        )

    def is_streamed(self, answer: httpx2.Response) -> bool:
        """Whether the answer comes in events. A service may ignore that it was asked for a stream."""
        kind = answer.headers.get("content-type", "")
        return bool(self.body.get("stream")) and answer.status_code < 400 and "json" not in kind

    @staticmethod
    def passed_on(answer: httpx2.Response) -> list[tuple[str, str]]:
        """The headers of a service's answer for the client, which gets the content decoded."""
        return [(name, value) for name, value in answer.headers.multi_items() if name not in _NOT_PASSED_ON]


class Attempt:
    """A request that is counted once: with its outcome, or not at all if its reader leaves before there is one."""

    def __init__(self, request: Request, *, may_fall_back: bool) -> None:
        self.route = request.route
        self.may_fall_back = may_fall_back
        """Whether stable is asked where this attempt fails before the first token."""
        self.answer = Answer()
        self._request = request.__enter__()
        self._counted = False

    @property
    def is_undecided(self) -> bool:
        """Whether the stream must be held back: nothing was said yet, and stable could still answer instead."""
        return self.may_fall_back and not self.answer.said and not self.answer.has_ended

    def read_body(self, status: int, content: bytes) -> bool:
        """Counts a whole answer; returns whether stable has to answer instead."""
        self.answer.read_body(content)
        ok = status < 400 and self.answer.is_usable
        lost = self.may_fall_back and not ok
        self._count(ok=ok, fallback=lost)
        return lost

    def read_stream(self, chunk: bytes) -> None:
        """Reads the next bytes; the answer is counted when the stream says that it is over."""
        self.answer.read_stream(chunk)
        if self.answer.done and not self.may_fall_back:
            self.end_stream()

    def pass_on(self) -> bool:
        """Decides after the first bytes: False where the stream has ended unsaid, and stable has to answer instead."""
        if self.may_fall_back and not self.answer.said:
            self.answer.end_stream()
        if self.may_fall_back and not self.answer.said:
            self._count(ok=False, fallback=True)
            return False
        self.may_fall_back = False
        if self.answer.done:
            self.end_stream()
        return True

    def end_stream(self) -> None:
        """Counts a stream that has ended. It is an answer only if the model gave a reason for its end."""
        self.answer.end_stream()
        self._count(ok=self.answer.is_whole, fallback=False)

    def leave(self) -> None:
        """The reader leaves. Without an end of the answer this says nothing about the model."""
        if self.answer.has_ended:
            self.end_stream()
        self._counted = True

    def fail(self, error: BaseException) -> None:
        """Counts an error; a cancellation says nothing about the model."""
        if self._counted:
            return
        self._counted = True
        self._fill()
        self._request.fallback = self.may_fall_back
        self._request.__exit__(type(error), error, error.__traceback__)

    def _count(self, *, ok: bool, fallback: bool) -> None:
        if self._counted:
            return
        self._counted = True
        self._fill()
        self._request.ok, self._request.fallback = ok, fallback
        self._request.__exit__(None, None, None)

    def _fill(self) -> None:
        self._request.tokens = self.answer.tokens
        self._request.cost_micro_usd = self.answer.cost_micro_usd
        self._request.model = self.answer.model
