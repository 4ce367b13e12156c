"""Checks the conditions of a person that numbers can decide: `if it has more than 500 rows`, `only if it is faster`.

What a condition compares is read from its words. A condition that is not wholly understood is not checked: it is shown,
and the person decides. Nothing is taken for true because it could not be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelops.tools.results import Comparison


class Quantity(StrEnum):
    """What a condition can be about; the value names it for people."""

    EXAMPLES = "examples"
    USD = "US dollars at most"
    MINUTES = "minutes at most"
    ACCURACY = "percent accuracy"
    POINTS = "points more than the model that serves now"
    FASTER = "percent faster than the model that serves now"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """`more` than a number, or less; `or_equal`: the number itself will do."""

    quantity: Quantity
    more: bool
    or_equal: bool
    number: float

    def holds(self, value: float) -> bool:
        """Whether a value is within the limit."""
        if value == self.number:
            return self.or_equal
        return (value > self.number) is self.more


_MORE: Final = r"(?:more|greater|higher|bigger|larger) than|above|over|exceeds?|beyond|>"
_LESS: Final = r"(?:less|fewer|lower|smaller|cheaper) than|under|below|<"
_AT_LEAST: Final = r"at least|no (?:less|fewer) than|>=|minimum(?: of)?|not under|not below"
_AT_MOST: Final = r"at most|no more than|<=|up to|not (?:more than|over|above)|max(?:imum)?(?: of)?"
_COMPARED: Final = re.compile(
    rf"(?P<at_least>{_AT_LEAST})|(?P<at_most>{_AT_MOST})|(?P<more>{_MORE})|(?P<less>{_LESS})", re.I
)
_NUMBER: Final = re.compile(r"(?P<usd>\$)?\s?(?P<number>\d[\d,]*(?:\.\d+)?)\s?(?P<unit>[%$\w]+)?")
_UNITS: Final[Mapping[str, tuple[Quantity, float]]] = {
    **dict.fromkeys(("row", "rows", "example", "examples", "samples", "records"), (Quantity.EXAMPLES, 1)),
    **dict.fromkeys(("$", "usd", "dollar", "dollars", "bucks"), (Quantity.USD, 1)),
    **dict.fromkeys(("h", "hour", "hours"), (Quantity.MINUTES, 60)),
    **dict.fromkeys(("min", "minute", "minutes"), (Quantity.MINUTES, 1)),
    **dict.fromkeys(("point", "points", "pp"), (Quantity.POINTS, 1)),
}
_SCORES: Final = re.compile(r"\b(accuracy|score|scores|eval|evaluation|success)\b", re.I)
_BETTER: Final = re.compile(r"\b(better|beats?|outperforms?|improves?)\b", re.I)
_FASTER: Final = re.compile(r"\b(faster|quicker)\b", re.I)
_DENIES: Final = re.compile(r"\b(not|n't|isn|never|unless|no longer|and|or|but|both)\b", re.I)


def limit_in(condition: str) -> Limit | None:
    """The one comparison that a condition makes; None where it makes another one, several, or denies something."""
    compared = list(_COMPARED.finditer(condition))
    rest = _COMPARED.sub(" ", condition)
    if _DENIES.search(rest) or len(compared) > 1:
        return None
    numbers = list(_NUMBER.finditer(rest))
    if compared and len(numbers) == 1:
        meant = _quantity(rest, numbers[0])
        if meant is None:
            return None
        quantity, number = meant
        how = compared[0].lastgroup
        return Limit(
            quantity=quantity,
            more=how in ("more", "at_least"),
            or_equal=how in ("at_least", "at_most"),
            number=number,
        )
    if compared or numbers:
        return None
    faster, better = _FASTER.search(condition), _BETTER.search(condition)
    if (faster is None) is (better is None):
        return None
    return Limit(quantity=Quantity.FASTER if faster else Quantity.POINTS, more=True, or_equal=False, number=0)


def _quantity(text: str, found: re.Match[str]) -> tuple[Quantity, float] | None:
    number = float(found["number"].replace(",", ""))
    unit = (found["unit"] or "").lower()
    if found["usd"]:
        return Quantity.USD, number
    if unit in _UNITS:
        quantity, factor = _UNITS[unit]
        return quantity, number * factor
    if unit in ("%", "percent", "pct") and _SCORES.search(text):
        return Quantity.ACCURACY, number
    if not unit and _SCORES.search(text):
        return Quantity.ACCURACY, number * 100 if number <= 1 else number
    return None


def measured(found: Comparison) -> dict[Quantity, float]:
    """The quantities of an evaluation's result."""
    known: dict[Quantity, float] = {}
    if found.candidate_score is not None:
        known[Quantity.ACCURACY] = round(found.candidate_score * 100, 2)
    if found.improvement_pct is not None:
        known[Quantity.POINTS] = found.improvement_pct
    for one in found.metrics:
        if one.name == "latency" and one.baseline and one.candidate is not None:
            known[Quantity.FASTER] = round((one.baseline - one.candidate) / one.baseline * 100, 1)
    return known


def verdict(condition: str | None, known: Mapping[Quantity, float]) -> tuple[bool | None, str]:
    """Whether a condition holds, with the value; None where it was not understood or the value is not known."""
    limit = limit_in(condition) if condition else None
    if limit is None:
        return None, ""
    if limit.quantity not in known:
        return None, limit.quantity.value
    value = known[limit.quantity]
    return limit.holds(value), f"{value:g} {limit.quantity.value}"
