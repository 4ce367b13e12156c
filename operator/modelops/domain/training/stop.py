"""What an emergency stop means for a TrainingRun: nothing is prepared, priced or submitted. A job that runs goes on.

Whoever stops an agent at night wants that nothing new begins, and money is part of that. A running job is paid for
already and moves no session; `modelops cancel` ends it.
"""

from __future__ import annotations

from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.state import State
from modelops.domain.training.status import RETRY_SECONDS, wait_in_phase


def wait_while_stopped(state: State) -> TrainingPlan | None:
    """Before each submission, also that of a further attempt, and before one whose first POST is known to be lost."""
    if state.stop is None:
        return None
    message = f"{state.stop.message}. Until then nothing is submitted; a job that runs goes on"
    return wait_in_phase(
        state, state.run.status.phase, TrainingReason.EmergencyStop, message, after=RETRY_SECONDS
    )
