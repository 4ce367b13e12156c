"""The five questions that are asked of each session, and the constants of the bets on their answers.

The unit is the session and not the request, because the failures of a session come together: four retries of one
conversation are one sign and not four. Each answer only ever turns from no to yes.

Weights, bets and guards were tuned by simulation (design 007). The bound of 1 % does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log, log1p
from typing import Final

ABORT_EVIDENCE: Final = 100.0
"""The canary is worse from this evidence on. An equal one ever gets there in 1 of 100 rollouts (Ville's inequality)."""
STABLE_ILL: Final = 3.0
"""Evidence that stable itself is worse than its history, from which both tracks are taken for ill."""
SPLIT_EVIDENCE: Final = 20.0
"""Evidence that the canary has more than its share of the bad sessions of now, which an abort needs as well."""
SPLIT_MAX_WEIGHT: Final = 0.5
"""Above this share of the sessions stable is too small to answer in time, so the split is not asked."""
HEALTH_EVIDENCE: Final = 20.0
"""Evidence at which the canary is said to be below a rate: false in 1 of 20 rollouts, at any look."""

SESSIONS_PLANNED: Final = 100_000
"""Canary sessions over which the bets on a late change are spread. Each as many more adds 0.2 % at most."""
START: Final = 0.65
"""Part of the stake that is bet from the first session on. The rest is bet on changes that come later."""
FRACTIONS: Final = (0.015, 0.04, 0.10, 0.22, 0.45, 0.80)
"""The six bets of a cell: the canary's rate is p0 + fraction * (1 - p0)."""
SHARES: Final = (0.10, 0.10, 0.12, 0.16, 0.36, 0.16)
"""How the stake is divided over the six bets."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One yes-or-no question. `flag` and `total` are positions in the counts of a track."""

    name: str
    total: int
    flag: int
    share: float
    """Part of the error probability that is spent on this question."""
    is_latency: bool
    words: str
    """What a session did whose answer is yes."""


SESSIONS: Final = 0
TIMED: Final = 4
METRICS: Final = (
    Metric(name="first", total=SESSIONS, flag=1, share=0.25, is_latency=False, words="began with an error"),
    Metric(name="touched", total=SESSIONS, flag=2, share=0.25, is_latency=False, words="had an error"),
    Metric(
        name="broken", total=SESSIONS, flag=3, share=0.15, is_latency=False, words="had two errors in a row"
    ),
    Metric(name="slow", total=TIMED, flag=5, share=0.25, is_latency=True, words="were slow"),
    Metric(name="verySlow", total=TIMED, flag=6, share=0.10, is_latency=True, words="were very slow"),
)
TOUCHED: Final = 1
"""The question whose rate is told to people: did a request of the session fail?"""
COUNTS: Final = 7
"""Counts of a bucket: sessions, first, touched, broken, timed, slow, very slow. `timed` had a limit of latency."""

Counts = tuple[int, ...]
NO_COUNTS: Final[Counts] = (0,) * COUNTS

EDGES: Final[tuple[float, ...]] = (
    0.0,
    0.001,
    0.002,
    0.003,
    *(0.004 * 100 ** (i / 57) for i in range(58)),
    *(0.46, 0.53, 0.6, 0.68, 0.76, 0.84, 0.92, 1.0),
)
"""The cells of possible rates of stable: cell i is from EDGES[i] to EDGES[i + 1]."""
CELLS: Final = len(EDGES) - 1


def add(counts: Iterable[Counts]) -> Counts:
    """The sums, place by place."""
    return tuple(map(sum, zip(NO_COUNTS, *counts, strict=True)))


def only_errors(counts: Counts) -> Counts:
    """The counts without those of latency."""
    return (*counts[:TIMED], *(0 for _ in counts[TIMED:]))


def cell_from(rate: float, margin: float) -> int:
    """The first cell whose bets are against rates from `rate` on."""
    return next((cell for cell in range(CELLS) if EDGES[cell + 1] + margin >= rate), CELLS - 1)


def spent(sessions: float) -> float:
    """The part of the stake on late changes that is placed by then: half evenly, half early."""
    late = 1 - START
    return late * 0.5 * (sessions / SESSIONS_PLANNED + log1p(sessions / 20) / log1p(SESSIONS_PLANNED / 20))


@dataclass(frozen=True, kw_only=True)
class Bets:
    """The logarithms of the factors of one good and one bad session, for each cell and bet."""

    good: tuple[tuple[float, ...], ...]
    bad: tuple[tuple[float, ...], ...]


def bets(margin: float, edges: tuple[float, ...] = EDGES) -> Bets:
    """The bets for rates above the upper edge of each cell and a margin (0.02 for two points)."""
    good, bad = [], []
    for upper in edges[1:]:
        p0 = min(upper + margin, 0.999)
        rates = [p0 + fraction * (1 - p0) for fraction in FRACTIONS]
        good.append(tuple(log((1 - q) / (1 - p0)) for q in rates))
        bad.append(tuple(log(q / p0) for q in rates))
    return Bets(good=tuple(good), bad=tuple(bad))
