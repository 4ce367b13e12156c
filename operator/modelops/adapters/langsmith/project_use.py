"""How often an agent was asked in a time, and what its model calls cost, from the statistics of its project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from modelops.adapters.langsmith.errors import translated_errors

if TYPE_CHECKING:
    from langsmith import Client


@dataclass(frozen=True, kw_only=True)
class ProjectUse:
    """The use of one project. `usd` is what LangSmith has as the cost of the runs; 0 where they carry none."""

    requests: int
    usd: Decimal
    prompt_tokens: int
    completion_tokens: int


def use_of_project(client: Client, project: str, *, since: datetime) -> ProjectUse:
    """The root runs since then, with cost and tokens of their model calls. Raises LangSmithError."""
    with translated_errors(doing=f"reading the statistics of project {project!r}", url=client.api_url):
        found, start = client.read_project(project_name=project).id, since.isoformat()
        requests = client.get_run_stats(project_ids=[found], start_time=start, is_root=True)
        calls = client.get_run_stats(project_ids=[found], start_time=start, run_type="llm")
    return ProjectUse(
        requests=_count(requests.get("run_count")),
        usd=max(_usd(requests.get("total_cost")), _usd(calls.get("total_cost"))),
        prompt_tokens=_count(calls.get("prompt_tokens")),
        completion_tokens=_count(calls.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _usd(value: Any) -> Decimal:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() and found > 0 else Decimal(0)
