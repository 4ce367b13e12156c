"""Rollout: proves that a model is not worse than a margin allows, then moves the traffic to it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, exactly_one, immutable, latch, matches, rules
from modelops.api.v1alpha1.meta import (
    LABEL_NAME,
    ApiModel,
    Conditions,
    DatasetRef,
    Fraction,
    HubRepository,
    KubernetesObject,
    LocalReference,
    Measured,
    Money,
    Points,
    Share,
    StatusModel,
)

_COMMIT = r"^[0-9a-f]{40}$"
_VERSION = r"^v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?$"


class ModelRevision(ApiModel):
    """A model on the Hub at a revision."""

    repo: HubRepository = Field(description="Model repository on the Hugging Face Hub, `organisation/name`.")
    revision: Annotated[
        str, matches(_COMMIT, "write the full commit: a branch could change under the evaluation")
    ] = Field(
        pattern=_COMMIT,
        max_length=40,
        description="Full commit of the repository. Not a branch: it could change under the evaluation.",
    )


class Candidate(
    ApiModel,
    json_schema_extra=rules(exactly_one("trainingRunRef", "model", "version", where="candidate")),
):
    """The model that may become stable."""

    training_run_ref: LocalReference | None = Field(
        default=None,
        description="The result of a TrainingRun of the same agent, in the same namespace. The rollout "
        "waits until the run is done.",
    )
    model: ModelRevision | None = Field(
        default=None, description="A model on the Hugging Face Hub, at a commit."
    )
    version: (
        Annotated[str, matches(_VERSION, "write a version as in status.versions, such as v1.1.0")] | None
    ) = Field(
        default=None,
        pattern=_VERSION,
        max_length=64,
        description="A version of the agent's history, such as v1.0.0: an undo.",
    )


class ScorerType(StrEnum):
    EXACT = "exact"
    TOKEN_F1 = "tokenF1"
    JSON = "json"


class Scorer(ApiModel):
    """What makes an answer a success."""

    type: ScorerType = Field(
        default=ScorerType.EXACT,
        description="How an answer is scored against the example's: exact (equal: 1), tokenF1 (harmonic "
        "mean of shared words) or json (equal as JSON: 1).",
    )
    threshold: Share = Field(default="1", description="Least score, 0 to 1, that is a success.")


class Goal(StrEnum):
    NON_INFERIOR = "nonInferior"
    SUPERIOR = "superior"


class Evaluation(ApiModel):
    """How the candidate is compared with what serves the agent, on held-out examples."""

    dataset: DatasetRef | None = Field(
        default=None,
        description="Held-out LangSmith dataset; by default the AgentModel's langsmith.evaluationDataset.",
    )
    scorer: Scorer = Field(default_factory=Scorer, description="What makes an answer a success.")
    margin_points: Points = Field(
        default="5",
        description="By how many percentage points the candidate's success rate may be lower than the "
        "baseline's; the confidence interval has to stay above it.",
    )
    goal: Goal = Field(
        default=Goal.NON_INFERIOR,
        description="nonInferior: not worse than the margin allows. superior: better than the baseline.",
    )
    max_examples: int | None = Field(
        default=None, ge=1, le=100000, description="Most held-out examples to use; by default all."
    )
    concurrency: int = Field(default=8, ge=1, le=64, description="Most model calls at once.")


class Pause(ApiModel):
    """Wait, while the canary's traffic is watched."""

    duration_seconds: int = Field(
        ge=1,
        le=2592000,
        description="Healthy seconds to wait. Only time with the agents in sync and no breach counts.",
    )


class CanaryStep(
    ApiModel, json_schema_extra=rules(exactly_one("setWeight", "pause", where="a step of the canary"))
):
    """One step: raise the weight, or wait while watching."""

    set_weight: int | None = Field(
        default=None, ge=1, le=100, description="Percent of sessions that go to the canary from here on."
    )
    pause: Pause | None = Field(default=None, description="Wait, while the canary's traffic is watched.")


_WEIGHTS = "self.steps.filter(s, has(s.setWeight)).map(s, s.setWeight)"


