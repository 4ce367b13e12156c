"""Injected faults: how a service fails, for which calls, and how often."""

import asyncio
import itertools
import random
import re
from typing import Annotated, Literal, Self

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Kind = Literal["status", "delay", "latency", "stall", "drop_before", "lost_answer"]


class Fault(BaseModel):
    """One fault. Matching faults are applied in the order in which they were added.

    Delays add up. The first fault of another kind ends the call.

    - `status`: responds with `status`, `headers` and `body` instead of the service. 429 has the rate limit
      headers of the real service, with `retry_after` seconds.
    - `delay`: waits `seconds`, then the service responds. `latency`: the same with `ms` plus up to `jitter_ms`.
    - `stall`: keeps the connection open for `seconds` without a response, then closes it.
    - `drop_before`: closes the connection; the service does not receive the call.
    - `lost_answer`: the service handles the call; the connection is closed before the response is sent.
    """

    model_config = ConfigDict(extra="forbid")

    service: str
    kind: Kind
    method: str | None = None
    path_regex: str = ""
    """A regular expression that is searched for in the path, without the query string."""
    times: Annotated[int, Field(ge=1)] | None = 1
    """The number of calls that it affects; null: all until it is removed."""
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the matching calls that it affects."""
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    retry_after: Annotated[int, Field(ge=0)] = 1
    seconds: Annotated[float, Field(ge=0)] = 1.0
    ms: Annotated[float, Field(ge=0)] = 0.0
    jitter_ms: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("path_regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "status") != (self.status is not None):
            raise ValueError("kind 'status' needs a status, the other kinds take none")
        return self

    def matches(self, service: str, method: str, path: str) -> bool:
        """Whether the fault affects such a call."""
        return (
            self.service == service
            and (self.method is None or self.method.upper() == method)
            and re.search(self.path_regex, path) is not None
        )


class Faults:
    """The active faults. They are only in memory: after a restart the sandbox has none."""

    def __init__(self, seed: int = 0) -> None:
        self._numbers = itertools.count(1)
        self._faults: dict[int, Fault] = {}
        self._left: dict[int, int] = {}
        self._random = random.Random(seed)

    def add(self, fault: Fault) -> int:
        """Add a fault and return its number."""
        number = next(self._numbers)
        self._faults[number] = fault
        if fault.times is not None:
            self._left[number] = fault.times
        return number

    def remove(self, number: int) -> bool:
        """Remove a fault. Returns False if there is none of that number."""
        self._left.pop(number, None)
        return self._faults.pop(number, None) is not None

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self._left.clear()

    def listed(self) -> list[dict[str, object]]:
        """Return the active faults with their numbers and how many calls they still affect."""
        return [
            {"id": number, "left": self._left.get(number), **fault.model_dump()}
            for number, fault in self._faults.items()
        ]

    def take(self, service: str, method: str, path: str) -> list[Fault]:
        """Return the faults that affect this call, in order, and count them as used."""
        hits = []
        for number, fault in list(self._faults.items()):
            if not fault.matches(service, method, path):
                continue
            if fault.rate < 1 and self._random.random() >= fault.rate:
                continue
            hits.append(fault)
            if number in self._left:
                self._left[number] -= 1
                if self._left[number] == 0:
                    self.remove(number)
            if fault.kind not in ("delay", "latency"):
                break
        return hits

    def middleware(self, service: str) -> Middleware:
        """Return a middleware that applies the faults of one service to its calls."""

        @web.middleware
        async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
            for fault in self.take(service, request.method, request.path):
                match fault.kind:
                    case "delay":
                        await asyncio.sleep(fault.seconds)
                    case "latency":
                        await asyncio.sleep((fault.ms + self._random.random() * fault.jitter_ms) / 1000)
                    case "status":
                        return status_response(fault, service)
                    case "stall":
                        await _stall(request, fault.seconds)
                        return _dropped(request)
                    case "drop_before":
                        return _dropped(request)
                    case "lost_answer":
                        await handler(request)
                        return _dropped(request)
            return await handler(request)

        return apply


class DroppedResponse(web.Response):
    """Stands for a response that was never sent."""


def status_response(fault: Fault, service: str) -> web.Response:
    """Return the response of a `status` fault."""
    status = fault.status or 500
    headers = {"Content-Type": "application/json"}
    if status == 429:
        headers |= rate_limit_headers(service, fault.retry_after)
    body = fault.body if fault.body is not None else f'{{"error":"sandbox fault: HTTP {status}"}}'
    return web.Response(status=status, text=body, headers=headers | fault.headers)


def rate_limit_headers(service: str, seconds: int) -> dict[str, str]:
    """Return the headers of a 429 of the real service. The Hub's follow draft-ietf-httpapi-ratelimit-headers-09."""
    if service in ("hub", "endpoints"):
        return {
            "RateLimit": f'"api";r=0;t={seconds}',
            "RateLimit-Policy": '"fixed window";"api";q=1000;w=300',
        }
    return {"Retry-After": str(seconds), "X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0"}


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return DroppedResponse()


async def _stall(request: web.Request, seconds: float) -> None:
    """Wait `seconds`, or until the caller closes the connection."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(0.05)
