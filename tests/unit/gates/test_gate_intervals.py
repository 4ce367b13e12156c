"""The gate's intervals, compared with published values, independent computations and documented error rates."""

import itertools
import math
import random
from functools import cache

import pytest

from modelops.api.v1alpha1.rollout import Goal
from modelops.domain.gates import paired_mean
from modelops.domain.gates.tango import Interval, Pairs, interval, mcnemar_p, score
from modelops.domain.gates.verdict import Verdict, evaluate


def test_published_interval_is_reproduced() -> None:
    """Fagerland, Lydersen, Laake, Stat Med 33 (2014): airway hyper-responsiveness, Tango -0.517 to -0.026."""
    found = interval(Pairs(n=21, gained=1, lost=7), alpha=0.025)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.517, -0.026)


@pytest.mark.parametrize("n", [5, 20, 50, 400])
def test_no_discordant_pair_still_has_a_width(n: int) -> None:
    """Tango's closed form for this case: z^2 / (n + z^2)."""
    z = 1.6448536269514722
    found = interval(Pairs(n=n, gained=0, lost=0), alpha=0.05)
    assert found.high == pytest.approx(z * z / (n + z * z), abs=1e-9)
    assert found.low == pytest.approx(-found.high)


def brute_force_score(pairs: Pairs, difference: float) -> float:
    """The score test from its definition: the likelihood maximised on a fine grid under the constraint."""
    rest = pairs.n - pairs.gained - pairs.lost

    def likelihood(lost: float) -> float:
        gained = lost + difference
        cells = ((pairs.gained, gained), (pairs.lost, lost), (rest, 1 - gained - lost))
        if any(p < 0 or (k and p <= 0) for k, p in cells):
            return -math.inf
        return sum(k * math.log(p) for k, p in cells if k)

    low, high = max(0.0, -difference), (1 - difference) / 2
    for _ in range(8):
        grid = [low + (high - low) * i / 200 for i in range(201)]
        best = max(range(201), key=lambda i: likelihood(grid[i]))
        low, high = grid[max(0, best - 1)], grid[min(200, best + 1)]
    lost = (low + high) / 2
    variance = pairs.n * (2 * lost + difference * (1 - difference))
    return (pairs.gained - pairs.lost - pairs.n * difference) / math.sqrt(variance)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 2, 50), (3, 5, 30), (1, 1, 8), (40, 60, 500)])
@pytest.mark.parametrize("difference", [-0.3, -0.05, 0.1, 0.4])
def test_score_is_the_constrained_maximum_likelihoods(
    gained: int, lost: int, n: int, difference: float
) -> None:
    pairs = Pairs(n=n, gained=gained, lost=lost)
    assert score(pairs, difference) == pytest.approx(brute_force_score(pairs, difference), rel=1e-4)


def test_interval_contains_the_estimate_mirrors_and_narrows() -> None:
    for gained, lost in itertools.product(range(0, 11, 2), repeat=2):
        found = interval(Pairs(n=20, gained=gained, lost=lost), alpha=0.05)
        other = interval(Pairs(n=20, gained=lost, lost=gained), alpha=0.05)
        wider = interval(Pairs(n=20, gained=gained, lost=lost), alpha=0.01)
        assert -1 <= wider.low <= found.low <= (gained - lost) / 20 <= found.high <= wider.high <= 1
        assert (found.low, found.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


def test_all_or_nothing_reaches_the_end_of_the_scale() -> None:
    assert interval(Pairs(n=10, gained=10, lost=0), alpha=0.05).high == 1.0
    assert interval(Pairs(n=10, gained=0, lost=10), alpha=0.05).low == -1.0


@pytest.mark.parametrize(("gained", "lost", "n"), [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(gained: int, lost: int, n: int) -> None:
    with pytest.raises(ValueError, match="these counts are not possible"):
        Pairs(n=n, gained=gained, lost=lost)


def shares(n: int, *, up: float, down: float, margin: float, trials: int = 4000) -> dict[Verdict, float]:
    """The share of each verdict, if a pair is gained with probability `up` and lost with probability `down`."""
    chance = random.Random(20261123)

    @cache
    def verdict(gained: int, lost: int) -> Verdict:
        found = interval(Pairs(n=n, gained=gained, lost=lost), alpha=0.05)
        return evaluate(found, goal=Goal.NON_INFERIOR, margin=margin)

    counts = dict.fromkeys(Verdict, 0)
    for _ in range(trials):
        gained = lost = 0
        for _ in range(n):
            drawn = chance.random()
            gained += drawn < up
            lost += up <= drawn < up + down
        counts[verdict(gained, lost)] += 1
    return {name: count / trials for name, count in counts.items()}


@pytest.mark.parametrize("n", [30, 100])
def test_a_model_worse_by_the_margin_passes_one_time_in_twenty(n: int) -> None:
    assert shares(n, up=0.05, down=0.10, margin=0.05, trials=2000)[Verdict.PASS] < 0.07


@pytest.mark.parametrize(
    ("n", "up", "down", "margin", "expected"),
    [
        (150, 0.10, 0.10, 0.05, 0.40),
        (150, 0.10, 0.10, 0.10, 0.86),
        (150, 0.21, 0.09, 0.05, 0.99),
        (30, 0.10, 0.10, 0.05, 0.12),
    ],
)
def test_power_is_what_the_documentation_promises(
    n: int, up: float, down: float, margin: float, expected: float
) -> None:
    assert shares(n, up=up, down=down, margin=margin, trials=1500)[Verdict.PASS] == pytest.approx(
        expected, abs=0.05
    )


@pytest.mark.parametrize(
    ("low", "high", "goal", "verdict"),
    [
        (-0.049, 0.2, Goal.NON_INFERIOR, Verdict.PASS),
        (-0.05, 0.2, Goal.NON_INFERIOR, Verdict.INCONCLUSIVE),
        (-0.2, -0.05, Goal.NON_INFERIOR, Verdict.INCONCLUSIVE),
        (-0.2, -0.051, Goal.NON_INFERIOR, Verdict.FAIL),
        (0.001, 0.2, Goal.SUPERIOR, Verdict.PASS),
        (-0.01, 0.2, Goal.SUPERIOR, Verdict.INCONCLUSIVE),
        (-0.2, -0.01, Goal.SUPERIOR, Verdict.FAIL),
    ],
)
def test_verdict_follows_from_the_interval(low: float, high: float, goal: Goal, verdict: Verdict) -> None:
    assert evaluate(Interval(low, high), goal=goal, margin=0.05) is verdict


def test_margin_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="margin 5"):
        evaluate(Interval(0, 0), goal=Goal.NON_INFERIOR, margin=5)


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (12, 2, 0.012939453125), (5, 5, 1.0), (0, 6, 0.03125)]
)
def test_mcnemars_exact_p(gained: int, lost: int, p: float) -> None:
    assert mcnemar_p(Pairs(n=50, gained=gained, lost=lost)) == pytest.approx(p)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 6.31375), (2, 2.91999), (3, 2.35336), (5, 2.01505), (10, 1.81246), (29, 1.69913), (299, 1.64997)],
)
def test_students_quantile_is_the_tables(degrees: int, quantile: float) -> None:
    assert paired_mean.student_quantile(0.95, degrees) == pytest.approx(quantile, abs=1e-5)


def test_differences_without_spread_still_give_an_interval_with_a_width() -> None:
    found = paired_mean.interval([0.0] * 20, alpha=0.05)
    assert found.high == -found.low == pytest.approx(0.119, abs=1e-3)
    with pytest.raises(ValueError, match="at least 2"):
        paired_mean.interval([0.5], alpha=0.05)
