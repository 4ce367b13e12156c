"""What an evaluation may cost and how long it may take, before it begins: the operator covers both.

Calls to OpenRouter are billed one by one. Their price is the highest among the providers of the model, by GET
/models/<author>/<slug>/endpoints (https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model), which costs
nothing. Calls of an endpoint cost only its time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3

from modelops.evaluation.journal import Answer
from modelops.evaluation.model_client import read_api_key
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request

if TYPE_CHECKING:
    import requests

BYTES_PER_TOKEN = 3
"""Of a prompt as JSON, at least: tokens of prose and code are longer, and a character of Chinese has three bytes."""
TOKENS_PER_SECOND = 10
"""Tokens that a model writes in a second while it answers several calls, at least."""
FIRST_TOKEN_SECONDS = 2.0
PRICE_SECONDS = 10.0
MOST_BYTES = 4_000_000
"""Of the service's answer with the prices of one model."""


class NoAnswer(Exception):
    """The service did not answer: its price may be known later."""


def cover(request: Request, questions: Sequence[Question]) -> dict[str, Any]:
    """The part of the check's `result.json` from which the operator plans time and money.

    `seconds`: the longest time of all calls. `calls_usd`: the highest cost of the calls that are billed one by one;
    it does not contain those of `unpriced`, the models of which the service names no price, and of `unanswered`, those
    whose price it did not tell now.
    """
    total, unpriced, unanswered = Decimal(0), [], []
    for name in ARMS:
        arm = request.arms[name]
        if arm.service != "openrouter":
            continue
        try:
            price = _price(name, request)
        except NoAnswer:
            unanswered.append(arm.model)
            continue
        if price is None:
            unpriced.append(arm.model)
        else:
            total += sum((_cost(price, request, question) for question in questions), Decimal(0))
    return {
        "seconds": longest_seconds(request, len(questions)),
        "calls_usd": f"{total * request.repetitions:f}",
        "unpriced": unpriced,
        "unanswered": unanswered,
    }


def longest_seconds(request: Request, examples: int) -> int:
    """The longest time in which both models answer every example."""
    call = min(request.timeout_seconds, FIRST_TOKEN_SECONDS + request.prompt.max_tokens / TOKENS_PER_SECOND)
    rounds = math.ceil(examples * request.repetitions * len(ARMS) / request.concurrency)
    return math.ceil(rounds * call)


def billed_usd(request: Request, answers: Sequence[Answer]) -> str | None:
    """What the calls that are billed one by one have cost, by the service's own bills.

    None where an answer has no bill: then nothing less than the highest cost is known.
    """
    billed = [a for a in answers if a.error is None and request.arms[a.arm].service == "openrouter"]
    if any(answer.cost_usd is None for answer in billed):
        return None
    return f"{sum((Decimal(answer.cost_usd or 0) for answer in billed), Decimal(0)):f}"


Price = tuple[Decimal, Decimal, Decimal]
"""US dollars for a token of the prompt, for one of the answer, and for the request."""


def _cost(price: Price, request: Request, question: Question) -> Decimal:
    prompt, completion, call = price
    return prompt * _prompt_tokens(question) + completion * request.prompt.max_tokens + call


def _prompt_tokens(question: Question) -> int:
    """The tokens of messages and tools, at most: their form as JSON is longer than what a chat template adds."""
    parts = (*question.messages, *question.tools)
    return sum(
        math.ceil(len(json.dumps(part, ensure_ascii=False, default=str).encode()) / BYTES_PER_TOKEN)
        for part in parts
    )


def _price(name: ArmName, request: Request) -> Price | None:
    """The highest price of the model among its providers; None where none is known."""
    arm = request.arms[name]
    for model in dict.fromkeys((arm.model, arm.model.partition(":")[0])):
        prices = _prices(name, request, model)
        if prices:
            prompts, completions, requests = zip(*prices, strict=True)
            return max(prompts), max(completions), max(requests)
    return None


def _prices(name: ArmName, request: Request, model: str) -> list[Price]:
    """The prices of all providers; empty where the service names none, or one that is no price."""
    document = _endpoints(name, request, model)
    try:
        found = [endpoint["pricing"] for endpoint in document["data"]["endpoints"]]
        prices = [
            (Decimal(p["prompt"]), Decimal(p["completion"]), Decimal(p.get("request") or 0)) for p in found
        ]
    except (TypeError, LookupError, AttributeError, ValueError, InvalidOperation):
        return []
    # A model that chooses among others has the price -1.
    return prices if all(p.is_finite() and p >= 0 for price in prices for p in price) else []


def _endpoints(name: ArmName, request: Request, model: str) -> Any:
    """The service's answer; None where it is no answer of this kind. Raises NoAnswer."""
    import requests

    arm = request.arms[name]
    try:
        with requests.get(
            f"{arm.base_url.rstrip('/')}/models/{quote(model)}/endpoints",
            headers={"Authorization": f"Bearer {read_api_key(name, arm)}"},
            timeout=PRICE_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.status_code >= 500 or answer.status_code == 429:
                raise NoAnswer
            return json.loads(_body(answer)) if answer.status_code == 200 else None
    except (requests.RequestException, OSError, urllib3.exceptions.HTTPError) as error:
        raise NoAnswer from error
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
