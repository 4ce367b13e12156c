"""Hands without a cluster: what was asked for is counted, and what a test wants to happen is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.client import ClientError
from modelops.infra_agent.hands import AgentFacts, GoingOn, Offer, Prepared, Running, TeamSettings, WayBack
from modelops.tools.candidates import NEWEST
from modelops.tools.collecting import Failures
from modelops.tools.errors import ToolRefused
from modelops.tools.results import (
    AgentModels,
    Change,
    Comparison,
    Deployment,
    EvaluationChances,
    JobProgress,
    MetricComparison,
    Spending,
    TrainingJob,
    TrainingQuote,
)
from modelops.tools.rollouts import DeploymentRequest, EvaluationRequest
from modelops.tools.training_request import TrainingRequest

DOCS = AgentFacts(
    agent="docs",
    agent_model="docs",
    training_dataset="ls://docs-examples",
    evaluation_dataset="ls://docs-held-out",
    approval_above_usd=10,
)
QUOTE = TrainingQuote(
    quote_id="docs-estimate-1",
    agent_name="docs",
    base_model="Qwen/Qwen2.5-Coder-7B",
    training_method="sft",
    dataset_id="",
    examples=150,
    low_usd=2.8,
    high_usd=3.5,
    max_usd=3.68,
    low_minutes=72,
    high_minutes=90,
    flavor="a10g-large",
    valid_until=datetime.now(UTC) + timedelta(hours=1),
    message="a training would cost $2.80 to $3.50",
)
JOB = JobProgress(
    status="Running",
    progress_pct=45,
    current_loss=0.42,
    eta_minutes=30,
    hub_repo=None,
    job_id="docs-train-1",
    agent_name="docs",
    finished=False,
    succeeded=False,
    version=None,
    cost_usd=None,
    status_url=None,
    message="step 45 of 100",
)
COMPARISON = Comparison(
    baseline_score=0.75,
    candidate_score=0.87,
    improvement_pct=12,
    recommendation="deploy",
    langsmith_experiment_url=None,
    evaluation_id="docs-evaluate-1",
    agent_name="docs",
    status="Succeeded",
    finished=True,
    interval_points=(3, 21),
    examples=40,
    metrics=(MetricComparison(name="latency", baseline=1500, candidate=1200, unit="milliseconds, median"),),
    findings=(),
    created=False,
    message="the candidate is better",
)
DEPLOYMENT = Deployment(
    deployed=False,
    endpoint_url=None,
    version="v1.1.0-rc.1",
    rollout_pct=0,
    rollout_id="docs-deploy-1",
    agent_name="docs",
    status="Evaluating",
    finished=False,
    created=True,
    message="is being evaluated",
)
SPENT = Spending(
    agent_name="docs",
    month="2026-11",
    budget_usd=50,
    settled_usd=4,
    reserved_usd=0,
    standing_usd=0,
    left_usd=46,
    endpoints_usd_per_hour=0,
)


FAILURES = Failures(
    agent="docs",
    project="docs-prod",
    name="docs-failures-20261130",
    since=datetime(2026, 10, 31, tzinfo=UTC),
    until=datetime(2026, 11, 30, tzinfo=UTC),
    runs=("r1", "r2"),
    looked_at=90,
    repeated=1,
    sensitive={SensitiveKind.KEY: 3},
)


@dataclass
class FakeHands:
    """See `Hands`. `created`: each object that was made, by its key; `changed`: each change of an object."""

    facts_of: AgentFacts = DOCS
    quote: TrainingQuote = QUOTE
    job: JobProgress = JOB
    compared: Comparison = COMPARISON
    moved: Deployment = DEPLOYMENT
    spent: Spending = SPENT
    way: WayBack = field(
        default_factory=lambda: WayBack(agent_model="docs", current="v1.0.0", why_not="it is on v1.0.0")
    )
    failed: Failures | ToolRefused = FAILURES
    last: Comparison | None = None
    now_running: tuple[Running, ...] = ()
    waiting: GoingOn | str = "it ends by itself"
    """What a promotion of a canary would open, or why nothing waits for a person."""
    current: str = "v1.0.0"
    scorer: str = "exact"
    unreachable: ClientError | None = None
    """Raised by each read."""
    on_create: ClientError | ToolRefused | None = None
    """Raised once by the next creation, after it was made: the answer was lost."""
    refuse: ClientError | ToolRefused | None = None
    """Raised by each creation, before it is made."""
    created: dict[str, Any] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    estimates: list[TrainingRequest] = field(default_factory=list)

    async def agents(self) -> tuple[str, ...]:
        if self.unreachable:
            raise self.unreachable
        return ("docs", "cicd")

    async def facts(self, agent: str) -> AgentFacts:
        return replace(self.facts_of, agent=agent)

    async def last_dataset(self, agent: str) -> str | None:
        return "ls://last"

    async def estimate(self, request: TrainingRequest) -> TrainingQuote:
        self.estimates.append(request)
        limit = {"max_usd": float(request.max_usd)} if request.max_usd else {}
        return self.quote.model_copy(
            update={"agent_name": request.agent_name, "dataset_id": request.dataset_id or "", **limit}
        )

    async def start_training(self, quote_id: str, *, max_usd: str | None, key: str) -> TrainingJob:
        created = self._create(quote_id, "train")
        return TrainingJob(
            job_id="docs-train-1",
            hub_repo=None,
            estimated_cost=None,
            status_url=None,
            phase="Pending",
            created=created,
            message="",
        )

    async def prepare(self, request: EvaluationRequest, *, key: str) -> Prepared:
        if self.refuse:
            raise self.refuse
        named = "v1.1.0-rc.1" if request.candidate_model == NEWEST else request.candidate_model
        return Prepared(
            candidate=named,
            max_usd=request.max_usd or "10",
            basis=f"{named} {self.scorer} {self.current}",
            made=key in self.created,
        )

    async def chances(self, agent: str, *, examples: int | None, team: TeamSettings) -> EvaluationChances:
        return EvaluationChances(
            agent_name=agent,
            examples=examples or 150,
            margin_points=10,
            disagreement_points=20,
            expected_gain_points=2,
            pass_if_equal=0.84,
            pass_if_expected_gain=0.94,
            pass_if_half_margin_worse=0.37,
            minutes=4,
            is_poor=False,
            limit_usd=10,
            last_estimate_usd=1.2,
            message=f"With {examples or 150} examples a candidate passes in 84 % of evaluations if it is equal.",
        )

    async def evaluate(self, request: EvaluationRequest, *, key: str) -> Comparison:
        return self.compared.model_copy(update={"created": self._create(key, request)})

    async def deploy(self, request: DeploymentRequest, *, key: str) -> Deployment:
        return self.moved.model_copy(update={"created": self._create(key, request)})

    async def progress(self, run: str) -> JobProgress:
        return self.job

    async def comparison(self, evaluation: str) -> Comparison:
        return self.compared

    async def last_comparison(self, agent: str, version: str) -> Comparison | None:
        return self.last

    async def deployment(self, rollout: str) -> Deployment:
        return self.moved

    async def running(self, agent: str | None) -> tuple[Running, ...]:
        return self.now_running

    async def find_running(self, name: str) -> Running:
        return next(one for one in self.now_running if one.name == name)

    async def way_back(self, agent: str, *, to: str | None) -> WayBack:
        return self.way

    async def abort(self, rollout: str) -> Change:
        self.changed.append(f"abort {rollout}")
        return Change(
            kind="Rollout", name=rollout, agent_name="docs", done=True, message=f"{rollout} is being aborted"
        )

    async def go_back(self, agent_model: str, *, to: str) -> str:
        self.changed.append(f"{agent_model} to {to}")
        return f"a rollout goes back to {to}"

    async def set_paused(self, one: Running, *, paused: bool) -> Change:
        self.changed.append(f"{'pause' if paused else 'resume'} {one.name}")
        message = f"{one.name} is {'paused' if paused else 'resumed'}"
        return Change(kind=one.kind, name=one.name, agent_name=one.agent, done=True, message=message)

    async def going_on(self, rollout: str, *, full: bool) -> GoingOn:
        if isinstance(self.waiting, str) and not full:
            raise ToolRefused(self.waiting)
        found = self.waiting if isinstance(self.waiting, GoingOn) else GoingOn(rollout=rollout, agent="docs")
        return replace(found, full=True, through_step=None, words="it is promoted") if full else found

    async def go_on(self, found: GoingOn) -> Change:
        opens = "all steps" if found.full else f"step {found.through_step}"
        self.changed.append(f"open {opens} of {found.rollout}")
        return Change(
            kind="Rollout", name=found.rollout, agent_name=found.agent, done=True, message="it goes on"
        )

    async def failures(self, agent: str) -> Failures:
        if isinstance(self.failed, ToolRefused):
            raise self.failed
        return replace(self.failed, agent=agent)

    async def store_failures(self, failures: Failures, *, key: str) -> None:
        self._create(key, failures)

    async def trained_with(self, run: str) -> TrainingRequest:
        return TrainingRequest(
            agent_name="docs", dataset_id="ls://of-that-run", base_model="org/base", training_method="dpo"
        )

    async def cancel_training(self, run: str) -> Change:
        self.changed.append(f"cancel {run}")
        return Change(
            kind="TrainingRun", name=run, agent_name="docs", done=True, message=f"{run} is being cancelled"
        )

    async def offer(self, run: str) -> Offer:
        return Offer(
            run=run, uid="uid", digest="digest", agent="docs", high_usd=12, lines=(("cost", "$10 to $12"),)
        )

    async def approve(self, offer: Offer) -> Change:
        self.changed.append(f"approve {offer.run} {offer.digest}")
        return Change(
            kind="TrainingRun", name=offer.run, agent_name="docs", done=True, message="approved by you"
        )

    async def models(self, agent: str) -> AgentModels:
        return AgentModels(
            agent_name=agent,
            current_version=self.current,
            current_model="m",
            models=(),
            total=0,
            next_page=None,
        )

    async def spending(self, agent: str | None) -> Sequence[Spending]:
        return (self.spent,)

    def _create(self, key: str, what: Any) -> bool:
        if self.refuse:
            raise self.refuse
        new = key not in self.created
        self.created[key] = what
        if self.on_create:
            error, self.on_create = self.on_create, None
            raise error
        return new
