"""Properties of a run with spec.estimateOnly that hold under all faults, for the real decision in the real reconciler."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.training.objects import RUN
from tests.unit.training.simulation import Decision, Faults, PaidJobSimulation, Violation, decide, play_in

from modelops.domain.plan import Plan
from modelops.domain.training.state import State

TAPES = st.lists(st.integers(0, 2**16 - 1), min_size=15, max_size=45)


class EstimateSimulation(PaidJobSimulation):
    """An estimate among the faults of a paid job, from its creation on."""

    def __init__(self, faults: Faults, *, decision: Decision = decide, **limits: Any) -> None:
        super().__init__(faults, decision=decision, prepared=False, estimateOnly=True, **limits)
        self.first_record = self.ledger()

    def check(self) -> None:
        if self.jobs.jobs or self.hub.claims:
            raise self.violation("an estimate made a job or a claim")
        if self.ledger() != self.first_record or "record" in self.server.writes:
            raise self.violation("an estimate wrote the record")
        if self.status().get("approvalDigest"):
            raise self.violation("an estimate asks for an approval")

    def check_at_rest(self) -> None:
        status, run = self.status(), self.server.live(("TrainingRun", RUN))
        outcome = (status.get("phase"), status.get("reason"))
        ended_by_person = self.ended_by_person and outcome == ("Cancelled", "Cancelled")
        deleted_unseen = run is None and not status
        if outcome != ("Succeeded", "Estimated") and not ended_by_person and not deleted_unseen:
            raise self.violation(f"the estimate is {outcome}")
        if outcome[0] == "Succeeded" and not (status.get("estimate") and status["dataset"].get("asOf")):
            raise self.violation("the estimate has no price or no data")
        if run is not None and run["metadata"].get("finalizers"):
            raise self.violation("the finalizer is left")


FAULTS = {
    "crashes": Faults(takeovers=3, lost_answers=2),
    "cancel and deletion": Faults(endings=2, suspensions=1),
    "above the threshold": Faults(approvals=1),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("limits", [{}, {"maxUSD": "0.01"}], ids=["affordable", "too dear"])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(tape=TAPES)
def test_an_estimate_ends_and_spends_nothing_whatever_happens(
    faults: Faults, limits: dict[str, str], tape: list[int]
) -> None:
    play_in(EstimateSimulation(faults, **limits), tape)


def as_a_training(state: State) -> Plan:
    """A wrong decision: it does not know spec.estimateOnly, as an older operator."""
    spec = state.run.spec.model_copy(update={"estimate_only": False})
    return decide(replace(state, run=state.run.model_copy(update={"spec": spec})))


def test_a_decision_that_trains_is_caught() -> None:
    chance = random.Random(1)
    simulation = EstimateSimulation(Faults(), decision=as_a_training)
    with pytest.raises(Violation, match="an estimate "):
        play_in(simulation, [chance.randrange(2**16) for _ in range(30)])