class Canary(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "!has(self.steps) || self.steps.size() == 0 || has(self.steps[0].setWeight)",
            "canary.steps must begin with setWeight: before it the canary has no traffic to watch",
            field="steps",
        ),
        Rule(
            f"!has(self.steps) || ({_WEIGHTS}.isSorted() && "
            f"{_WEIGHTS}.all(w, {_WEIGHTS}.filter(v, v == w).size() == 1))",
            "the weights of canary.steps must rise from step to step: a session that was moved stays moved",
            field="steps",
        ),
    ),
):
    """Weighted, analysed steps; after the last one the candidate is promoted."""

    steps: tuple[CanaryStep, ...] = Field(
        default=(
            CanaryStep(set_weight=20),
            CanaryStep(pause=Pause(duration_seconds=86400)),
            CanaryStep(set_weight=100),
        ),
        min_length=1,
        max_length=16,
        description="Steps in order, each setWeight or pause; after the last one the candidate is promoted. "
        "By default 20 percent, a watched day, 100 percent.",
    )


class Empty(ApiModel):
    """Nothing to set."""


class Strategy(
    ApiModel,
    json_schema_extra=rules(exactly_one("immediate", "canary", "evaluateOnly", where="strategy")),
):
    """How the traffic moves."""

    immediate: Empty | None = Field(
        default=None, description="`{}`: straight to 100 percent once the gate passes."
    )
    canary: Canary | None = Field(
        default=None, description="Weighted steps with watched pauses; `{}` for the default steps."
    )
    evaluate_only: Empty | None = Field(default=None, description="`{}`: judge the candidate, move nothing.")


class Analysis(ApiModel):
    """When the canary is aborted: judged on what the agents' own processes report."""

    min_requests: int = Field(
        default=50,
        ge=1,
        le=1000000,
        description="Requests that the canary must have answered before a pause may end.",
    )
    max_error_points: Points = Field(
        default="2",
        description="By how many percentage points the canary's error rate may exceed the stable one's.",
    )
    max_latency_ratio: Annotated[
        Fraction, Rule("double(self) >= 1.0", "write a factor of at least 1, such as 1.5")
    ] = Field(
        default="1.5",
        description="By what factor the canary's 95th percentile of latency may exceed the stable one's.",
    )
    latency_floor_milliseconds: int = Field(
        default=100,
        ge=0,
        le=600000,
        description="A 95th percentile below this many milliseconds is never a breach.",
    )


_IMMUTABLE = (
    "agentModelRef",
    "candidate",
    "evaluation",
    "strategy",
    "analysis",
    "maxUSD",
    "progressDeadlineSeconds",
)


class RolloutSpec(
    ApiModel,
    json_schema_extra=rules(
        *(immutable(name, "a rollout is done once; create a new Rollout") for name in _IMMUTABLE),
        latch("abort", "create a new Rollout"),
        Rule(
            "!has(self.strategy.canary) || !has(self.strategy.canary.steps) || "
            "self.strategy.canary.steps.map(s, has(s.pause) ? s.pause.durationSeconds : 0).sum() < "
            "self.progressDeadlineSeconds",
            "progressDeadlineSeconds must be longer than the pauses of canary.steps together: raise it, or "
            "shorten the pauses",
            field="progressDeadlineSeconds",
        ),
    ),
):
    """What people write. Immutable but for `paused` and `abort`: to try again, create another Rollout."""

    agent_model_ref: LocalReference = Field(
        description="The AgentModel, in the same namespace, of the agent whose traffic moves."
    )
    candidate: Candidate = Field(description="The model that may become stable; exactly one member.")
    evaluation: Evaluation = Field(
        default_factory=Evaluation,
        description="How the candidate is compared with what serves the agent, on held-out examples, before "
        "any traffic moves.",
    )
    strategy: Strategy = Field(
        default_factory=lambda: Strategy(canary=Canary()),
        description="How the traffic moves once the gate passes; exactly one member, by default the default "
        "canary.",
    )
    analysis: Analysis = Field(
        default_factory=Analysis,
        description="When the canary is aborted, judged on what the agents' own processes report.",
    )
    max_usd: Money = Field(
        alias="maxUSD",
        description="Most that evaluating and trying the candidate may cost in US dollars, its endpoint "
        "included. A higher estimate is refused before anything is spent.",
    )
    progress_deadline_seconds: int = Field(
        default=172800,
        ge=10,
        le=2592000,
        description="A rollout that is not done this many seconds after it claimed the agent goes back to "
        "stable.",
    )
    paused: bool = Field(
        default=False,
        description="Hold before the next step, for as long as this is true. An abort and the deadline "
        "still act.",
    )
    abort: bool = Field(
        default=False,
        description="Set to true to put all traffic back on stable. Cannot be taken back.",
    )


