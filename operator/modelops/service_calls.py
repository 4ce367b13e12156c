"""Counts the calls of services that a program makes: its result names them, for the operator's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

OK: Final = "ok"
UNAVAILABLE: Final = "Unavailable"
REFUSED: Final = "Refused"
OUTCOMES: Final = (OK, UNAVAILABLE, REFUSED)
"""As in `modelops_external_calls_total` (the errors of `ports`)."""


class ServiceCalls:
    """The calls since `begin`. `run` tells this run of a program from the others in its folder."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forgets what was counted."""
        self.run = uuid4().hex
        self._outcomes: dict[str, Counter[str]] = {}
        self._retries: Counter[str] = Counter()

    def add(self, api: str, outcome: str, *, failed_before: int = 0) -> None:
        """Counts a call that was made again `failed_before` times, after as many temporary failures."""
        outcomes = self._outcomes.setdefault(api, Counter())
        outcomes[outcome] += 1
        if failed_before:
            outcomes[UNAVAILABLE] += failed_before
            self._retries[api] += failed_before

    def document(self) -> Mapping[str, Any]:
        """For the key `calls` of `result.json`."""
        services = {
            api: {"outcomes": dict(outcomes), "retries": self._retries[api]}
            for api, outcomes in self._outcomes.items()
        }
        return {"run": self.run, "services": services}


CALLS: Final = ServiceCalls()
"""Of this process."""
