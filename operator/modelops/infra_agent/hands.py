"""What the conversation can do: the functions of `modelops.tools`, as the graph calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from modelops.tools.collecting import Failures
from modelops.tools.results import (
    AgentModels,
    Change,
    Comparison,
    Deployment,
    EvaluationChances,
    JobProgress,
    Spending,
    TrainingJob,
    TrainingQuote,
)
from modelops.tools.rollouts import PAUSE_SECONDS, DeploymentRequest, EvaluationRequest
from modelops.tools.training_request import TrainingRequest


@dataclass(frozen=True, kw_only=True)
class TeamSettings:
    """What a team wants for every evaluation and deployment that a message says nothing about.

    `scorer`, `threshold`, `margin_points`, `max_examples`: see `EvaluationRequest`. `canary_pct`: the share of sessions
    that a candidate gets first; `pause_seconds`: the healthy time until all get it.
    """

    scorer: str | None = None
    threshold: str | None = None
    margin_points: str | None = None
    max_examples: int | None = None
    canary_pct: int = 20
    pause_seconds: int = PAUSE_SECONDS

    def evaluation(self) -> dict[str, Any]:
        """The fields of an EvaluationRequest."""
        names = ("scorer", "threshold", "margin_points", "max_examples")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class AgentFacts:
    """What the conversation must know of an agent before it makes a plan."""

    agent: str
    agent_model: str
    training_dataset: str | None
    evaluation_dataset: str | None
    approval_above_usd: float
    """A training that may cost more waits for an approval."""


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """How an agent goes back: its active rollout is aborted, or else version `to` serves again.

    `why_not`: why there is nothing to go back from or to.
    """

    agent_model: str
    current: str | None = None
    abort: str | None = None
    to: str | None = None
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What waits for an approval. `lines`: what would be approved, as pairs of a name and a value."""

    run: str
    uid: str
    digest: str
    agent: str
    high_usd: float
    kind: Literal["training", "evaluation", "deployment"] = "training"
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a Rollout would be. `basis`: the digest of all that it depends on; `made`: the request has created it."""

    candidate: str
    max_usd: str
    basis: str
    made: bool = False


@dataclass(frozen=True, kw_only=True)
class Running:
    """A TrainingRun or Rollout of an agent."""

    kind: Literal["training", "evaluation", "deployment"]
    name: str
    agent: str
    finished: bool


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """What a promotion of a canary would open: a step that waits for a person, or all. `words`: what it does.

    `nothing`: whether it is open already, so that only `words` are left to say.
    """

    rollout: str
    agent: str
    through_step: int | None = None
    full: bool = False
    paused: bool = False
    nothing: bool = False
    words: str = ""


class Hands(Protocol):
    """What the conversation can do. Each raises ToolRefused or ClientError with a sentence for people."""

    async def agents(self) -> tuple[str, ...]:
        """The names of the agents, as agents.yaml has them."""

    async def facts(self, agent: str) -> AgentFacts:
        """What is known of an agent."""

    async def last_dataset(self, agent: str) -> str | None:
        """The dataset of the agent's newest training."""

    async def estimate(self, request: TrainingRequest) -> TrainingQuote:
        """What a training would cost. It spends nothing."""

    async def start_training(self, quote_id: str, *, max_usd: str | None, key: str) -> TrainingJob:
        """Start the training of a quote; a second time it returns the same training, by the key for ever."""

    async def prepare(self, request: EvaluationRequest, *, key: str) -> Prepared:
        """The Rollout for an evaluation or deployment, checked by the API server; nothing is made."""

    async def evaluate(self, request: EvaluationRequest, *, key: str) -> Comparison:
        """Start an evaluation; the same key returns the same one."""

    async def deploy(self, request: DeploymentRequest, *, key: str) -> Deployment:
        """Start a deployment; the same key returns the same one."""

    async def chances(self, agent: str, *, examples: int | None, team: TeamSettings) -> EvaluationChances:
        """What an evaluation is likely to show, and what it may cost. Nothing is made.

        `examples`: None for those of the team, and else of the agent's last evaluation.
        """

    async def progress(self, run: str) -> JobProgress:
        """How a training goes."""

    async def comparison(self, evaluation: str) -> Comparison:
        """How an evaluation goes."""

    async def last_comparison(self, agent: str, version: str) -> Comparison | None:
        """The newest evaluation of a version that has a result."""

    async def deployment(self, rollout: str) -> Deployment:
        """How a deployment goes."""

    async def running(self, agent: str | None) -> tuple[Running, ...]:
        """What runs for an agent or all, or else what ended last; the newest first."""

    async def find_running(self, name: str) -> Running:
        """The object of that name."""

    async def way_back(self, agent: str, *, to: str | None) -> WayBack:
        """How the agent would go back."""

    async def abort(self, rollout: str) -> Change:
        """Abort a rollout."""

    async def go_back(self, agent_model: str, *, to: str) -> str:
        """Serve an earlier version again."""

    async def set_paused(self, one: Running, *, paused: bool) -> Change:
        """Pause a rollout or suspend a training, or let it go on."""

    async def going_on(self, rollout: str, *, full: bool) -> GoingOn:
        """What a promotion of that canary would open now. Raises ToolRefused where no step waits for a person."""

    async def go_on(self, found: GoingOn) -> Change:
        """Open exactly that. Raises ToolRefused where it would open something else by now."""

    async def failures(self, agent: str) -> Failures:
        """The agent's failures in production that would become a dataset. It stores nothing."""

    async def store_failures(self, failures: Failures, *, key: str) -> None:
        """Make the dataset of exactly these failures; the same key makes it once."""

    async def trained_with(self, run: str) -> TrainingRequest:
        """What a training was asked to do, for another one like it."""

    async def cancel_training(self, run: str) -> Change:
        """Stop a training for good."""

    async def offer(self, run: str) -> Offer:
        """What an approval of that training or rollout would approve."""

    async def approve(self, offer: Offer) -> Change:
        """Approve exactly that offer, in the caller's name. Raises ToolRefused where it is another one by now."""

    async def models(self, agent: str) -> AgentModels:
        """The agent's versions."""

    async def spending(self, agent: str | None) -> tuple[Spending, ...]:
        """What one agent or all have spent this month."""
