"""Whether a training will end within the job's time limit: measured in its first steps, and asked after each step.

To stop a job that would have ended in time costs more than to stop a hopeless one late. The question "is it too slow?"
is therefore answered with the fastest pace that the measured steps allow for. The time that the job would need is
computed with the mean pace of these steps, and the operator adds its own margin.

This file travels into the job beside the trainer; it needs the standard library, and `grammar.py` beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from modelops.grammar import counted
else:
    from grammar import counted

MIN_STEPS = 5
"""Steps that must be measured before a job can be too slow."""
MIN_SHARE = 0.01
"""Share of the time limit that the measured steps must have taken before a job can be too slow."""
STANDARD_ERRORS = 3.0
"""Standard errors by which the measured steps may have been slower than the remaining ones will be."""
SLOW_START = 0.9
"""Factor for the remaining steps, because the first steps of a process may be slower than later ones."""
LAST_SHARE = 0.1
"""In this last share of its steps, the time after the last step does not stop a job, because it is an estimate."""
GIGABYTES_PER_MINUTE = (9.0, 2.5)
"""Rate for the weights after the training (merged, read again for the last check, uploaded to the Hub): fast and slow,
as in the operator's estimates."""


@dataclass
class Pace:
    """Seconds that the steps of this process took. The first `skip` steps are slower and are not measured."""

    skip: int = 1
    steps: int = 0
    """All steps, the skipped ones included."""
    busy: float = 0.0
    """Seconds of all steps."""
    measured: int = 0
    """Steps without the skipped ones."""
    _total: float = 0.0
    _squares: float = 0.0
    _fastest: float = math.inf

    def add(self, seconds: float) -> None:
        """Add the duration of a step."""
        self.steps += 1
        self.busy += seconds
        if self.steps <= self.skip:
            return
        self.measured += 1
        self._total += seconds
        self._squares += seconds * seconds
        self._fastest = min(self._fastest, seconds)

    @property
    def seconds(self) -> float:
        """Mean seconds per measured step; 0 where none was measured."""
        return self._total / self.measured if self.measured else 0.0

    def fastest_likely(self, remaining: int) -> float:
        """A lower bound of the mean seconds of the remaining steps: never below half of the fastest step.

        It is the end of a prediction interval: both the measured and the remaining steps are samples.
        """
        if self.measured < 2:
            return 0.0
        variance = max(0.0, self._squares - self._total * self.seconds) / (self.measured - 1)
        error = math.sqrt(variance * (1 / self.measured + 1 / remaining))
        return max(self._fastest / 2, self.seconds - STANDARD_ERRORS * error)

    def is_calibrated(self, limit: float) -> bool:
        """Whether enough steps were measured to judge a job with a time limit of `limit` seconds."""
        return self.measured >= MIN_STEPS and self._total >= MIN_SHARE * limit


@dataclass(frozen=True)
class Position:
    """How far the job is. Times are seconds since the job's start.

    `limit`: the job's time limit. `ready`: when this process was ready for its first step. `after`: the fastest and the
    slowest estimate of the time that follows the last step. `steps`: steps of the whole training. `done`: finished
    steps, those of earlier attempts included.
    """

    limit: float
    elapsed: float
    ready: float
    after: tuple[float, float]
    steps: int
    done: int

    @property
    def remaining(self) -> int:
        """Steps that are not done."""
        return self.steps - self.done


def is_too_slow(pace: Pace, at: Position) -> bool:
    """Whether even the fastest likely pace is too slow for the time limit. While too little is measured: no."""
    if at.remaining <= 0 or not pace.is_calibrated(at.limit):
        return False
    after = at.after[0] if at.remaining > LAST_SHARE * at.steps else 0.0
    steps = SLOW_START * pace.fastest_likely(at.remaining) * at.remaining
    return at.elapsed + steps + after > at.limit


def seconds_needed(pace: Pace, at: Position, *, steps: int) -> float:
    """Seconds that a job with so many steps needs, with its preparation and the publication of its model."""
    return at.ready + steps * pace.seconds + at.after[1]


def seconds_after_training(weights: int) -> tuple[float, float]:
    """Seconds from the last step to the published model, for so many bytes of weights: fast and slow."""
    fast, slow = (weights / 1e9 / rate * 60 for rate in GIGABYTES_PER_MINUTE)
    return fast, slow


def describe_too_slow(
    pace: Pace, at: Position, *, checkpoint: int, tokens_per_step: float
) -> tuple[str, dict[str, float]]:
    """Why the job ends early: a message for a person, and the metrics of the report.

    `checkpoint` is the step from which another attempt can resume; 0 where there is no checkpoint.
    """
    total = seconds_needed(pace, at, steps=at.steps)
    metrics = {
        "seconds_needed": total,
        "seconds_left": seconds_needed(pace, at, steps=at.steps - checkpoint),
        "seconds_allowed": at.limit,
        "seconds_per_step": pace.seconds,
        "tokens_per_second": tokens_per_step / pace.seconds,
    }
    message = (
        f"{metrics['tokens_per_second']:.4g} tokens/s, {pace.seconds:.3g} s per step, and "
        f"{counted(at.remaining, 'step', of=at.steps)} left after {at.elapsed:.0f} s: the job would need about "
        f"{total:.0f} s in all and may run {at.limit:.0f} s; "
        + (f"step {checkpoint} is kept on the Hub" if checkpoint else "nothing of it is kept")
    )
    return message, metrics
