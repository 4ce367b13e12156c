"""Sending a notification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """What became of one request. `problem`: empty where it was taken; never has the URL in it."""

    problem: str = ""
    retry_after: float | None = None
    """Seconds that the receiver asks to wait."""
    final: bool = False
    """Whether another try would be refused in the same way."""


class NotificationSender(Protocol):
    """Sends one request, once. Never raises for what the receiver or the network does."""

    async def send(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """POST the body."""

    async def close(self) -> None:
        """Closes the connections."""
