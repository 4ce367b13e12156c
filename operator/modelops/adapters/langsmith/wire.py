"""Requests to LangSmith that the SDK offers no confirmed form of.

`Client.create_run` and `batch_ingest_runs` log a failed upload (with part of the key) and return as if it had
worked. These go through the client's own session, headers and retries, and raise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from langsmith import Client

JsonValue = str | int | float | bool | None | Mapping[str, "JsonValue"] | Sequence["JsonValue"]


def post_json(client: Client, path: str, body: Mapping[str, JsonValue]) -> None:
    """POST one JSON document; raises the SDK's own errors (see `errors.reported`)."""
    client.request_with_retries(
        "POST",
        path,
        request_kwargs={
            "data": json.dumps(body, allow_nan=False).encode(),
            "headers": {"Content-Type": "application/json"},
        },
    )


def post_runs(client: Client, runs: Sequence[Mapping[str, JsonValue]]) -> None:
    """POST /runs/batch: create these runs, or overwrite those with the same id."""
    from langsmith.utils import LangSmithConflictError

    try:
        post_json(client, "/runs/batch", {"post": runs, "patch": []})
    except LangSmithConflictError:
        # An earlier attempt of ours was accepted and only its answer got lost; the SDK ignores it too.
        return


def dotted_order(run: UUID, started: float) -> str:
    """The order key of a root run: start time to the microsecond, then its id (langsmith.run_trees)."""
    moment = datetime.fromtimestamp(started, UTC)
    return f"{moment:%Y%m%dT%H%M%S%f}Z{run}"
