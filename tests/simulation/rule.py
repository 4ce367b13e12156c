"""The rule of `modelops.domain.analysis` for many rollouts at once. `test_canary_rule` compares both to 1e-9."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from modelops.domain.analysis.metrics import EDGES, FRACTIONS, METRICS, SHARES, START, spent
from modelops.domain.analysis.split import _SHARES

Array = Any
CELL_EDGES = np.array(EDGES)
MARGINS = tuple(0.0 if metric.is_latency else 0.02 for metric in METRICS)
WEIGHTS = np.array([metric.share for metric in METRICS])
SPLIT = np.array(_SHARES)


class Pots:
    """`Pot` for `count` rollouts. `edges` may be a part of the cells: that can only raise the evidence."""

    def __init__(self, count: int, margin: float, edges: Array = CELL_EDGES) -> None:
        p0 = np.minimum(edges[1:] + margin, 0.999)[:, None]
        q = p0 + np.array(FRACTIONS) * (1 - p0)
        self.good, self.bad = np.log((1 - q) / (1 - p0)), np.log(q / p0)
        self.state = np.tile(START * np.array(SHARES), (count, len(p0), 1))
        self.sessions = 0

    def fold(self, bad: Array, sessions: int) -> None:
        """One bucket: `sessions` in each rollout, of which `bad[i]` are bad."""
        self.state += (spent(self.sessions + sessions) - spent(self.sessions)) * np.array(SHARES)
        k = np.asarray(bad)[:, None, None]
        if sessions == 1:
            self.state *= np.where(k > 0, np.exp(self.bad), np.exp(self.good))
        else:
            self.state *= np.exp((sessions - k) * self.good + k * self.bad)
        np.minimum(self.state, 1e200, out=self.state)
        self.sessions += sessions

    def value(self, stable: Array) -> Array:
        """The smallest evidence over the cells."""
        waiting = max(0.0, 1 - START - spent(self.sessions))
        return ((self.state.sum(2) + waiting) * stable).min(1)


def stable_evidence(bad: Array, sessions: int, edges: Array = CELL_EDGES) -> Array:
    """`evidence_by_cell` for many rollouts."""
    k = np.atleast_1d(np.asarray(bad, float))[:, None]
    if sessions == 0:
        return np.ones((len(k), len(edges) - 1))
    p = np.clip(k / sessions, edges[:-1], edges[1:])
    ratio = betaln(k + 0.5, sessions - k + 0.5) - betaln(0.5, 0.5) - xlogy(k, p) - xlog1py(sessions - k, -p)
    return 0.85 + 0.15 * np.exp(np.minimum(ratio, 60))


class Splits:
    """The second guard for many rollouts."""

    def __init__(self, count: int) -> None:
        self.state = np.ones((count, len(SPLIT)))

    def fold(self, canary_bad: Array, stable_bad: Array, share: float) -> None:
        """One bucket in which the canary had this share of the sessions."""
        q = share + SPLIT * (1 - share)
        won = np.multiply.outer(np.asarray(canary_bad, float), np.log(q / share)) + np.multiply.outer(
            np.asarray(stable_bad, float), np.log((1 - q) / (1 - share))
        )
        self.state = np.minimum(np.maximum(self.state, 1) * np.exp(won), 1e100)

    def value(self) -> Array:
        """The evidence that the canary has more than its share."""
        return self.state.mean(1)
