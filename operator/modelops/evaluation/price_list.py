"""What OpenRouter says of a model: its providers with their prices and parameters, for nothing.

The request is GET /models/<author>/<slug>/endpoints
(https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3

if TYPE_CHECKING:
    import requests

PRICE_SECONDS = 10.0
MOST_BYTES = 4_000_000
"""Of the service's answer with the prices of one model."""

Price = tuple[Decimal, Decimal, Decimal]
"""US dollars for a token of the prompt, for one of the answer, and for the request."""


class NoAnswer(Exception):
    """The service did not answer: its price may be known later."""


def answer_to(path: str, *, base_url: str, api_key: str, seconds: float) -> requests.Response:
    """The answer to a GET, whose body is not read yet, since it may never end. It must be closed.

    `seconds`: the longest pause of the service. Raises requests.RequestException.
    """
    import requests

    return requests.get(
        f"{base_url.rstrip('/')}{path}",
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=seconds,
        allow_redirects=False,
        stream=True,
    )


Listing = tuple[int, Any]
"""An HTTP status, and the document of a 200; None where it is no answer of this kind."""
_KNOWN: ContextVar[dict[tuple[str, str, str], Listing] | None] = ContextVar("known", default=None)


@contextmanager
def listings_asked_once() -> Iterator[None]:
    """In the block each listing is asked for once: whether there is a model, what it takes, and its price are in one
    answer. A service that does not answer is asked again."""
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def model_listing(model: str, *, base_url: str, api_key: str) -> Listing:
    """What the service says of the model. Raises NoAnswer."""
    known = _KNOWN.get()
    if known is None:
        return _listing(model, base_url=base_url, api_key=api_key)
    key = (model, base_url, api_key)
    if key not in known:
        known[key] = _listing(model, base_url=base_url, api_key=api_key)
    return known[key]


def _listing(model: str, *, base_url: str, api_key: str) -> Listing:
    import requests

    try:
        path = f"/models/{quote(model)}/endpoints"
        with answer_to(path, base_url=base_url, api_key=api_key, seconds=PRICE_SECONDS) as answer:
            if answer.status_code >= 500 or answer.status_code == 429:
                raise NoAnswer
            return answer.status_code, _document(answer) if answer.status_code == 200 else None
    except (requests.RequestException, OSError, urllib3.exceptions.HTTPError) as error:
        raise NoAnswer from error


def highest_price(document: Any) -> Price | None:
    """The highest price among the providers; None where the service names none, or one that is no price."""
    try:
        found = [endpoint["pricing"] for endpoint in document["data"]["endpoints"]]
        prices = [
            (Decimal(p["prompt"]), Decimal(p["completion"]), Decimal(p.get("request") or 0)) for p in found
        ]
    except (TypeError, LookupError, AttributeError, ValueError, InvalidOperation):
        return None
    # A model that chooses among others has the price -1.
    if not prices or not all(p.is_finite() and p >= 0 for price in prices for p in price):
        return None
    prompts, completions, requests = zip(*prices, strict=True)
    return max(prompts), max(completions), max(requests)


def _document(answer: requests.Response) -> Any:
    try:
        return json.loads(_body(answer))
    except (ValueError, RecursionError):
        return None


def _body(answer: requests.Response) -> bytes:
    """The body, which may be sent in drops that never end. Raises NoAnswer."""
    ends, body = time.monotonic() + PRICE_SECONDS, bytearray()
    while chunk := answer.raw.read1(65536, decode_content=True):
        body += chunk
        if time.monotonic() > ends or len(body) > MOST_BYTES:
            raise NoAnswer
    return bytes(body)