class RolloutPhase(StrEnum):
    PENDING = "Pending"
    PROVISIONING = "Provisioning"
    EVALUATING = "Evaluating"
    PROGRESSING = "Progressing"
    PROMOTING = "Promoting"
    SUCCEEDED = "Succeeded"
    REJECTED = "Rejected"
    ABORTED = "Aborted"
    FAILED = "Failed"


class CandidateStatus(StatusModel):
    """What the candidate resolved to."""

    version: str = Field(max_length=64, description="Version.")
    model: str = Field(max_length=193, description="Hub repository.")
    revision: str = Field(default="", max_length=64, description="Commit.")
    endpoint: str = Field(default="huggingface", max_length=32, description="Which kind of service answers.")
    endpoint_name: str = Field(default="", max_length=32, description="Inference Endpoint.")
    endpoint_url: str = Field(default="", max_length=512, description="OpenAI-compatible base URL.")


class ArmResult(StatusModel):
    """One side of the comparison."""

    success: Measured = Field(description="Mean success, 0 to 1.")
    latency_p50_milliseconds: int = Field(default=0, ge=0, description="Median latency.")
    latency_p95_milliseconds: int = Field(default=0, ge=0, description="95th percentile of latency.")
    usd_per_1000_tokens: Measured = Field(default="0", description="US dollars per 1,000 tokens.")
    errors: int = Field(default=0, ge=0, description="Calls that failed; each counts as not a success.")


class EvaluationStatus(StatusModel):
    """The verdict, with its numbers."""

    examples: int = Field(default=0, ge=0, description="Held-out examples that both answered.")
    baseline: ArmResult | None = Field(default=None, description="What serves the agent.")
    candidate: ArmResult | None = Field(default=None, description="The candidate.")
    difference_points: str = Field(
        default="", max_length=16, description="Candidate minus baseline, in percentage points."
    )
    interval_points: tuple[Annotated[str, Field(max_length=16)], ...] = Field(
        default=(), max_length=2, description="Confidence interval of the difference."
    )
    margin_points: str = Field(default="", max_length=16, description="The stated margin.")
    dataset_version: str = Field(
        default="", max_length=300, description="The dataset and its version, `<dataset>@<as of>`."
    )
    verdict: str = Field(default="", max_length=16, description="pass, fail or inconclusive.")
    recommendation: str = Field(default="", max_length=16, description="deploy, review or reject.")
    experiment_url: str = Field(default="", max_length=1024, description="The comparison in LangSmith.")
    recorded: bool = Field(default=True, description="Whether LangSmith has all of it.")
    candidates_compared: int = Field(
        default=1, ge=0, description="How many candidates were judged on this dataset version."
    )
    findings: tuple[Annotated[str, Field(max_length=512)], ...] = Field(
        default=(), max_length=32, description="What a person should know."
    )


class Intent(StatusModel):
    """The routing write that is intended, on record before it is made."""

    step: int = Field(ge=0, description="Position in the weights: 0 arms at weight 0.")
    weight: int = Field(ge=0, le=100, description="Percent of sessions.")
    state: str = Field(default="Progressing", max_length=16, description="Progressing or Promoting.")
    generation: int = Field(ge=0, description="Generation of the routing.")
    base_resource_version: str = Field(
        default="", max_length=32, description="resourceVersion of the file that it was decided from."
    )
    writes: int = Field(default=1, ge=1, description="How often it was written.")


