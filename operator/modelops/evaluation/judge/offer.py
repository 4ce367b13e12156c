"""What OpenRouter offers of a judge: whether there is the model, takes a schema, and its highest price."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from modelops.evaluation.judge.calls import MOST_ATTEMPTS
from modelops.evaluation.judge.prompt import MOST_TOKENS, Pair, judge_messages
from modelops.evaluation.price_list import NoAnswer, Price, highest_price, model_listing

_BYTES_PER_TOKEN = 3
"""As in `evaluation.cover`."""
_SCHEMA_PARAMETER = "structured_outputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`exists` and `takes_schema` are None where the service did not tell; `price` is the highest, None as well."""

    exists: bool | None = None
    takes_schema: bool | None = None
    price: Price | None = None


def offer_of(model: str, *, base_url: str, api_key: str) -> Offer:
    """What the service says of the model. A service that does not answer, or nothing of this form, tells nothing."""
    try:
        status, document = model_listing(model, base_url=base_url, api_key=api_key)
    except NoAnswer:
        return Offer()
    if status != 200:
        return Offer(exists=False if status == 404 else None)
    try:
        parameters = [endpoint["supported_parameters"] for endpoint in document["data"]["endpoints"]]
        takes_schema = any(_SCHEMA_PARAMETER in one for one in parameters)
    except (TypeError, LookupError, AttributeError):
        return Offer(exists=True, price=highest_price(document))
    return Offer(exists=True, takes_schema=takes_schema, price=highest_price(document))


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
