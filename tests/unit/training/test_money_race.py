"""Runs that race for the last dollars of a month, through conditional writes of one record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.training.objects import NOW, empty_record, prepared_status
from tests.unit.training.states import agent_model, claimed_by, job, plan_for, run

from modelops.domain.money import micro
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.record import Record
from modelops.domain.training.actions import SubmitJob
from modelops.domain.training.state import Submission
from modelops.ports import Job, Json, ModelInfo

MONTH = "2025-12"


@dataclass
class Runner:
    """One run, with the record that it last read and the writes that it has under way."""

    uid: str
    status: Json
    seconds: int
    state: tuple[int, Record] | None = None
    plan: Plan = field(default_factory=Plan)
    job: Job | None = None

    def decide(self, budget: str) -> Plan:
        assert self.state is not None
        running = replace(self.job, stage="COMPLETED", running_seconds=self.seconds) if self.job else None
        facts: dict[str, Any] = {
            "submission": Submission(job=self.job) if self.job else None,
            "job": running,
            "attempt_claim": claimed_by(self.job.id) if self.job else None,
            "labelled": (running,) if running else (),
            "result": ModelInfo(repo="r", revision="r" * 40),
            "lineage": {"run": self.uid},
        }
        of = run(self.status, meta={"uid": self.uid, "name": self.uid})
        limits = agent_model(budget={"monthlyUSD": budget, "approvalAboveUSD": "10"})
        return plan_for(of, record=self.state[1], agent_model=limits, **facts)

    def take(self, step: Any, stored: tuple[int, Record]) -> tuple[int, Record]:
        """Carries out one step; a write of the record is refused if it was decided from an older one."""
        assert self.state is not None
        if isinstance(step, WriteRecord):
            if self.state[0] != stored[0]:
                self.plan = Plan()
                return stored
            self.state = (stored[0] + 1, step.record)
            return self.state
        if isinstance(step, WriteStatus):
            self.status = step.status.wire()
        if isinstance(step, SubmitJob):
            self.job = job("SCHEDULING", id=f"job-{self.uid}")
        return stored


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    budget=st.decimals("0", "2", places=2).map(str),
    prices=st.lists(st.decimals("0.01", "0.9", places=3).map(str), min_size=2, max_size=5),
    seconds=st.lists(st.integers(0, 900), min_size=5, max_size=5),
    turns=st.lists(st.integers(0, 14), max_size=80),
)
def test_reservations_and_settlements_never_exceed_the_monthly_budget(
    budget: str, prices: list[str], seconds: list[int], turns: list[int]
) -> None:
    stored = (0, empty_record())
    runners = []
    for number, price in enumerate(prices):
        status = prepared_status()
        hourly = micro(price) * 4  # so that 15 minutes, the high end, cost the price
        status["estimate"] |= {"highUSD": price, "usdPerHour": f"{hourly / 1e6:.6f}"}
        runners.append(Runner(uid=f"run-{number}", status=status, seconds=seconds[number]))
    for turn in [*turns, *range(15), *range(15), *range(15)] * 3:
        runner = runners[turn % len(runners)]
        if runner.plan.empty:
            # Every third read gets an old record: its writes must fail.
            if turn % 3 or runner.state is None:
                runner.state = stored
            runner.plan = runner.decide(budget)
        if not runner.plan.empty:
            step, rest = runner.plan.steps[0], runner.plan.steps[1:]
            runner.plan = replace(runner.plan, steps=rest)
            stored = runner.take(step, stored)
        assert stored[1].committed(MONTH, NOW) <= micro(budget)
    assert all(version.startswith("v1.") for version in stored[1].allocated)
    made = [done.version for done in stored[1].completed.values() if done.version]
    assert len(made) == len(set(made))
