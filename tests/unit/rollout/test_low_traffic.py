"""30 sessions a day, 1,000 a second and none: real counters, real sums and the real decisions on a made-up clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.simulation.fleet import BEFORE, QUIET, Clock
from tests.unit.rollout import objects, sessions
from tests.unit.rollout.rollout_driver import HEALTHY, RolloutDriver, has_ended, parsed, rollout_state

from modelops.adapters.reports import ReportBody, ReportStore
from modelops.adapters.reports.latency import BUCKET_COUNT
from modelops.api.v1alpha1.approval import Approval
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.step_requests import PromoteRequest
from modelops.domain.analysis.sessions_needed import sessions_to_exclude
from modelops.domain.rollout.forecast import make_forecast
from modelops.domain.rollout.planned_cost import planned_cost
from modelops.domain.rollout.state import CanaryMeasurements, RolloutSettings
from modelops.ports import AgentTraffic, ProgramState, TrackCounters
from modelops.router.routing_table import CANARY, Route, RoutingTable
from modelops.router.session_counters import SessionCounters

NO_REQUESTS = {"requests": 0, "latencyMs": {"count": 0, "buckets": [0] * BUCKET_COUNT}}
DEFAULTS: dict[str, Any] = {"strategy": {"canary": {}}, "analysis": {}, "progressDeadlineSeconds": 172800}
STEP = 1800.0
SETTINGS = RolloutSettings(canary_seconds=1_000_000, renew_seconds=1_000_000)
"""No renewal of the expiry: each would be an edit of the agents' file."""


@dataclass
class Agent:
    """One process of an agent with so many sessions a day, each of one good request."""

    per_day: float
    seed: int = 1
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.rng, self.number = random.Random(self.seed), 0
        self.counters, self.store = SessionCounters(), ReportStore(clock=self.clock)
        self.counters.start_table(QUIET)
        self.weight, self.salt = 0, ""
        self.report()

    def route(self, weight: int, salt: str) -> None:
        if (weight, salt) != (self.weight, self.salt):
            self.weight, self.salt = weight, salt
            canary = Route(CANARY, "tuned", "tuned", version="v2", salt=salt)
            self.canary = canary
            self.counters.start_table(
                RoutingTable(stable=BEFORE, canary=canary, weight=weight, salt=salt, state="Progressing")
            )

    def pass_time(self, seconds: float) -> None:
        self.clock.seconds += seconds
        expected = self.per_day * seconds / 86400
        for _ in range(int(expected) + (self.rng.random() < expected % 1)):
            self.number += 1
            on_canary = self.weight and self.rng.random() < self.weight / 100
            route = self.canary if on_canary else BEFORE
            began = self.counters.begin(route, f"s{self.number}", self.clock.seconds)
            self.counters.finish(began, ok=True, latency_ms=100.0)
        self.report()

    def report(self) -> None:
        body = {
            "agent": "docs",
            "process": "p1",
            "generation": 1,
            "salt": self.salt,
            "tracks": {"stable": NO_REQUESTS, "canary": NO_REQUESTS},
            "sessions": self.counters.as_report(self.clock.seconds),
        }
        self.counters.set_limits(self.store.record(ReportBody.model_validate(body)))


def rollout_with(agent: Agent, **spec: Any) -> RolloutDriver:
    """A rollout with the defaults of the API, a day after the operator began to listen to the agent."""
    for _ in range(48):
        agent.pass_time(STEP)
    driver = RolloutDriver(rollout_state(objects.rollout(**{**DEFAULTS, **spec}), settings=SETTINGS))
    driver.state = replace(driver.state, traffic=agent.store.traffic("", "docs"))
    return driver


