"""Sessions of a made-up agent, and their flags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri

Array = Any
_FLAGS = 5
_BITS = np.array([[i >> j & 1 for j in range(_FLAGS)] for i in range(2**_FLAGS)])
Law = Array
"""Probabilities of the 32 combinations of the five flags; one number: only `first` and `touched`, which are equal."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a session of one model is like."""

    requests: tuple[int, int] = (1, 20)
    """Fewest and most requests."""
    sigma: float = 1.0
    """Standard deviation of the logarithm of the latency; half of its variance is common to the session."""
    failing: float = 0.0
    """Share of requests that fail by themselves."""
    dead: float = 0.0
    """Share of sessions of which every request fails, at least four."""
    factor: float = 1.0
    """Of every latency."""

    def sessions(self, rng: np.random.Generator, count: int) -> tuple[Array, Array, Array, Array]:
        """first, touched, broken, slowest of `count` sessions."""
        requests = rng.integers(self.requests[0], self.requests[1] + 1, count)
        dead = rng.random(count) < self.dead
        requests = np.where(dead, np.maximum(requests, 4), requests)
        most = requests.max()
        failed = (rng.random((count, most), dtype=np.float32) < self.failing) | dead[:, None]
        failed &= np.arange(most) < requests[:, None]
        common = np.sqrt(0.5) * rng.standard_normal(count)
        slowest = common + np.sqrt(0.5) * ndtri(rng.random(count) ** (1 / requests))
        broken = (failed[:, 1:] & failed[:, :-1]).any(1)
        return failed[:, 0], failed.any(1), broken, self.factor * np.exp(self.sigma * slowest)


def laws(rng: np.random.Generator, stable: Model, canary: Model, *, ratio: float = 1.5) -> tuple[Law, Law]:
    """The laws of both tracks' flags. The limits of latency are found from other sessions of stable."""
    count = 200_000
    limits = np.quantile(stable.sessions(rng, count)[3], [0.8, 0.95])

    def law(model: Model, above: Array) -> Law:
        first, touched, broken, slowest = model.sessions(rng, count)
        flags = (first, touched, broken, slowest > above[0], slowest > above[1])
        codes = sum(flag.astype(int) << place for place, flag in enumerate(flags))
        return np.bincount(codes, minlength=2**_FLAGS) / count

    return law(canary, ratio * limits), law(stable, limits)


def worse(model: Model, **changes: float) -> Model:
    """The same model, worse."""
    return replace(model, **changes)


def one_request(failing: float) -> Law:
    """The law of sessions with one request, latency aside."""
    return np.array([failing])


def draw(rng: np.random.Generator, law: Law, sessions: int, rollouts: int) -> Array:
    """Bad sessions by flag, for each rollout."""
    if len(law) == 1:
        return rng.binomial(sessions, law[0], (rollouts, 1))
    return rng.multinomial(sessions, law, rollouts) @ _BITS


def rate(law: Law, place: int) -> float:
    """The rate of one flag."""
    return float(law[0] if len(law) == 1 else law @ _BITS[:, place])
