"""The HTTP client that `huggingface_hub` is given: it says exactly whether a request was sent and answered.

The SDK's own client waits for ever, and its retries sleep in our few threads for as long as a rate limit
says (utils/_http.py, `_http_backoff_base`). This one has timeouts, and raises errors that the SDK does not
know and so does not retry: the engine does that, with everything else that it has to do.

Imported only where the SDK is needed: it brings `httpx2` with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
from huggingface_hub import HfApi, get_session
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import (
    hf_raise_for_status,
    hf_request_event_hook,
    parse_ratelimit_headers,
)

from modelops.adapters.huggingface.errors import Answered, LostAnswer, NotAllowed, NotSent

TIMEOUT = httpx2.Timeout(connect=5.0, pool=5.0, write=10.0, read=20.0)
"""Together less than the settle period: a submission is over before it is looked for by its label."""
LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that the SDK would retry by itself."""

READS = frozenset({"GET", "HEAD", "OPTIONS"})

_allowed: ContextVar[frozenset[str]] = ContextVar("modelops_allowed_origins", default=frozenset())
_gate: ContextVar[Callable[[], None] | None] = ContextVar("modelops_gate", default=None)


@contextmanager
def only_to(origins: frozenset[str], *, gate: Callable[[], None] | None = None) -> Iterator[None]:
    """Inside the block requests of this thread go to these origins, and nowhere else.

    `gate` is asked right before every request that may change something; what it raises ends the call.
    """
    allowed, asked = _allowed.set(origins), _gate.set(gate)
    try:
        yield
    finally:
        _gate.reset(asked)
        _allowed.reset(allowed)


def origin(url: str | httpx2.URL) -> str:
    """`scheme://host:port` in lower case; without the port where it is the scheme's own."""
    parsed = httpx2.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}".lower()


class Client(httpx2.Client):
    """`httpx2.Client` with errors that say what happened, and a list of hosts that it may speak to."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises NotAllowed, NotSent, LostAnswer, Answered for `LATER` statuses, and what the gate raises."""
        if origin(request.url) not in _allowed.get():
            raise NotAllowed(origin(request.url))
        gate = _gate.get()
        if gate is not None and request.method.upper() not in READS:
            # Here, not where the call began: it may have waited for a thread longer than a lease lasts.
            gate()
        # The SDK passes timeout=None here and there, which means for ever.
        timeouts: dict[str, float | None] = request.extensions.setdefault("timeout", {})
        for name, seconds in TIMEOUT.as_dict().items():
            if timeouts.get(name) is None:
                timeouts[name] = seconds
        try:
            response = super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise NotSent(type(error).__name__) from None
        except httpx2.UnsupportedProtocol:
            raise NotSent(f"{request.url.scheme!r} is not a protocol to reach it by") from None
        except httpx2.RequestError as error:
            raise LostAnswer(type(error).__name__) from None
        if response.status_code in LATER:
            raise _answered(response)
        return response


def _answered(response: httpx2.Response) -> Answered:
    try:
        words = response.read()[:500].decode(errors="replace")
    except httpx2.RequestError:
        words = ""
    finally:
        response.close()
    return Answered(response.status_code, words=words, retry_after=retry_after(response.headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `RateLimit` (draft-ietf-httpapi-ratelimit-headers-09) or `Retry-After`."""
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    given = headers.get("retry-after", "").strip()
    return float(given) if given.isdigit() else None


@contextmanager
def opened(
    api: HfApi, url: str, *, params: Mapping[str, str | int] | None = None
) -> Iterator[httpx2.Response]:
    """An answer whose body has not been read yet. Raises the errors of `Client` and those of the SDK."""
    headers = build_hf_headers(token=api.token)
    with get_session().stream("GET", url, headers=headers, params=params) as response:
        if response.status_code >= 400:
            response.read()
        hf_raise_for_status(response)
        yield response


def status_of(api: HfApi, url: str, *, seconds: float) -> int | None:
    """The status of a GET that follows no redirect; None without an answer in that time."""
    headers = build_hf_headers(token=api.token)
    try:
        answer = get_session().get(url, headers=headers, timeout=seconds, follow_redirects=False)
    except Answered as error:
        return error.status
    except (LostAnswer, NotSent):
        return None
    return answer.status_code


def client() -> httpx2.Client:
    """For `huggingface_hub.set_client_factory`."""
    return Client(event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=TIMEOUT)