def run(driver: RolloutDriver, agent: Agent, *, until: Any = has_ended, hours: float = 60) -> RolloutDriver:
    """Lets the time of the operator and of the agent pass together until this holds."""
    for _ in range(int(hours * 3600 / STEP) * 3):
        if until(driver.state):
            return driver
        block = driver.state.block
        if block is not None:
            agent.route(block.weight, driver.state.uid)
        said = agent.store.summary("", "docs", generation=1, salt=driver.state.uid, pods=None)
        requests = sum(c[0] for _, c in said.sessions.canary.live) + said.sessions.canary.folded[0]
        driver.state = replace(
            driver.state,
            reports=replace(
                HEALTHY,
                sessions=said.sessions,
                canary=TrackCounters(requests=requests, p95_ms=100),
            ),
        )
        counted = driver.state.measurements.healthy_seconds
        plan = driver.step()
        if "tick_reset" in driver.performed:
            driver.performed.remove("tick_reset")
            counted = 0.0
        if plan.requeue_after != 0:
            agent.pass_time(STEP)
            counted += STEP
            driver.state = replace(driver.state, now=driver.state.now + timedelta(seconds=STEP))
        driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=counted))
    raise AssertionError(f"never: {driver.reason} {driver.message}")


def asks(state: Any) -> bool:
    return state.rollout.status.offer is not None


@pytest.mark.parametrize("seed", range(1, 5))
def test_thirty_sessions_a_day_end_within_the_reserved_time_in_a_promotion_or_a_question(seed: int) -> None:
    driver = run(rollout_with(agent := Agent(30, seed)), agent, until=lambda s: has_ended(s) or asks(s))
    status = driver.state.rollout.status
    assert status.forecast is not None
    assert status.forecast.steps[0].sessions in range(3, 9)
    assert status.planned_seconds is not None
    assert driver.state.now - objects.START < timedelta(seconds=status.planned_seconds)
    if asks(driver.state):
        assert "too little to go on without a person" in driver.message
        driver.edit_spec(approval=Approval(approved_by="ann", digest=status.approval_digest))
        run(driver, agent)
    assert (driver.phase, driver.reason) == ("Succeeded", "Promoted")
    assert "none bad" in driver.message
    assert " in 100 fail" in driver.message
    assert "Whether it is 5 points worse is not known" in driver.message


def test_a_question_that_nobody_answers_ends_on_stable_when_the_paid_time_ends() -> None:
    driver = run(rollout_with(agent := Agent(3)), agent)
    status = driver.state.rollout.status
    assert (driver.phase, driver.reason) == ("Aborted", "DeadlineExceeded")
    assert status.forecast is not None
    assert status.forecast.may_ask_a_person
    assert driver.state.record is not None
    assert driver.state.record.stable.version == "v1.0.0"


def test_accepted_low_traffic_ends_without_a_person_once_a_session_was_good() -> None:
    agent = Agent(10)
    driver = run(rollout_with(agent, analysis={"acceptLowTraffic": True}), agent)
    assert (driver.phase, driver.reason) == ("Succeeded", "Promoted")


def test_sessions_that_come_while_a_person_is_asked_withdraw_the_question() -> None:
    driver = run(rollout_with(agent := Agent(10)), agent, until=asks)
    agent.per_day = 400
    run(driver, agent)
    assert (driver.phase, driver.reason) == ("Succeeded", "Promoted")


@pytest.mark.parametrize("per_day", [0, 10])
def test_a_person_who_promotes_instead_of_approving_is_not_told_that_enough_is_known(per_day: int) -> None:
    driver = run(rollout_with(agent := Agent(per_day)), agent, until=asks)
    driver.edit_spec(promote=PromoteRequest(through_step=3))
    driver.step()
    assert "enough is known" not in driver.message
    assert "spec.promote" in driver.message
    assert run(driver, agent).reason == "Promoted"


@pytest.mark.parametrize("accepted", [None, True])
def test_no_traffic_at_all_is_never_promoted_without_a_person(accepted: bool | None) -> None:
    agent = Agent(0)
    driver = run(rollout_with(agent, analysis={"acceptLowTraffic": accepted} if accepted else {}), agent)
    assert (driver.phase, driver.reason) == ("Aborted", "DeadlineExceeded")
    assert "only its availability is verified" in " ".join(
        [driver.message, *(c.message for c in driver.state.rollout.status.conditions)]
    )


