"""How many sessions an agent had lately, from the root runs of its project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from modelops.adapters.langsmith.runs import LoggedRun, list_runs

if TYPE_CHECKING:
    from langsmith import Client

MOST_RUNS: Final = 2_000
"""Runs that are read, the newest first. With more of them the rate is that of the time that these cover."""
_FIELDS: Final = ("error", "extra", "start_time")
THREAD_KEYS: Final = ("session_id", "thread_id", "conversation_id")
"""Metadata by which LangSmith joins runs to a thread (https://docs.langchain.com/langsmith/threads)."""


@dataclass(frozen=True, kw_only=True)
class ProjectSessions:
    """Sessions in these seconds; `failed` had an error. `threaded`: whether all runs named their thread."""

    sessions: int
    failed: int
    runs: int
    seconds: float
    threaded: bool


def sessions_of_project(client: Client, project: str, *, since: datetime, now: datetime) -> ProjectSessions:
    """The sessions of the root runs since then. A run without a thread is a session. Raises LangSmithError."""
    failed: dict[str, bool] = {}
    runs, named, oldest = 0, 0, now
    for run in list_runs(client, project, since=since, is_root=True, limit=MOST_RUNS, fields=_FIELDS):
        thread = _thread_of(run)
        key = thread or f"run/{run.id}"
        failed[key] = failed.get(key, False) or run.error is not None
        runs, named, oldest = runs + 1, named + bool(thread), min(oldest, run.started)
    start = oldest if runs >= MOST_RUNS else since
    return ProjectSessions(
        sessions=len(failed),
        failed=sum(failed.values()),
        runs=runs,
        seconds=max(1.0, (now - start).total_seconds()),
        threaded=runs > 0 and named == runs,
    )


def _thread_of(run: LoggedRun) -> str:
    metadata = run.extra.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    return next(
        (f"{name}/{metadata[name]}" for name in THREAD_KEYS if metadata.get(name) not in (None, "")), ""
    )
