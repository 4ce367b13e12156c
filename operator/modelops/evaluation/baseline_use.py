"""What the stable model was used for in the last 30 days, for the price of a promotion beside it.

It decides nothing: whatever is not known is said in words, and no failure here ends the check.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from modelops.adapters.langsmith.errors import LangSmithError
from modelops.adapters.langsmith.project_use import ProjectUse, use_of_project
from modelops.api.v1alpha1.baseline_use import BaselineUse
from modelops.datasets.download import connect_langsmith
from modelops.domain.money import display_usd, dollars, micro
from modelops.domain.rollout.price_of_promotion import DAYS, price_of_a_request
from modelops.evaluation.model_client import read_api_key
from modelops.evaluation.price_list import NoAnswer, Price, highest_price, model_listing
from modelops.evaluation.request import Request
from modelops.grammar import counted
from modelops.workdir import ProgramFailure

LONGEST_SECONDS: Final = 15.0
"""Of each request to LangSmith, with its retries."""
_UNKNOWN: Final = f"how often the stable model was asked in the last {DAYS} days is not known"


def baseline_use(request: Request) -> BaselineUse:
    """The agent's requests of the last 30 days, and what they cost."""
    if not request.project:
        return BaselineUse(message=f"{_UNKNOWN}: spec.langsmith.project of the AgentModel is empty")
    since = datetime.now(UTC) - timedelta(days=DAYS)
    try:
        client = connect_langsmith(seconds=LONGEST_SECONDS)
        try:
            found = use_of_project(client, request.project, since=since)
        finally:
            client.close(timeout=0)
    except (LangSmithError, ProgramFailure) as error:
        return BaselineUse(message=f"{_UNKNOWN}: {str(error).rstrip('.')}"[:512])
    return _described(request, found)


def _described(request: Request, found: ProjectUse) -> BaselineUse:
    where = f"LangSmith project {request.project}"
    if not found.requests:
        return BaselineUse(requests=0, message=f"{where} has no run of the last {DAYS} days"[:512])
    daily = f"{round(found.requests / DAYS):,} a day" if found.requests >= DAYS else "less than one a day"
    asked = f"in the last {DAYS} days the agent had {counted(found.requests, 'request')}, {daily} ({where})"
    usd, source = found.usd, "by the cost of its runs"
    if not usd:
        usd, source = _by_tokens(request, found), "by its tokens and OpenRouter's highest price"
    if not usd:
        why = "its runs carry no cost, and no tokens with a price"
        return BaselineUse(
            requests=found.requests, message=f"{asked}; what they cost is not known: {why}"[:512]
        )
    each = price_of_a_request(requests=found.requests, usd=usd)
    message = f"{asked} for {display_usd(micro(usd))}, {display_usd(micro(each))} each, {source}"
    return BaselineUse(requests=found.requests, usd=dollars(micro(usd)), message=message[:512])


def _by_tokens(request: Request, found: ProjectUse) -> Decimal:
    """The cost of the tokens at OpenRouter's highest price; 0 where there are none, or no price is known."""
    arm = request.arms.baseline
    if arm.service != "openrouter" or not found.prompt_tokens + found.completion_tokens:
        return Decimal(0)
    try:
        for model in dict.fromkeys((arm.model, arm.model.partition(":")[0])):
            _, document = model_listing(model, base_url=arm.base_url, api_key=read_api_key("baseline", arm))
            if price := highest_price(document):
                return _cost(price, found)
    except NoAnswer:
        pass
    return Decimal(0)


def _cost(price: Price, found: ProjectUse) -> Decimal:
    prompt, completion, _ = price
    return prompt * found.prompt_tokens + completion * found.completion_tokens
