"""The runs of a project, by the route that the server has.

LangSmith 0.16 has POST /api/v2/runs/query (in the SDK `client.runs.query`), and LangSmith's own service takes the route
before it, POST /runs/query (`client.list_runs`), only until February 2027. Older self-hosted servers have that one
alone. The SDK calls the new route by another HTTP client, without the ends and the retries of `BoundedAdapter`; so both
are called here, by the client's own session.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from modelops.adapters.langsmith.errors import status_of, translated_errors
from modelops.adapters.langsmith.wire import JsonValue, asked_json

if TYPE_CHECKING:
    from langsmith import Client

QUERY_V2: Final = "/api/v2/runs/query"
QUERY_V1: Final = "/runs/query"
FIRST_WITH_V2: Final = (0, 16)
LONGEST_KEPT: Final = timedelta(days=400)
"""LangSmith keeps no run longer. The new route looks at one day where no start is given."""
_PAGE: Final = 100
_NO_ROUTE: Final = (404, 405, 501)
"""HTTP statuses of a server, or of a proxy before it, without the new route."""
_FIELDS: Final = ("inputs", "outputs", "error", "extra", "feedback_stats", "start_time")
_OUTCOME_FIELDS: Final = ("error", "end_time", "feedback_stats", "start_time", "total_cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One run. `started` has a time zone. `feedback_stats` maps a feedback key to its numbers, such as `avg`."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    error: str | None
    extra: Mapping[str, Any]
    feedback_stats: Mapping[str, Any]
    started: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How one run went, without what it was about. `seconds` is None while it has not ended, `usd` where unknown."""

    failed: bool
    seconds: float | None
    usd: Decimal | None
    feedback_stats: Mapping[str, Any]


def list_outcomes(
    client: Client, project: str, *, since: datetime, metadata: tuple[str, str], limit: int
) -> Iterator[RunOutcome]:
    """The root runs since then whose metadata has this key and value, the newest first. Raises as `list_runs`."""
    wanted = (
        f"and(eq(metadata_key, {json.dumps(metadata[0])}), eq(metadata_value, {json.dumps(metadata[1])}))"
    )
    with translated_errors(doing=f"reading runs of project {project!r}", url=client.api_url):
        project_id = str(client.read_project(project_name=project).id)
        found = _runs(
            client,
            project_id,
            since=since,
            run_type=None,
            is_root=True,
            fields=_OUTCOME_FIELDS,
            matching=wanted,
        )
        yield from (_outcome(one) for one in islice(found, limit))


def list_runs(
    client: Client,
    project: str,
    *,
    since: datetime | None = None,
    run_type: str | None = None,
    is_root: bool | None = None,
    limit: int | None = None,
    fields: Sequence[str] = _FIELDS,
) -> Iterator[LoggedRun]:
    """The project's runs that match, the newest first; `since`: that started then or later.

    `fields`: what is read of each run; the others are empty. `start_time` must be among them.

    Raises NotFound where there is no such project, and other LangSmithErrors.
    """
    with translated_errors(doing=f"reading runs of project {project!r}", url=client.api_url):
        project_id = str(client.read_project(project_name=project).id)
        found = _runs(client, project_id, since=since, run_type=run_type, is_root=is_root, fields=fields)
        yield from (_run(one) for one in islice(found, limit))


def _runs(
    client: Client,
    project_id: str,
    *,
    since: datetime | None,
    run_type: str | None,
    is_root: bool | None,
    fields: Sequence[str] = _FIELDS,
    matching: str = "",
) -> Iterator[Mapping[str, Any]]:
    if _may_have_v2(client.info.version or ""):
        body: dict[str, JsonValue] = {
            "project_ids": [project_id],
            "min_start_time": (since or datetime.now(UTC) - LONGEST_KEPT).astimezone(UTC).isoformat(),
            "selects": [name.upper() for name in fields],
            "page_size": _PAGE,
            **({"run_type": run_type.upper()} if run_type else {}),
            **({} if is_root is None else {"is_root": is_root}),
            **({"filter": matching} if matching else {}),
        }
        first = _first_of_v2(client, body)
        if first is not None:
            yield from _pages(client, _address_v2(client), body, first)
            return
    body = {
        "session": [project_id],
        "select": [*fields, "id"],
        "limit": _PAGE,
        **({"start_time": since.isoformat()} if since else {}),
        **({"run_type": run_type} if run_type else {}),
        **({} if is_root is None else {"is_root": is_root}),
        **({"filter": matching} if matching else {}),
    }
    yield from _pages(client, QUERY_V1, body, asked_json(client, QUERY_V1, body))


def _may_have_v2(version: str) -> bool:
    """Whether a server of this version has the new route; one that names no version is asked."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    return not numbers or numbers >= FIRST_WITH_V2


def _first_of_v2(client: Client, body: Mapping[str, JsonValue]) -> Any:
    """The first page of the new route; None where the server does not have it."""
    from langsmith.utils import LangSmithError as SdkError

    try:
        return asked_json(client, _address_v2(client), body)
    except SdkError as error:
        if status_of(error) in _NO_ROUTE:
            return None
        raise


def _pages(
    client: Client, path: str, body: Mapping[str, JsonValue], page: Any
) -> Iterator[Mapping[str, Any]]:
    """The runs of this page and of those that follow it. The two routes name things differently."""
    while True:
        yield from page["items"] if "items" in page else page["runs"]
        following = page["next_cursor"] if "items" in page else (page.get("cursors") or {}).get("next")
        if not following:
            return
        page = asked_json(client, path, {**body, "cursor": following})


def _address_v2(client: Client) -> str:
    """The route's address: it is beside `/api/v1`, which the address of a self-hosted server may end with."""
    return f"{re.sub('/api(/v1)?$', '', client.api_url.rstrip('/'))}{QUERY_V2}"


def _run(found: Mapping[str, Any]) -> LoggedRun:
    """Raises KeyError, TypeError or ValueError where it is no run. LangSmith's times without a zone are in UTC."""
    started = _moment(found["start_time"])
    return LoggedRun(
        id=str(UUID(str(found["id"]))),
        inputs=found.get("inputs") or {},
        outputs=found.get("outputs") or {},
        error=found.get("error") or None,
        extra=found.get("extra") or {},
        feedback_stats=found.get("feedback_stats") or {},
        started=started,
    )


def _outcome(found: Mapping[str, Any]) -> RunOutcome:
    ended = found.get("end_time")
    seconds = (_moment(ended) - _moment(found["start_time"])).total_seconds() if ended else None
    return RunOutcome(
        failed=bool(found.get("error")),
        seconds=seconds,
        usd=_usd(found.get("total_cost")),
        feedback_stats=found.get("feedback_stats") or {},
    )


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _usd(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found > 0 else None
