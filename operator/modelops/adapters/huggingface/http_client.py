"""The HTTP client that `huggingface_hub` uses: its errors say whether a request was sent and answered.

The SDK's own client has no timeouts, and its retries sleep in the few threads of the connection for as long
as a rate limit says (utils/_http.py, `_http_backoff_base`). This client has timeouts and raises errors that
the SDK does not know, so the SDK does not retry them; the engine's queue does.

Imported only where the SDK is needed, because it imports `httpx2`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import httpx2
from huggingface_hub import HfApi, get_session
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import (
    hf_raise_for_status,
    hf_request_event_hook,
    parse_ratelimit_headers,
)

from modelops.adapters.certificates import certificate_problem
from modelops.adapters.huggingface.errors import (
    AddressNotAllowed,
    AnswerLost,
    RequestNotSent,
    RetryableStatus,
)
from modelops.domain.retry_after import retry_after_seconds

TIMEOUT = httpx2.Timeout(connect=5.0, pool=5.0, write=10.0, read=20.0)
"""Together below the settle period, so that a submission has ended before the engine lists jobs by its label."""
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that the SDK itself would retry."""

ERROR_BYTES = 500
ERROR_SECONDS = 2.0
"""How much of the body of a retryable status is read for the message, and for how long."""

READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_allowed: ContextVar[frozenset[str]] = ContextVar("modelops_allowed_origins", default=frozenset())
_before_write: ContextVar[Callable[[], None] | None] = ContextVar("modelops_before_write", default=None)
_on_rate_limit: ContextVar[Callable[[str, int], None] | None] = ContextVar(
    "modelops_on_rate_limit", default=None
)


@contextmanager
def requests_only_to(
    origins: frozenset[str],
    *,
    before_write: Callable[[], None] | None = None,
    on_rate_limit: Callable[[str, int], None] | None = None,
) -> Iterator[None]:
    """Inside the block, this thread may send requests to these origins only.

    `before_write` is called right before every request that may change something; an error that it raises ends the
    call. `on_rate_limit` is called with the bucket and the remaining requests that an answer names.
    """
    allowed, previous_guard = _allowed.set(origins), _before_write.set(before_write)
    previous_listener = _on_rate_limit.set(on_rate_limit)
    try:
        yield
    finally:
        _on_rate_limit.reset(previous_listener)
        _before_write.reset(previous_guard)
        _allowed.reset(allowed)


def origin(url: str | httpx2.URL) -> str:
    """`scheme://host:port` in lower case; without the port where it is the default of the scheme."""
    parsed = httpx2.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}".lower()


class RestrictedClient(httpx2.Client):
    """`httpx2.Client` with precise errors and a list of allowed origins."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Sends one request.

        Raises AddressNotAllowed, RequestNotSent, AnswerLost, RetryableStatus for `RETRYABLE_STATUSES`, and the
        errors of the gate.
        """
        if origin(request.url) not in _allowed.get():
            raise AddressNotAllowed(origin(request.url))
        guard = _before_write.get()
        if guard is not None and request.method.upper() not in READ_METHODS:
            # Here, not at the start of the call: it may have waited for a thread for longer than a lease lasts.
            guard()
        # The SDK passes timeout=None in some places, which means no timeout.
        timeouts: dict[str, float | None] = request.extensions.setdefault("timeout", {})
        for name, seconds in TIMEOUT.as_dict().items():
            if timeouts.get(name) is None:
                timeouts[name] = seconds
        try:
            response = super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise RequestNotSent(certificate_problem(error) or type(error).__name__) from None
        except httpx2.UnsupportedProtocol:
            raise RequestNotSent(
                f"{request.url.scheme!r} is not a supported protocol, use http or https"
            ) from None
        except httpx2.RequestError as error:
            raise AnswerLost(type(error).__name__) from None
        _report_rate_limit(response)
        if response.status_code in RETRYABLE_STATUSES:
            raise _retryable_status(response)
        return response


def _report_rate_limit(response: httpx2.Response) -> None:
    listener = _on_rate_limit.get()
    limit = parse_ratelimit_headers(response.headers) if listener is not None else None
    if listener is not None and limit is not None:
        listener(limit.resource_type, limit.remaining)


def _retryable_status(response: httpx2.Response) -> RetryableStatus:
    body = _beginning(response).decode(errors="replace")
    return RetryableStatus(response.status_code, body=body, retry_after=retry_after(response.headers))


def _beginning(response: httpx2.Response) -> bytes:
    """The first bytes of the body, as far as they arrive in time; empty where it cannot be read. Closes the response.

    Timeouts are those of one read: a body that never ends would hold the thread.
    """
    if response.is_closed:
        return response.content[:ERROR_BYTES]
    found, until = bytearray(), time.monotonic() + ERROR_SECONDS
    try:
        for chunk in response.iter_bytes():
            found += chunk
            if len(found) >= ERROR_BYTES or time.monotonic() > until:
                break
    except httpx2.RequestError:
        return b""
    finally:
        response.close()
    return bytes(found[:ERROR_BYTES])


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `RateLimit` (draft-ietf-httpapi-ratelimit-headers-09) or `Retry-After`."""
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    return retry_after_seconds(headers.get("retry-after"), now=datetime.now(UTC))


@contextmanager
def open_stream(
    api: HfApi, url: str, *, params: Mapping[str, str | int] | None = None
) -> Iterator[httpx2.Response]:
    """A GET whose body is not read yet. Raises the errors of `RestrictedClient` and those of the SDK."""
    headers = build_hf_headers(token=api.token)
    with get_session().stream("GET", url, headers=headers, params=params) as response:
        if response.status_code >= 400:
            response.read()
        hf_raise_for_status(response)
        yield response


def get_status(api: HfApi, url: str, *, seconds: float) -> int | None:
    """The status of a GET that follows no redirect; None where no answer arrives within `seconds`.

    The body is not read: it is the endpoint's, and may never end.
    """
    headers = build_hf_headers(token=api.token)
    try:
        with get_session().stream(
            "GET", url, headers=headers, timeout=seconds, follow_redirects=False
        ) as answer:
            return answer.status_code
    except RetryableStatus as error:
        return error.status
    except (AnswerLost, RequestNotSent):
        return None


def new_client() -> httpx2.Client:
    """The factory for `huggingface_hub.set_client_factory`."""
    return RestrictedClient(
        event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=TIMEOUT
    )
