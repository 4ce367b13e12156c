"""What OpenRouter offers of a judge: whether there is the model, takes a schema, and its highest price.

The request is GET /models/<author>/<slug>/endpoints, which costs nothing
(https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3

from modelops.evaluation.judge.calls import MOST_ATTEMPTS
from modelops.evaluation.judge.prompt import MOST_TOKENS, Pair, judge_messages

if TYPE_CHECKING:
    import requests

_SECONDS = 10.0
_MOST_BYTES = 4_000_000
_BYTES_PER_TOKEN = 3
"""Of a prompt as JSON, at least: tokens of prose and code are longer, and a character of Chinese has three bytes."""
_SCHEMA_PARAMETER = "structured_outputs"

Price = tuple[Decimal, Decimal, Decimal]
"""US dollars for a token of the prompt, for one of the answer, and for the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`exists` and `takes_schema` are None where the service did not tell; `price` is the highest, None as well."""

    exists: bool | None = None
    takes_schema: bool | None = None
    price: Price | None = None


def offer_of(model: str, *, base_url: str, api_key: str) -> Offer:
    """What the service says of the model. A service that does not answer, or nothing of this form, tells nothing."""
    import requests

    try:
        with requests.get(
            f"{base_url.rstrip('/')}/models/{quote(model)}/endpoints",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.status_code != 200:
                return Offer(exists=False if answer.status_code == 404 else None)
            found = json.loads(_body(answer))["data"]["endpoints"]
            parameters = [endpoint["supported_parameters"] for endpoint in found]
            takes_schema = any(_SCHEMA_PARAMETER in one for one in parameters)
            return Offer(exists=True, takes_schema=takes_schema, price=_highest(found))
    except (requests.RequestException, OSError, urllib3.exceptions.HTTPError):
        return Offer()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return Offer(exists=True)


def highest_usd(price: Price, pairs: Sequence[Pair]) -> Decimal:
    """What judging these pairs costs at most: both orders of each, with a retry."""
    prompt, completion, call = price
    total = Decimal(0)
    for pair in pairs:
        if pair.a == pair.b:
            continue
        words = json.dumps(judge_messages(pair, swapped=False), ensure_ascii=False).encode()
        tokens = math.ceil(len(words) / _BYTES_PER_TOKEN)
        total += 2 * MOST_ATTEMPTS * (prompt * tokens + completion * MOST_TOKENS + call)
    return total


def _highest(endpoints: Sequence[Any]) -> Price | None:
    try:
        prices = [
            (
                Decimal(str(one["pricing"]["prompt"])),
                Decimal(str(one["pricing"]["completion"])),
                Decimal(str(one["pricing"].get("request") or 0)),
            )
            for one in endpoints
        ]
    except (TypeError, LookupError, AttributeError, InvalidOperation):
        return None
    # A model that chooses among others has the price -1.
    if not prices or not all(p.is_finite() and p >= 0 for price in prices for p in price):
        return None
    prompts, completions, calls = zip(*prices, strict=True)
    return max(prompts), max(completions), max(calls)


def _body(answer: requests.Response) -> bytes:
    """The body, which may be sent in drops that never end. Raises OSError."""
    ends, body = time.monotonic() + _SECONDS, bytearray()
    while chunk := answer.raw.read1(65536, decode_content=True):
        body += chunk
        if time.monotonic() > ends or len(body) > _MOST_BYTES:
            raise OSError("the answer does not end")
    return bytes(body)
