"""The meaning of the API server's answers: the errors for a status, and the parsed objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

from modelops.domain.retry_after import retry_after_seconds
from modelops.ports import Conflict, Json, Missing, Refused, Unavailable, Uncertain

Verb = Literal["get", "list", "watch", "create", "update_status", "patch", "delete"]
READ_VERBS = frozenset({"get", "list", "watch"})


class Expired(Exception):
    """HTTP 410: the resourceVersion is too old; list again."""


class NotFound(Exception):
    """HTTP 404 for a read."""


class Unauthorized(Exception):
    """HTTP 401."""


def error_of_status(verb: Verb, status: int, content: bytes, *, retry_after: str | None) -> Exception:
    """The error that a failed answer means.

    A 5xx other than 503 does not say whether a write was carried out: etcd may have it.
    """
    message = status_message(content) or f"HTTP {status}"
    if status == 401:
        return Unauthorized(
            f"the API server does not accept the operator's credentials: {message}; renew the token or certificate"
        )
    if status == 404:
        return NotFound(message) if verb in READ_VERBS else Missing(message)
    if status == 410 and verb in READ_VERBS:
        return Expired(message)
    if status == 409:
        return Conflict(message)
    seconds = retry_after_seconds(retry_after, now=datetime.now(UTC))
    if status in (429, 503):
        return Unavailable(message, retry_after=seconds)
    if status < 500:
        return Refused(message)
    if verb in READ_VERBS:
        return Unavailable(message, retry_after=seconds)
    return Uncertain(message)


def parse_object(verb: Verb, content: bytes) -> Json:
    """The JSON object of a successful answer. Other content comes from a proxy before the API server."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    message = f"{verb}: the answer is not a JSON object; check for a proxy before the API server"
    raise Unavailable(message) if verb in READ_VERBS else Uncertain(message)


def status_message(content: bytes) -> str:
    """The message of a Kubernetes Status object; for other text its start, for other JSON an empty string."""
    try:
        answer = json.loads(content)
    except ValueError:
        return content[:200].decode(errors="replace")
    return str(answer.get("message", "")) if isinstance(answer, dict) else ""
