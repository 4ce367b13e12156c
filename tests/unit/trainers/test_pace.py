"""Whether a training ends in time: decided late rather than wrongly, and soon where it is hopeless."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.domain.training.pricing import speed
from modelops.trainers import pace as paces
from modelops.trainers.pace import (
    MIN_STEPS,
    Pace,
    Position,
    describe_too_slow,
    is_too_slow,
    seconds_after_training,
    seconds_needed,
)

AT = Position(limit=1000.0, elapsed=100.0, ready=90.0, after=(10.0, 40.0), steps=100, done=6)


def paced(*seconds: float, skip: int = 1) -> Pace:
    pace = Pace(skip=skip)
    for each in seconds:
        pace.add(each)
    return pace


def even(seconds: float, steps: int = MIN_STEPS) -> Pace:
    """A first step that took ten times as long, and then steps of the same length."""
    return paced(10 * seconds, *[seconds] * steps)


def stopped_at(seconds: Iterator[float], *, steps: int, limit: float, ready: float = 60.0) -> int | None:
    """The step at which a job of such steps is stopped; None where it goes on to its end."""
    pace, elapsed = Pace(), ready
    for done in range(1, steps + 1):
        took = next(seconds)
        pace.add(took)
        elapsed += took
        at = Position(limit=limit, elapsed=elapsed, ready=ready, after=(20.0, 60.0), steps=steps, done=done)
        if is_too_slow(pace, at):
            return done
    return None


def test_the_first_step_is_slower_and_not_measured() -> None:
    pace = paced(60.0, 2.0, 2.0, 2.0, 2.0, 2.0)
    assert (pace.seconds, pace.fastest_likely(100), pace.busy, pace.steps) == (2.0, 2.0, 70.0, 6)


@pytest.mark.parametrize(
    ("pace", "at", "late"),
    {
        "far too slow": (even(30.0), AT, True),
        "in time": (even(8.0), AT, False),
        "a little too slow, perhaps": (even(9.6), AT, False),
        "too few steps": (even(1000.0, MIN_STEPS - 1), AT, False),
        "too short to tell": (even(1.9), replace(AT, steps=10**6), False),
        "nothing is left": (even(30.0), replace(AT, done=100), False),
        "the end alone would be late": (
            even(8.0),
            replace(AT, done=95, elapsed=960.0, after=(900.0, 900.0)),
            False,
        ),
        "the time after the last step is too long": (even(8.0), replace(AT, after=(500.0, 900.0)), True),
        "the last steps cannot be done": (even(8.0), replace(AT, done=95, elapsed=990.0), True),
        "no time is left": (even(8.0), replace(AT, elapsed=1001.0), True),
    }.values(),
)
def test_a_job_is_too_slow_only_where_even_its_fastest_likely_pace_is(
    pace: Pace, at: Position, late: bool
) -> None:
    assert is_too_slow(pace, at) is late


@pytest.mark.parametrize("seed", range(100))
def test_a_job_that_would_end_in_time_is_not_stopped(seed: int) -> None:
    """Steps that vary by two thirds, a start that is slower, and a limit that is just enough."""
    chance = random.Random(seed)
    took = [chance.lognormvariate(0.0, 0.6) for _ in range(400)]
    took[0] += 30.0
    took[3] += chance.choice([0.0, 20.0])
    assert stopped_at(iter(took), steps=400, limit=60.0 + sum(took) + 20.0) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_job_that_is_twice_too_slow_is_stopped_in_the_first_steps(seed: int) -> None:
    chance = random.Random(seed)
    took = [chance.lognormvariate(0.0, 0.3) for _ in range(2000)]
    found = stopped_at(iter(took), steps=2000, limit=60.0 + sum(took) / 2)
    assert found is not None
    assert found < 100


@given(st.lists(st.floats(0.001, 1000.0), min_size=3, max_size=50), st.integers(1, 500), st.integers(0, 500))
def test_seconds_needed_grow_with_the_steps(seconds: list[float], steps: int, more: int) -> None:
    pace = paced(*seconds)
    assert min(seconds) / 2 <= pace.fastest_likely(steps) <= pace.seconds * (1 + 1e-9)
    assert seconds_needed(pace, AT, steps=steps) == steps * pace.seconds + AT.ready + AT.after[1]
    assert seconds_needed(pace, AT, steps=steps + more) >= seconds_needed(pace, AT, steps=steps)


def test_description_has_the_measured_pace_and_the_needs_of_the_next_attempt() -> None:
    pace, at = even(30.0), replace(AT, done=6)
    message, metrics = describe_too_slow(pace, at, checkpoint=6, tokens_per_step=600.0)
    assert metrics == {
        "seconds_needed": 90 + 100 * 30 + 40,
        "seconds_left": 90 + 94 * 30 + 40,
        "seconds_allowed": 1000.0,
        "seconds_per_step": 30.0,
        "tokens_per_second": 20.0,
    }
    assert message == (
        "20 tokens/s, 30 s per step, and 94 of 100 steps left after 100 s: the job would need about 3130 s in all and "
        "may run 1000 s; step 6 is kept on the Hub"
    )
    message, metrics = describe_too_slow(pace, at, checkpoint=0, tokens_per_step=600.0)
    assert metrics["seconds_left"] == metrics["seconds_needed"]
    assert "nothing of it is kept" in message


def test_rates_are_those_of_the_operators_estimate() -> None:
    assert speed.GIGABYTES_PER_MINUTE["merge and upload"] == paces.GIGABYTES_PER_MINUTE
    assert seconds_after_training(18_000_000_000) == pytest.approx((120.0, 432.0))
