"""Each caller may call so often in a minute."""

from __future__ import annotations

import pytest

from modelops.mcp_server.rate import RateLimit
from modelops.tools.errors import ToolRefused


class Clock:
    time = 100.0

    def __call__(self) -> float:
        return self.time


def test_a_caller_waits_after_too_many_calls_and_others_do_not() -> None:
    clock = Clock()
    limit = RateLimit(6, clock=clock)
    for _ in range(6):
        limit.admit("alice")
    with pytest.raises(ToolRefused, match="6 a minute are allowed; try again in 10 s"):
        limit.admit("alice")
    limit.admit("bob")
    clock.time += 10
    limit.admit("alice")
    with pytest.raises(ToolRefused):
        limit.admit("alice")


def test_a_refused_call_costs_nothing_and_rest_fills_the_bucket_only_once() -> None:
    clock = Clock()
    limit = RateLimit(2, clock=clock)
    limit.admit("alice")
    limit.admit("alice")
    for _ in range(10):
        with pytest.raises(ToolRefused):
            limit.admit("alice")
    clock.time += 3600
    limit.admit("alice")
    limit.admit("alice")
    with pytest.raises(ToolRefused):
        limit.admit("alice")