def test_minrequests_that_are_written_stay_strict() -> None:
    driver = run(rollout_with(agent := Agent(30), analysis={"minRequests": 50}), agent)
    assert (driver.phase, driver.reason) == ("Aborted", "DeadlineExceeded")
    forecast = driver.state.rollout.status.forecast
    assert forecast is not None
    assert "minRequests 50 will hardly be reached" in forecast.message


def test_a_thousand_sessions_a_second_take_the_usual_time() -> None:
    busy = AgentTraffic(sessions=60_000, failed=0, seconds=60)
    driver = RolloutDriver(rollout_state(objects.rollout(**DEFAULTS), traffic=busy, settings=SETTINGS))
    said = sessions.reported(sessions.counts(100_000), sessions.counts(400_000))
    driver.state = replace(driver.state, reports=replace(HEALTHY, sessions=said))
    forecast = make_forecast(driver.state)
    assert forecast.steps[0].excluded_points == 5
    assert (forecast.proposal, forecast.may_ask_a_person) == ("", False)
    for _ in range(400):
        if has_ended(driver.state):
            break
        counted = driver.state.measurements.healthy_seconds
        plan = driver.step()
        counted = 0.0 if "tick_reset" in driver.performed else counted
        driver.performed.clear()
        if plan.requeue_after != 0:
            driver.pass_time(STEP)
            counted += STEP
        driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=counted))
    assert driver.reason == "Promoted"
    assert driver.state.now - objects.START < timedelta(seconds=86400 + 3600)


def test_the_proposal_for_thirty_sessions_a_day_is_accepted_and_excludes_five_points() -> None:
    state = rollout_state(
        objects.rollout(**DEFAULTS), traffic=AgentTraffic(sessions=210, failed=0, seconds=7 * 86400)
    )
    forecast = make_forecast(state)
    assert "20 % for 1 day sees 6 canary sessions" in forecast.message
    assert "fewer than 42 in 100 fail" in forecast.message
    assert "50 % for 5 days would see 75 and exclude 5 points" in forecast.message
    pasted = parsed(Rollout, objects.rollout(**{**DEFAULTS, **YAML(typ="safe").load(forecast.proposal)}))
    assert pasted.spec.strategy.canary is not None
    again = make_forecast(replace(state, rollout=pasted))
    assert (again.steps[0].excluded_points, again.proposal) == (5, "")


def test_langsmith_tells_where_the_operator_has_listened_too_short() -> None:
    found = {"sessions": 70, "failed": 0, "seconds": 7 * 86400, "message": "70 threads in LangSmith"}
    check = ProgramState(result={"ok": True, "recent_sessions": found})
    short = AgentTraffic(sessions=1, failed=0, seconds=4000)
    forecast = make_forecast(rollout_state(objects.rollout(**DEFAULTS), traffic=short, check=check))
    assert (forecast.source, forecast.sessions_per_day) == ("LangSmith", "10")
    assert make_forecast(rollout_state(objects.rollout(**DEFAULTS))).source == "Unknown"


@pytest.mark.parametrize(("points", "needed"), [(5, 65), (10, 32), (20, 15)])
def test_sessions_that_exclude_a_difference_where_nothing_fails(points: int, needed: int) -> None:
    assert sessions_to_exclude(points) == needed


@pytest.mark.parametrize(("max_usd", "hours"), [("1000", 48), ("40", 40), ("31", 31)])
def test_time_for_a_person_is_planned_and_passes_no_limit(max_usd: str, hours: float) -> None:
    """An hour costs a dollar, and an hour of setup and a quarter more than a day of pause are planned anyway."""
    quiet = AgentTraffic(sessions=21, failed=0, seconds=7 * 86400)
    state = rollout_state(objects.rollout(**DEFAULTS, maxUSD=max_usd), traffic=quiet)
    assert planned_cost(state, per_hour=1_000_000).seconds == hours * 3600
