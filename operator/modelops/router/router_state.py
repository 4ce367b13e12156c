"""The state of a router, as `Router.state` returns it."""

from __future__ import annotations

from typing import NamedTuple

from modelops.router.source_precedence import Source


class RouterState(NamedTuple):
    """The state of a router at one moment, for logs, metrics and health checks."""

    agent: str
    process: str
    source: Source
    watch_live: bool
    generation: int
    weight: int
    canary_reachable: bool | None
    canary_error: str | None
    config_errors: int
    last_error: str | None
    watch_losses: int
    unkeyed: int
    reports_sent: int
    reports_failed: int
