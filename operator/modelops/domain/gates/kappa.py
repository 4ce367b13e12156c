"""Cohen's kappa: how far two raters agree beyond chance, with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """`agreement` is from 0 to 1. `value`, `low` and `high` are None where both raters gave one and the same label."""

    agreement: float
    value: float | None
    low: float | None
    high: float | None


def cohens_kappa(pairs: Sequence[tuple[str, str]], *, confidence: float = 0.95) -> Kappa:
    """Kappa of the labels of two raters, with an interval by the large-sample error.

    The error is that of Fleiss, Cohen and Everitt, Psychological Bulletin 72 (1969), 323-327, equation 13.

    Raises:
        ValueError: there is no pair.
    """
    n = len(pairs)
    if n == 0:
        raise ValueError("kappa needs at least one pair of labels")
    joint = {key: count / n for key, count in Counter(pairs).items()}
    first = {label: count / n for label, count in Counter(one for one, _ in pairs).items()}
    second = {label: count / n for label, count in Counter(two for _, two in pairs).items()}
    observed = sum(share for (one, two), share in joint.items() if one == two)
    expected = sum(share * second.get(label, 0.0) for label, share in first.items())
    if expected >= 1:
        return Kappa(agreement=observed, value=None, low=None, high=None)
    value = (observed - expected) / (1 - expected)
    spread = 0.0
    for (one, two), share in joint.items():
        marginals = second.get(one, 0.0) + first.get(two, 0.0)
        if one == two:
            spread += share * ((1 - expected) - marginals * (1 - observed)) ** 2
        else:
            spread += share * marginals**2 * (1 - observed) ** 2
    spread -= (observed * expected - 2 * expected + observed) ** 2
    error = math.sqrt(max(0.0, spread) / n) / (1 - expected) ** 2
    half = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Kappa(agreement=observed, value=value, low=max(-1.0, value - half), high=min(1.0, value + half))
