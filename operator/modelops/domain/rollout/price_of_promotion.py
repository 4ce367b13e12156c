"""What a promotion costs beside the stable model: its month, and from how many requests a day it is the cheaper one."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from modelops.api.v1alpha1.baseline_use import BaselineUse
from modelops.domain.money import micro
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH

DAYS: Final = 30
"""The time over which the use of the stable model is looked at."""


def price_of_a_request(*, requests: int, usd: Decimal) -> Decimal:
    """US dollars that the model calls of one request cost. `requests` is at least 1."""
    return usd / requests


def break_even_requests_per_day(
    *, standing_micro_usd: int, use: BaselineUse | None, baseline_has_endpoint: bool
) -> int | None:
    """Requests a day from which the candidate's endpoint is cheaper than a stable model that is billed per call.

    `standing_micro_usd`: of a month of the candidate's endpoint. None where the promotion costs nothing, where the
    stable model has an endpoint of its own, and where the price of a request is not known.
    """
    if not standing_micro_usd or baseline_has_endpoint or use is None or not use.requests or not use.usd:
        return None
    a_request = micro(use.usd) / use.requests
    return math.ceil(standing_micro_usd / (HOURS_PER_MONTH / 24) / a_request) if a_request else None
