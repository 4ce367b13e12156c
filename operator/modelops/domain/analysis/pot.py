"""The stake of one question: bets that its rate is above every plausible rate of stable.

For each cell of possible rates of stable six bets, after Waudby-Smith and Ramdas 2024; the money that waits for late
changes makes it an e-detector (Shin, Ramdas, Rinaldo 2023). Under equality no cell's value grows on average.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from math import exp, inf

from modelops.domain.analysis.metrics import CELLS, SHARES, START, Bets, bets, spent

Change = tuple[int, int]
"""(bad sessions, sessions) of one bucket."""

_BETS = len(SHARES)
_CEILING = 1e200
_MOST_LOG = 230.0


@lru_cache(maxsize=64)
def _bets_of(margin: float) -> Bets:
    return bets(margin)


@lru_cache(maxsize=1024)
def _factors(margin: float, bad: int, sessions: int) -> array[float]:
    """The factor of one bucket for each cell and bet. Small buckets come again and again; 3 KB each."""
    of, good_sessions = _bets_of(margin), sessions - bad
    return array(
        "d",
        (
            exp(max(-_MOST_LOG, min(good_sessions * good + bad * worse, _MOST_LOG)))
            for goods, bads in zip(of.good, of.bad, strict=True)
            for good, worse in zip(goods, bads, strict=True)
        ),
    )


class Pot:
    """The bets of one question after the sessions that were folded into it. `margin` is a share, not points."""

    __slots__ = ("_margin", "_state", "sessions")

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._state = array("d", [START * share for share in SHARES] * CELLS)
        self.sessions = 0

    def fold(self, bad: int, sessions: int, *, placed: bool = True) -> None:
        """Settles one bucket for good. `placed`: money for late changes is bet just before it.

        Sessions whose order is not known (after a restart of the operator) get none: that costs power only.
        """
        if not (bad or sessions):
            return
        place = spent(self.sessions + sessions) - spent(self.sessions) if placed else 0.0
        parts = [place * share for share in SHARES] * CELLS
        factors = _factors(self._margin, bad, sessions)
        grown = [(r + p) * f for r, p, f in zip(self._state, parts, factors, strict=True)]
        if max(grown) > _CEILING:
            grown = [min(r, _CEILING) for r in grown]
        self._state = array("d", grown)
        self.sessions += sessions

    def forfeit(self) -> None:
        """Throws the running bets away: what they won is not evidence against the canary."""
        self._state = array("d", bytes(8 * len(self._state)))

    def value(self, live: Sequence[Change], stable: Sequence[float], order: Sequence[int]) -> float:
        """The smallest evidence over all cells, with the buckets of `live` that are not settled yet.

        `stable` has the evidence against each cell, `order` the cells by it. A cell is left out only where the money
        that waits is already more than the smallest value so far, so the result is exact.
        """
        count, buckets = self.sessions, []
        for bad, sessions in live:
            place = spent(count + sessions) - spent(count)
            buckets.append((place, _factors(self._margin, bad, sessions)))
            count += sessions
        waiting = max(0.0, 1 - START - spent(count))
        smallest, state = inf, self._state
        for cell in order:
            if waiting * stable[cell] >= smallest:
                break
            total = waiting
            for at, share in enumerate(SHARES, start=cell * _BETS):
                value = state[at]
                for place, factors in buckets:
                    value = (value + place * share) * factors[at]
                total += value
            smallest = min(smallest, total * stable[cell])
        return smallest
