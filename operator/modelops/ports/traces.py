"""LangSmith traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Traces(Protocol):
    """LangSmith traces of every action, best effort: never block and never raise."""

    def action(
        self,
        action: str,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        agent: str,
        outputs: Mapping[str, Any],
    ) -> None: ...
