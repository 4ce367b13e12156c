"""The interval for the mean of paired differences, where each example was answered several times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from modelops.domain.gates.tango import Interval


def interval(differences: Sequence[float], *, alpha: float) -> Interval:
    """Student's interval over the examples. Answers to one example are not independent, so they are not counted.

    Each end is a one-sided bound at `alpha`. The half-width is at least z^2 / (n + z^2), which is the half-width of
    Tango's interval without discordant pairs: a few differences that do not vary prove little.

    Raises:
        ValueError: there are fewer than 2 examples.
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"an interval needs at least 2 examples, not {n}")
    z = NormalDist().inv_cdf(1 - alpha)
    half = max(student_quantile(1 - alpha, n - 1) * stdev(differences) / math.sqrt(n), z * z / (n + z * z))
    middle = fmean(differences)
    return Interval(low=max(-1.0, middle - half), high=min(1.0, middle + half))


def student_interval(differences: Sequence[float], *, alpha: float) -> Interval:
    """Student's interval for the mean of paired differences on any scale, without a least width: for reports only.

    Raises:
        ValueError: there are fewer than 2 pairs.
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"an interval needs at least 2 pairs, not {n}")
    middle = fmean(differences)
    half = student_quantile(1 - alpha, n - 1) * stdev(differences) / math.sqrt(n)
    return Interval(low=middle - half, high=middle + half)


def student_quantile(p: float, degrees: int) -> float:
    """Quantile of Student's t, by bisection on its distribution function (p from 0.5 to 1)."""
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, degrees) < p else (low, middle)
    return (low + high) / 2


def _student_cdf(t: float, degrees: int) -> float:
    """The finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4, for t >= 0."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0 if odd and degrees == 1 else term
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    area = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + area / 2