class TrackSummary(StatusModel):
    """What the agents report of one track since the rollout began."""

    requests: int = Field(default=0, ge=0, description="Requests.")
    errors: int = Field(default=0, ge=0, description="Errors.")
    latency_p95_milliseconds: int = Field(default=0, ge=0, description="95th percentile of latency.")


class AnalysisStatus(StatusModel):
    """The watch on the canary."""

    healthy_seconds: int = Field(default=0, ge=0, description="Counted towards the current pause.")
    stable: TrackSummary | None = Field(default=None, description="The stable track.")
    canary: TrackSummary | None = Field(default=None, description="The canary track.")
    verdict: str = Field(default="", max_length=32, description="Healthy, Waiting or Breached.")
    message: str = Field(default="", max_length=512, description="Why.")


class RollbackTimes(StatusModel):
    """How long putting everything back took, in milliseconds."""

    detect_milliseconds: int = Field(
        default=0, ge=0, description="From the first bad report in the window to the breach."
    )
    decide_milliseconds: int = Field(default=0, ge=0, description="From the breach to the decision.")
    write_milliseconds: int = Field(default=0, ge=0, description="From the decision to the routing written.")
    effect_milliseconds: int | None = Field(
        default=None, ge=0, description="From the routing written to the last agent on stable."
    )


class RolloutStatus(StatusModel):
    """What the operator has observed."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks of.")
    phase: RolloutPhase = Field(
        default=RolloutPhase.PENDING, description="For people; conditions are for programs."
    )
    reason: str = Field(default="", max_length=64, description="Why it is in this phase.")
    candidate: CandidateStatus | None = Field(default=None, description="What the candidate resolved to.")
    evaluation: EvaluationStatus | None = Field(default=None, description="The verdict.")
    estimate_usd: Money | None = Field(
        default=None, alias="estimateUSD", description="What evaluating and trying it may cost."
    )
    standing_usd_per_month: Money | None = Field(
        default=None, alias="standingUSDPerMonth", description="What serving it costs afterwards."
    )
    step: int = Field(default=0, ge=0, description="Position in strategy.canary.steps.")
    weight: int = Field(default=0, ge=0, le=100, description="Percent of sessions that go to the canary.")
    intent: Intent | None = Field(default=None, description="The last intended routing.")
    promoting: bool = Field(default=False, description="Whether a promotion was ever intended.")
    abort_reason: str = Field(default="", max_length=64, description="Why it goes back; never taken back.")
    analysis: AnalysisStatus | None = Field(default=None, description="The watch on the canary.")
    rollback: RollbackTimes | None = Field(default=None, description="How long going back took.")
    started_at: datetime | None = Field(default=None, description="When the rollout claimed the agent.")
    step_started_at: datetime | None = Field(default=None, description="When the current step began.")
    finished_at: datetime | None = Field(default=None, description="When it ended.")
    conditions: Conditions = Field(
        default=(), description="Ready, EndpointReady, Evaluated, RoutingPropagated, Finished, Succeeded."
    )


_LATCHES = Rule(
    "!has(oldSelf.status) || ((!has(oldSelf.status.abortReason) || oldSelf.status.abortReason == '' || "
    "(has(self.status) && has(self.status.abortReason) && self.status.abortReason != '')) && "
    "(!has(oldSelf.status.promoting) || !oldSelf.status.promoting || "
    "(has(self.status) && has(self.status.promoting) && self.status.promoting)))",
    "status.abortReason and status.promoting are never taken back: create a new Rollout",
)


class Rollout(KubernetesObject[RolloutSpec, RolloutStatus], json_schema_extra=rules(LABEL_NAME, _LATCHES)):
    """Judges a candidate on held-out examples, then moves the traffic to it or puts all back."""

    kind: Literal["Rollout"] = "Rollout"
    status: RolloutStatus = Field(default_factory=RolloutStatus)
