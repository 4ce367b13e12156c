"""Numbers about an agent's traffic, measured by Prometheus or LangSmith."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class PrometheusQuestion:
    """An instant query, and where it is asked. `url` is the address before /api/v1/query; the token may be empty."""

    url: str
    token: str = field(repr=False, default="")
    query: str

    @property
    def service(self) -> str:
        return f"Prometheus at {self.url}"


@dataclass(frozen=True, kw_only=True)
class LangSmithQuestion:
    """A number of the runs of one version in a project, at most `window_seconds` old."""

    key: str = field(repr=False)
    project: str
    measure: str
    feedback_key: str = ""
    version_key: str
    version: str
    window_seconds: int
    min_runs: int

    @property
    def service(self) -> str:
        return "LangSmith"


MetricQuestion = PrometheusQuestion | LangSmithQuestion


class MetricProvider(Protocol):
    """Answers questions; never on the event loop for long."""

    async def measure(self, question: MetricQuestion) -> float:
        """The number, which may be NaN or infinite.

        Raises Unavailable where there is no answer now, and Refused where there is one that is no number; the message
        says what was answered and has no secret.
        """
        ...

    async def close(self) -> None:
        """Releases connections and threads."""
        ...
