"""Whether a training will end within what it may run: measured in its first steps, asked again after each.

A job that is stopped although it would have made it costs more than one that is stopped late. So the question
"is it too slow?" is answered with the fastest pace that the steps so far allow for, and what is said to be
needed with the pace that they had. The operator adds its margin to that.

This file travels into the job beside the trainer; it needs the standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS = 5
"""So many steps are measured before anything is concluded."""
SHARE = 0.01
"""And so long a part of what the job may run."""
ERRORS = 3.0
"""Standard errors by which the steps so far may have been slower than the rest will be."""
EASE = 0.9
"""And a tenth, for what is slow only at the beginning."""
LAST = 0.1
"""In this last part of its steps no job is stopped for what comes after them, which is modelled."""
GIGABYTES_PER_MINUTE = (9.0, 2.5)
"""Of the weights: merged, read back for the last check, and sent to the Hub; fast and slow, as in estimates."""


@dataclass
class Pace:
    """Seconds that the steps of this process took. The first `skip` are slower than the rest and not measured."""

    skip: int = 1
    seen: int = 0
    busy: float = 0.0
    """Seconds of all steps that were seen."""
    measured: int = 0
    _total: float = 0.0
    _squares: float = 0.0
    _fastest: float = math.inf

    def add(self, seconds: float) -> None:
        """A step took so long."""
        self.seen += 1
        self.busy += seconds
        if self.seen <= self.skip:
            return
        self.measured += 1
        self._total += seconds
        self._squares += seconds * seconds
        self._fastest = min(self._fastest, seconds)

    @property
    def seconds(self) -> float:
        """A step's mean."""
        return self._total / self.measured if self.measured else 0.0

    def at_best(self, left: int) -> float:
        """What the mean of the steps that are left may turn out to be: never below half of the fastest step.

        A prediction interval: both what was measured and what is to come are samples of steps.
        """
        if self.measured < 2:
            return 0.0
        spread = max(0.0, self._squares - self._total * self.seconds) / (self.measured - 1)
        error = math.sqrt(spread * (1 / self.measured + 1 / left))
        return max(self._fastest / 2, self.seconds - ERRORS * error)

    def calibrated(self, limit: float) -> bool:
        """Whether enough was measured to say something about a job that may run for `limit` seconds."""
        return self.measured >= STEPS and self._total >= SHARE * limit


@dataclass(frozen=True)
class Moment:
    """Where the job is. Seconds since it began, and steps.

    `ready`: when this process was ready for its first step. `after`: what follows the last step, at its fastest
    and at its slowest. `steps`: of the whole training; `done`: of them, those of earlier attempts included.
    """

    limit: float
    elapsed: float
    ready: float
    after: tuple[float, float]
    steps: int
    done: int

    @property
    def left(self) -> int:
        """Steps that are still to be done."""
        return self.steps - self.done


def is_too_slow(pace: Pace, at: Moment) -> bool:
    """Whether the job cannot end in time, as far as one can tell; when in doubt it can."""
    if at.left <= 0 or not pace.calibrated(at.limit):
        return False
    after = at.after[0] if at.left > LAST * at.steps else 0.0
    return at.elapsed + EASE * pace.at_best(at.left) * at.left + after > at.limit


def needs(pace: Pace, at: Moment, *, steps: int) -> float:
    """Seconds that a job needs for so many steps, setting up and publishing included."""
    return at.ready + steps * pace.seconds + at.after[1]


def after_training(weights: int) -> tuple[float, float]:
    """Seconds from the last step to the published model, for so many bytes of weights: fast and slow."""
    fast, slow = (weights / 1e9 / rate * 60 for rate in GIGABYTES_PER_MINUTE)
    return fast, slow


def told(pace: Pace, at: Moment, *, kept: int, tokens_per_step: float) -> tuple[str, dict[str, float]]:
    """Why the job ends early: words for a person, and metrics of the report. `kept`: the step that another
    attempt goes on from, 0 where there is none.
    """
    in_all = needs(pace, at, steps=at.steps)
    metrics = {
        "seconds_needed": in_all,
        "seconds_left": needs(pace, at, steps=at.steps - kept),
        "seconds_allowed": at.limit,
        "seconds_per_step": pace.seconds,
        "tokens_per_second": tokens_per_step / pace.seconds,
    }
    words = (
        f"{metrics['tokens_per_second']:.4g} tokens/s, {pace.seconds:.3g} s a step, and {at.left} of {at.steps} steps "
        f"left after {at.elapsed:.0f} s: the job would need about {in_all:.0f} s in all and may run {at.limit:.0f} s; "
        + (f"step {kept} is kept on the Hub" if kept else "nothing of it is kept")
    )
    return words, metrics
