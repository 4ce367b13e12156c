"""The cap of a live smoke run: what the person allows it to spend, in US dollars."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

MOST_USD: Final = Decimal(25)
"""A cap above it is refused: the run needs about two dollars, so a larger number is a slip of the hand."""
_FORM: Final = re.compile(r"[0-9]+(\.[0-9]{1,2})?", re.ASCII)
_HOW: Final = "make live-smoke MAX_USD=5"


class CapRefusedError(ValueError):
    """There is no usable cap. The message says what to write."""


def parse_cap(text: str | None) -> Decimal:
    """The cap in US dollars.

    Raises:
        CapRefusedError: none was given, or it is no amount above 0 and at most MOST_USD.
    """
    if text is None or not text.strip():
        raise CapRefusedError(
            "this spends money on a real account, so it needs the most that it may spend, in US dollars: "
            f"`{_HOW}`, or `modelops live-smoke --max-usd 5`. Nothing was spent"
        )
    given = text.strip()
    if _FORM.fullmatch(given) is None:
        raise CapRefusedError(
            f"MAX_USD={given!r} is not an amount above 0: write US dollars without a sign or currency, with at "
            f"most two decimals, as in `{_HOW}`. Nothing was spent"
        )
    cap = Decimal(given)
    if not cap:
        raise CapRefusedError(f"MAX_USD={given} allows nothing to be spent: write an amount, as in `{_HOW}`")
    if cap > MOST_USD:
        raise CapRefusedError(
            f"MAX_USD={given} is more than this run could need: write at most {MOST_USD}, as in `{_HOW}`. "
            "Nothing was spent"
        )
    return cap
