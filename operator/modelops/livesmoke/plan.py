"""What a live smoke run may cost at most, shown and compared with the cap before anything bills."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final

from modelops.domain.rollout.endpoint_cost import PAUSE_FACTOR, SETUP_SECONDS
from modelops.livesmoke.cap import CapRefusedError

MAX_REQUESTS: Final = 200
"""The most requests of the run's agent, to both models together."""
ANSWERS_USD: Final = Decimal("0.25")
"""Set aside for answers of the baseline, which is billed by token: the agent's and the evaluation's, each with at most
400 tokens in and 256 out, at less than $1.50 for a million tokens."""
ROLL_BACK_SECONDS: Final = 300.0
"""The longest time of the way back."""
AFTERWARDS_SECONDS: Final = 900
"""Planned for the endpoint after its rollout: the way back, 240 s for the operator to delete it, and
six minutes to delete it at last."""
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts of the cost, in US dollars. `training`: the high end of the operator's estimate; None before it."""

    cap: Decimal
    endpoint_per_hour: Decimal
    pause_seconds: int
    training: Decimal | None = None
    training_words: str = ""

    @property
    def endpoint(self) -> Decimal:
        """The endpoint's cost: what the operator reserves, after which the Rollout aborts, and what follows that."""
        seconds = SETUP_SECONDS + math.ceil(self.pause_seconds * PAUSE_FACTOR) + AFTERWARDS_SECONDS
        return (self.endpoint_per_hour * seconds / 3600).quantize(_CENT, ROUND_CEILING)

    @property
    def total(self) -> Decimal:
        """The most that the run may cost."""
        return self.endpoint + ANSWERS_USD + (self.training or Decimal(0))

    @property
    def training_limit(self) -> Decimal:
        """`spec.maxUSD` of the TrainingRun: what the cap leaves for it."""
        return (self.cap - self.endpoint - ANSWERS_USD).quantize(_CENT, ROUND_DOWN)

    def require_fit(self) -> None:
        """Raises CapRefusedError if the run may cost more than the cap."""
        if self.total > self.cap:
            parts = "" if self.training is None else f"${self.training} for the training, "
            enough = self.total.to_integral_value(ROUND_CEILING)
            raise CapRefusedError(
                f"the run may cost up to ${self.total} ({parts}${self.endpoint} for the endpoint, ${ANSWERS_USD} for "
                f"answers), and the cap is ${self.cap}: use `make live-smoke MAX_USD={enough}`, or "
                "cheaper hardware with --instance. Nothing was spent"
            )

    def lines(self) -> Iterator[str]:
        """The plan for people."""
        yield f"training    up to ${self.training}   one job, one attempt; {self.training_words}"
        yield f"endpoint    up to ${self.endpoint}   ${self.endpoint_per_hour:.2f} an hour, for evaluation and canary"
        yield f"answers     up to ${ANSWERS_USD}   of the baseline, at most {MAX_REQUESTS} requests of the agent"
        yield f"in all      up to ${self.total}   of the cap of ${self.cap}, which is also the agent's budget"
