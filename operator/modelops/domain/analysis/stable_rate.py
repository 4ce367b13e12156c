"""What stable's own sessions say about its rate, cell by cell."""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, pi

from modelops.domain.analysis.metrics import CELLS, EDGES

_CASH = 0.85
"""Part of the stake that is kept: without it every rate of stable would have to be refuted by bets alone."""
_MOST_LOG = 60.0


@lru_cache(maxsize=4096)
def evidence_by_cell(bad: int, sessions: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The evidence against stable's rate being in each cell, and the cells in its order.

    A likelihood ratio with a Beta(1/2, 1/2) mixture against the rate of the cell that fits best (Turner, Ly, Grünwald
    2024). Without sessions it is 1 everywhere: then nothing is ever called worse.
    """
    if sessions == 0:
        return (1.0,) * CELLS, tuple(range(CELLS))
    mixture = lgamma(bad + 0.5) + lgamma(sessions - bad + 0.5) - lgamma(sessions + 1) - log(pi)
    found = tuple(_against(bad, sessions, mixture, cell) for cell in range(CELLS))
    return found, tuple(sorted(range(CELLS), key=found.__getitem__))


def _against(bad: int, sessions: int, mixture: float, cell: int) -> float:
    rate = min(max(bad / sessions, EDGES[cell]), EDGES[cell + 1])
    if (rate == 0 and bad) or (rate == 1 and bad < sessions):
        ratio = _MOST_LOG
    else:
        ratio = mixture - (bad * log(rate) if bad else 0.0)
        ratio -= (sessions - bad) * log(1 - rate) if bad < sessions else 0.0
    return _CASH + (1 - _CASH) * exp(min(ratio, _MOST_LOG))
