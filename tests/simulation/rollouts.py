"""Simulated rollouts: at which canary session they are aborted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tests.simulation.rule import CELL_EDGES, MARGINS, WEIGHTS, Pots, Splits, stable_evidence
from tests.simulation.sessions import Law, draw, one_request, rate

from modelops.domain.analysis.metrics import ABORT_EVIDENCE, SPLIT_EVIDENCE, STABLE_ILL

Array = Any


def looks(sessions: int, dense: int = 300) -> list[int]:
    """Sessions until each look: every session at first, then steps of 2 %, at most 100."""
    steps, so_far = [], 0
    while so_far < sessions:
        step = 1 if so_far < dense else max(1, min(100, so_far // 50))
        steps.append(min(step, sessions - so_far))
        so_far += steps[-1]
    return steps


def aborts(
    rng: np.random.Generator,
    rollouts: int,
    steps: Sequence[int],
    *,
    canary: Law,
    stable: Law,
    history: int,
    weight: float,
    change: tuple[int, Law] | None = None,
    near: bool = False,
) -> Array:
    """The canary session of the abort in each rollout; infinity where there is none. No guard is asked.

    `change`: from this session on the canary has another law. `near`: only the cells about stable's true rate, which
    is faster and can only raise the number of aborts.
    """
    places = [0] if len(stable) == 1 else list(range(len(WEIGHTS)))
    weights = np.array([WEIGHTS[0] + WEIGHTS[1]]) if len(stable) == 1 else WEIGHTS
    edges = [_near(rate(stable, place)) if near else CELL_EDGES for place in places]
    pots = [Pots(rollouts, MARGINS[place], e) for place, e in zip(places, edges, strict=True)]
    stopped, alive = np.full(rollouts, np.inf), np.arange(rollouts)
    bad, known, by_cell, at, seen = draw(rng, stable, history, rollouts), history, [], -1.0, 0
    for step in steps:
        law = canary if change is None or seen < change[0] else change[1]
        found = draw(rng, law, step, len(alive))
        for column, pot in enumerate(pots):
            pot.fold(found[:, column], step)
        seen += step
        more = int(seen * (1 - weight) / weight) + history - known
        if more > 0:
            bad, known = bad + draw(rng, stable, more, len(alive)), known + more
        if known > 1.02 * at:
            by_cell = [stable_evidence(bad[:, column], known, e) for column, e in enumerate(edges)]
            at = known
        pairs = zip(weights, pots, by_cell, strict=True)
        hit = sum(w * pot.value(cells) for w, pot, cells in pairs) >= ABORT_EVIDENCE
        if hit.any():
            stopped[alive[hit]] = seen
            alive, bad = alive[~hit], bad[~hit]
            by_cell = [cells[~hit] for cells in by_cell]
            for pot in pots:
                pot.state = pot.state[~hit]
            if not len(alive):
                break
    return stopped


def guarded(
    rng: np.random.Generator,
    rollouts: int,
    *,
    weight: float,
    natural: float,
    both: tuple[float, int, int] | None = None,
    failing: float | None = None,
    sessions: int = 800,
    history: int = 10_000,
) -> Array:
    """One-request sessions with both guards. `both`: both tracks fail at a rate between two canary sessions.

    `failing`: the canary alone fails at this rate from its first session on.
    """
    canary, stable, split = Pots(rollouts, 0.02), Pots(rollouts, 0.02), Splits(rollouts)
    before = rng.binomial(history, natural, rollouts)
    past, bad, known, served = stable_evidence(before, history), before.copy(), history, 0
    stopped, share = np.full(rollouts, np.inf), WEIGHTS[0] + WEIGHTS[1]
    for session in range(sessions):
        now = both[0] if both and both[1] <= session < both[2] else natural
        more, theirs = int((session + 1) * (1 - weight) / weight) - served, np.zeros(rollouts, int)
        if more > 0:
            theirs = rng.binomial(more, now, rollouts)
            stable.fold(theirs, more)
            bad, known, served = bad + theirs, known + more, served + more
        mine = rng.binomial(1, now if failing is None else failing, rollouts)
        canary.fold(mine, 1)
        if weight < 1:
            split.fold(mine, theirs, weight)
        canary.state[stable.value(past) >= STABLE_ILL] = 0.0
        hit = share * canary.value(stable_evidence(bad, known)) >= ABORT_EVIDENCE
        if weight <= 0.5:
            hit &= split.value() >= SPLIT_EVIDENCE
        stopped = np.where(hit & np.isinf(stopped), session + 1, stopped)
        if np.isfinite(stopped).all():
            break
    return stopped


def late(
    rng: np.random.Generator, rollouts: int, *, natural: float, good: int, failing: float = 0.5
) -> Array:
    """Sessions from the change to the abort, of a canary that fails after so many good sessions."""
    steps = [100] * (good // 100) + [1] * 150
    law = one_request(natural)
    stopped = aborts(
        rng,
        rollouts,
        steps,
        canary=law,
        stable=law,
        history=10_000,
        weight=0.2,
        change=(good, one_request(failing)),
    )
    return stopped - good


def quantile(stopped: Array, share: float) -> float:
    """The session by which this share of the rollouts was aborted; infinity where fewer were."""
    return float(np.quantile(stopped, share, method="inverted_cdf"))


def false_aborts(stopped: Array) -> float:
    """The share of the rollouts that were aborted."""
    return float(np.isfinite(stopped).mean())


def _near(of: float) -> Array:
    place = int(np.searchsorted(CELL_EDGES, of))
    return CELL_EDGES[max(0, place - 3) : place + 9]
