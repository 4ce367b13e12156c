"""Properties of a paid job that hold under all faults, for the real decision in the real reconciler.

MODELOPS_PROPERTY_EXAMPLES: how many histories are played for each set of faults; few by default, for CI.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.training.mutants import MUTANTS
from tests.unit.training.simulation import Faults, Violation, play

from modelops.domain.plan import Plan
from modelops.domain.training.state import State

EXAMPLES = int(os.environ.get("MODELOPS_PROPERTY_EXAMPLES", "60"))
MAX_SEEDS = 3000
FAULTS_BY_NAME = {
    "crashes": Faults(),
    "crashes and a service that is later than the settle period": Faults(prompt=False),
    "failing jobs and refusals": Faults(job_failures=1, refusals=1),
    "failing jobs, refusals and a late service": Faults(job_failures=1, refusals=1, prompt=False),
    "cancel, deletion and failing jobs": Faults(endings=2, job_failures=1),
    "three failing jobs": Faults(job_failures=3, takeovers=1),
    "suspensions and crashes": Faults(suspensions=2),
    "suspensions, failing jobs and a late service": Faults(suspensions=1, job_failures=2, prompt=False),
    "approvals, suspensions and failing jobs": Faults(approvals=1, suspensions=1, job_failures=1),
    "approvals, crashes and a cancel": Faults(approvals=2, endings=1),
    "approvals and a late service": Faults(approvals=1, job_failures=1, refusals=1, prompt=False),
    "everything at once": Faults(
        endings=2, job_failures=2, refusals=1, suspensions=1, lost_answers=2, prompt=False
    ),
}
TAPES = st.lists(st.integers(0, 2**16 - 1), min_size=15, max_size=45)


@pytest.mark.parametrize("faults", FAULTS_BY_NAME.values(), ids=FAULTS_BY_NAME.keys())
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(tape=TAPES)
def test_money_is_spent_once_covered_and_booked_and_every_run_ends(faults: Faults, tape: list[int]) -> None:
    play(tape, faults)


@pytest.mark.parametrize("wrong", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_decision_in_another_order_is_caught(wrong: Callable[[State], Plan]) -> None:
    for seed in range(MAX_SEEDS):
        chance = random.Random(seed)
        tape = [chance.randrange(2**16) for _ in range(chance.randrange(5, 45))]
        for faults in (
            Faults(),
            Faults(prompt=False),
            Faults(endings=1, job_failures=1, prompt=False),
            Faults(approvals=2),
            Faults(job_failures=1, suspensions=1),
        ):
            try:
                play(tape, faults, decision=wrong)
            except Violation:
                return
    pytest.fail(f"{wrong.__name__} breaks nothing that is checked")
