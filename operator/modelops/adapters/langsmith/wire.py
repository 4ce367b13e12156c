"""Requests to LangSmith whose success is confirmed, which the SDK does not offer.

`Client.create_run` and `batch_ingest_runs` log a failed upload (with part of the key) and return as if it had
succeeded. The functions here use the client's session, headers and retries, and raise an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from langsmith import Client

JsonValue = str | int | float | bool | None | Mapping[str, "JsonValue"] | Sequence["JsonValue"]


def post_json(client: Client, path: str, body: Mapping[str, JsonValue]) -> None:
    """Sends one JSON document (POST). Raises the SDK's own errors (see `errors.translated_errors`)."""
    _post(client, path, body)


def asked_json(client: Client, path: str, body: Mapping[str, JsonValue]) -> Any:
    """The JSON of the answer to a POST that reads, to a path of the API or to a whole address. Raises as `post_json`,
    and ValueError where the answer is no JSON."""
    return _post(client, path, body).json()


def _post(client: Client, path: str, body: Mapping[str, JsonValue]) -> Any:
    return client.request_with_retries(
        "POST",
        path,
        request_kwargs={
            "data": json.dumps(body, allow_nan=False).encode(),
            "headers": {"Content-Type": "application/json"},
        },
    )


def post_runs(client: Client, runs: Sequence[Mapping[str, JsonValue]]) -> None:
    """Creates these runs, or overwrites those with the same id (POST /runs/batch)."""
    from langsmith.utils import LangSmithConflictError

    try:
        post_json(client, "/runs/batch", {"post": runs, "patch": []})
    except LangSmithConflictError:
        # An earlier try was accepted and only its answer was lost. The SDK ignores this error, too.
        return


def post_feedback(client: Client, entries: Sequence[Mapping[str, JsonValue]]) -> bool:
    """Creates this feedback, or overwrites that with the same id, in one request (POST /runs/multipart), as the SDK
    does. False where the server does not take it so; then `post_json` to /feedback does it one by one."""
    from langsmith.utils import LangSmithConflictError

    config = client.info.batch_ingest_config
    if not config or not config.get("use_multipart_endpoint"):
        return False
    boundary = uuid4().hex
    body = b"".join(_part(boundary, f"feedback.{entry['id']}", entry) for entry in entries)
    try:
        client.request_with_retries(
            "POST",
            "/runs/multipart",
            request_kwargs={
                "data": body + f"--{boundary}--\r\n".encode(),
                "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
            },
        )
    except LangSmithConflictError:
        return True  # As for runs: an earlier try was accepted.
    return True


def _part(boundary: str, name: str, document: Mapping[str, JsonValue]) -> bytes:
    content = json.dumps(document, allow_nan=False).encode()
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: application/json\r\n'
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"


def dotted_order(run: UUID, started: float) -> str:
    """The sort key of a root run: its start time in microseconds, then its id (langsmith.run_trees)."""
    moment = datetime.fromtimestamp(started, UTC)
    return f"{moment:%Y%m%dT%H%M%S%f}Z{run}"
