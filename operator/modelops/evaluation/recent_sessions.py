"""How many sessions the agent had in the last 7 days, for the forecast of a canary.

It decides nothing by itself: whatever is not known is left out, and no failure here ends the check.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from modelops.adapters.langsmith.errors import LangSmithError
from modelops.adapters.langsmith.project_sessions import sessions_of_project
from modelops.datasets.download import connect_langsmith
from modelops.evaluation.request import Request
from modelops.workdir import ProgramFailure

DAYS: Final = 7
LONGEST_SECONDS: Final = 15.0
"""Of each request to LangSmith, with its retries."""


def recent_sessions(request: Request) -> dict[str, Any] | None:
    """Sessions and failed ones, the seconds that they cover, and where that comes from; None where it is not known."""
    if not request.project:
        return None
    now = datetime.now(UTC)
    try:
        client = connect_langsmith(seconds=LONGEST_SECONDS)
        try:
            found = sessions_of_project(client, request.project, since=now - timedelta(days=DAYS), now=now)
        finally:
            client.close(timeout=0)
    except (LangSmithError, ProgramFailure):
        return None
    by = "" if found.threaded else ", a run without a thread counted as a session"
    days = found.seconds / 86400
    covered = f"{days:.0f} days" if days >= 2 else f"{found.seconds / 3600:.1f} hours"
    return {
        "sessions": found.sessions,
        "failed": found.failed,
        "seconds": round(found.seconds),
        "message": f"{found.sessions:,} in {covered} in LangSmith project {request.project}{by}",
    }
