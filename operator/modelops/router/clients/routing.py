"""What these clients need of a `Router`, which itself imports them when they are asked for."""

from __future__ import annotations

from typing import Protocol

from modelops.router.request import Request
from modelops.router.routing_table import Route


class Routing(Protocol):
    """The part of `modelops.router.Router` that the clients use."""

    agent: str

    def pick(self, session_key: object) -> Route:
        """See `Router.pick`."""

    def request(self, session_key: object) -> Request:
        """See `Router.request`."""

    def _helping_request(self) -> Request:
        """A request of stable that answers for a canary that failed."""

    def _stable_model(self) -> str | None:
        """The stable model; None where nothing could be read yet."""
