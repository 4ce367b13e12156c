"""Rollout: tests that a candidate is not worse than a margin allows, then moves the agent's traffic to it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget, ProductionResult, ProductionSample
from modelops.api.v1alpha1.analysis_metrics import (
    METRICS_LIST,
    MOST_METRICS,
    AnalysisMetric,
    MetricStatus,
)
from modelops.api.v1alpha1.approval import Approval, Username
from modelops.api.v1alpha1.baseline_use import BaselineUse
from modelops.api.v1alpha1.cel import Rule, exactly_one, immutable, latch, matches, rules
from modelops.api.v1alpha1.forecast import TrafficForecast
from modelops.api.v1alpha1.history import HISTORY_LENGTH, RolloutTransition
from modelops.api.v1alpha1.judge import Judge, JudgeResult
from modelops.api.v1alpha1.langsmith_feedback import FeedbackResult, LangSmithFeedback
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
    StatusModel,
)
from modelops.api.v1alpha1.scorer import Scorer
from modelops.api.v1alpha1.similarity import Similarity, SimilarityResult
from modelops.api.v1alpha1.step_requests import PROMOTE_RULES, OnActive, PromoteRequest, StepAnalysis
from modelops.api.v1alpha1.top_up import TOP_UP_RULES, LookResult, PlannedLook, TopUp

_COMMIT = r"^[0-9a-f]{40}$"
_VERSION = r"^v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?$"


class ModelRevision(ApiModel):
    """A model repository on the Hugging Face Hub at one commit."""

    repo: HubRepository = Field(description="Model repository on the Hugging Face Hub, `organisation/name`.")
    revision: Annotated[
        str,
        matches(
            _COMMIT,
            "write the full commit of 40 hexadecimal digits: a branch could change during the evaluation",
        ),
    ] = Field(
        pattern=_COMMIT,
        max_length=40,
        description="Full commit of the repository, 40 hexadecimal digits. A branch is refused, since it "
        "could change during the evaluation.",
    )


class Candidate(
    ApiModel,
    json_schema_extra=rules(exactly_one("trainingRunRef", "model", "version", where="candidate")),
):
    """The model that the rollout tests and may promote; exactly one member is set."""

    training_run_ref: LocalReference | None = Field(
        default=None,
        description="TrainingRun of the same agent and namespace whose model is the candidate. The rollout "
        "waits until the run has succeeded.",
    )
    model: ModelRevision | None = Field(
        default=None, description="Model repository on the Hugging Face Hub, at one commit."
    )
    version: (
        Annotated[str, matches(_VERSION, "write a version as in status.versions, such as v1.1.0")] | None
    ) = Field(
        default=None,
        pattern=_VERSION,
        max_length=64,
        description="Version of the agent's history, such as v1.0.0. A version that was stable before "
        "needs no evaluation: this is an undo.",
    )


class Goal(StrEnum):
    """The hypotheses that an evaluation can test."""

    NON_INFERIOR = "nonInferior"
    SUPERIOR = "superior"


class OnInconclusive(StrEnum):
    """What follows from an evaluation that decides nothing."""

    REQUIRE_APPROVAL = "RequireApproval"
    TOP_UP = "TopUp"
    REJECT = "Reject"


class Evaluation(ApiModel, json_schema_extra=rules(*TOP_UP_RULES)):
    """The comparison of the candidate with the stable model on held-out examples."""

    dataset: DatasetRef | None = Field(
        default=None,
        description="Held-out LangSmith dataset. If it is empty, the AgentModel's langsmith.evaluationDataset is used.",
    )
    target: EvaluationTarget | None = Field(
        default=None,
        description="What answers the questions. model calls both models with the prompt contract, and the result is "
        "labelled as one of the model only. agent calls the agent itself (the AgentModel's evaluation.agent), with "
        "its own system prompt, tools and code, and each model in turn. If it is empty, it is model.",
    )
    production_sample: ProductionSample | None = Field(
        default=None,
        description="Recent runs of the AgentModel's langsmith.project whose inputs both models are asked as well. "
        "They have no reference, so they are reported apart and the verdict does not depend on them. If it is empty, "
        "none are asked.",
    )
    scorer: Scorer | None = Field(
        default=None,
        description="How an answer is scored, and the score from which it is a success. If it is empty, the "
        "AgentModel's langsmith.scorer is used. Without both nothing is evaluated, and the message suggests one that "
        "fits the examples.",
    )
    margin_points: Points | None = Field(
        default=None,
        description="Margin in percentage points by which the candidate's success rate may be lower than "
        "the stable model's. The whole confidence interval of the difference must be above minus this "
        "margin. If it is empty, it is 10 with up to 500 examples, and 5 with more.",
    )
    min_baseline_points: Points | None = Field(
        default=None,
        description="Lowest success rate of the stable model, in percentage points, at which a candidate that is not "
        "better can pass. Below it the margin would be a large part of what the stable model can do, and the "
        "evaluation is inconclusive. If it is empty, it is twice marginPoints, and at most 50.",
    )
    judge: Judge | None = Field(
        default=None,
        description="A model that says which answers are better. It is reported, and the verdict does not depend on "
        "it unless the scorer is judge. If it is empty, nothing is judged, or scorer judge takes the AgentModel's "
        "langsmith.judge.",
    )
    similarity: Similarity | None = Field(
        default=None,
        description="Reports how similar the answers are to the expected ones, by the AgentModel's embeddings. The "
        "verdict does not depend on it. If it is empty, nothing is compared in this way.",
    )
    langsmith_feedback: LangSmithFeedback | None = Field(
        default=None,
        description="Reports what LangSmith's own evaluators, which the workspace binds to the dataset, say of both "
        "experiments. The verdict does not depend on it. If it is empty, nothing is waited for.",
    )
    goal: Goal = Field(
        default=Goal.NON_INFERIOR,
        description="nonInferior requires a candidate that is not worse than the margin allows. superior "
        "requires one that is better than the stable model.",
    )
    max_examples: int | None = Field(
        default=None,
        ge=1,
        le=100000,
        description="Maximum number of held-out examples to use. If it is empty, all are used.",
    )
    expected_gain_points: Points | None = Field(
        default=None,
        description="Percentage points by which the candidate is expected to be better. The plan has the probability "
        "that such a candidate passes; below 0.5 the evaluation is refused unless acceptLowPower is true. If it is "
        "empty, it is 2.",
    )
    accept_low_power: bool | None = Field(
        default=None,
        description="True accepts an evaluation that will probably not pass even a candidate with the expected gain. "
        "If it is empty or false, such an evaluation is refused before anything is spent.",
    )
    concurrency: int = Field(
        default=8, ge=1, le=64, description="Maximum number of model calls at the same time."
    )
    on_inconclusive: OnInconclusive | None = Field(
        default=None,
        description="What follows if the evaluation shows neither that the candidate is within the margin nor that it "
        "is worse. RequireApproval asks a person: after the approval the canary stays at its first weight until a "
        "person approves the rest. TopUp asks both models about more examples first (topUp), and decides on all of "
        "them together; if that decides nothing either, a canary requires an approval, and other strategies reject. "
        "Reject rejects the candidate. If it is empty, a canary requires an approval, and other strategies reject.",
    )
    top_up: TopUp | None = Field(
        default=None,
        description="The second look of onInconclusive TopUp. Limits, budget and approval cover both looks.",
    )
    timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=1800,
        description="Seconds after which a call without a complete answer has failed. If it is empty, it is 120.",
    )
    max_p95_milliseconds: int | None = Field(
        default=None,
        ge=1,
        le=1800000,
        description="Limit of the 95th percentile of the candidate's latency, in milliseconds; a failed call counts as "
        "slower. A candidate that is above it with a confidence of 95 percent is rejected. It takes 59 calls.",
    )
    max_monthly_usd: Money | None = Field(
        default=None,
        alias="maxMonthlyUSD",
        description="Maximum cost of serving the candidate, in US dollars per month. A candidate with a higher "
        "status.standingUSDPerMonth is refused before anything is spent.",
    )


class Pause(ApiModel):
    """A pause in which the canary's traffic is analysed; `{}` waits until a person promotes."""

    duration_seconds: int | None = Field(
        default=None,
        ge=1,
        le=2592000,
        description="Healthy seconds to wait. Time counts only while all agents are in sync and no limit "
        "of spec.analysis is exceeded. If it is empty, the pause ends when a person opens it with spec.promote.",
    )


class CanaryStep(
    ApiModel,
    json_schema_extra=rules(exactly_one("setWeight", "pause", "analysis", where="a step of the canary")),
):
    """One step of a canary: it raises the weight, or waits while the traffic is analysed."""

    set_weight: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Percentage of sessions that go to the canary from this step on.",
    )
    pause: Pause | None = Field(
        default=None,
        description="Pause in which the canary's traffic is analysed. `{}` waits until a person promotes.",
    )
    analysis: StepAnalysis | None = Field(
        default=None,
        description="Waits until the canary is healthy and what is asked is shown, without a fixed time.",
    )


_QUORUM = "^([1-9][0-9]{0,3}|[1-9][0-9]?%|100%)$"
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
    """Steps that raise the canary's weight and analyse its traffic. After the last step the candidate is promoted."""

    steps: tuple[CanaryStep, ...] = Field(
        default=(
            CanaryStep(set_weight=20),
            CanaryStep(pause=Pause(duration_seconds=86400)),
            CanaryStep(set_weight=100),
        ),
        min_length=1,
        max_length=16,
        description="Steps in order, each with setWeight, pause or analysis. After the last step the candidate is "
        "promoted. By default 20 percent, a pause of one day, 100 percent.",
    )
    min_agents_in_sync: (
        Annotated[
            str,
            Field(pattern=_QUORUM, max_length=5),
            matches(
                _QUORUM, 'write a number of at least 1 or a percentage as a string, such as "3" or "80%"'
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Number or percentage of the ready Pods (without a selector: of the processes) that must have "
        "confirmed a weight before its pause counts and before the next weight. The first weight and the promotion "
        "ask all of them, a way back none. If it is empty, every step asks all of them.",
    )


class Empty(ApiModel):
    """A strategy without settings, written as `{}`."""


class PostPromotion(ApiModel):
    """A watch over the promoted version: if it breaches spec.analysis, the agent goes back by itself."""

    duration_seconds: int = Field(
        ge=1,
        le=2592000,
        description="Seconds after the promotion in which the promoted version is watched. Until they have passed, "
        "other rollouts of the agent wait; an undo does not.",
    )


class Strategy(
    ApiModel,
    json_schema_extra=rules(
        exactly_one("immediate", "canary", "evaluateOnly", where="strategy"),
        Rule(
            "!has(self.postPromotion) || !has(self.evaluateOnly)",
            "strategy.postPromotion needs immediate or canary: with evaluateOnly nothing is promoted",
            field="postPromotion",
        ),
    ),
):
    """How the traffic moves to the candidate; exactly one member is set."""

    immediate: Empty | None = Field(
        default=None,
        description="Moves all traffic to the candidate as soon as the evaluation passed. Written as `{}`.",
    )
    canary: Canary | None = Field(
        default=None,
        description="Moves the traffic in weighted steps with analysed pauses. `{}` uses the default steps.",
    )
    evaluate_only: Empty | None = Field(
        default=None, description="Evaluates the candidate and moves no traffic. Written as `{}`."
    )
    post_promotion: PostPromotion | None = Field(
        default=None,
        description="Watch over the promoted version. A breach of spec.analysis goes back to the version before by "
        "itself. If it is empty, nothing is watched after the promotion.",
    )
    on_active: OnActive | None = Field(
        default=None,
        description="What this rollout does while another one of the agent is active. Queue waits for its turn, by the "
        "time of creation. Supersede aborts the active one first, if that was created earlier and is not promoting; it "
        "does so only when it could begin itself. If it is empty, it is Queue.",
    )


class Analysis(ApiModel):
    """Limits that abort the rollout when the canary exceeds them. The data are reports of the agents' processes.

    The canary is compared session by session. A canary that is as good as stable is aborted in under 1 of 100 rollouts.
    """

    min_requests: int | None = Field(
        default=None,
        ge=1,
        le=1000000,
        description="Number of requests that the canary must have answered before a pause can end. It is strict: a "
        "rollout that never gets there ends at its deadline. If it is empty, a pause ends when its healthy time is "
        "over, and a person is asked before a weight above 50 percent and before the promotion if the canary has had "
        "too few sessions to be trusted (at least 6, and 15 where more were expected).",
    )
    accept_low_traffic: bool | None = Field(
        default=None,
        description="True promotes without asking a person although the canary has had only a few sessions, at least "
        "one, and none of them failed. If it is empty or false, a person is asked.",
    )
    max_error_points: Points = Field(
        default="2",
        description="Percentage points by which the canary's share of sessions with an error may exceed the stable "
        "track's. The rollout is aborted when it is shown that the canary exceeds it.",
    )
    max_error_percent: (
        Annotated[
            Points,
            Rule("double(self) > 0.0", "write a percentage above 0, such as 20, or leave the field out"),
        ]
        | None
    ) = Field(
        default=None,
        description="Absolute limit of the canary's share of sessions with an error, in percent. The rollout is "
        "aborted when it is shown that the canary exceeds it, also while the stable track fails as often. If it is "
        "empty, the canary is only compared with the stable track.",
    )
    max_latency_ratio: Annotated[
        Fraction, Rule("double(self) >= 1.0", "write a factor of at least 1, such as 1.5")
    ] = Field(
        default="1.5",
        description="Factor by which the slowest request of the canary's sessions may be slower than that of the "
        "stable track's, as a decimal string. The rollout is aborted when it is shown that the canary exceeds it.",
    )
    latency_floor_milliseconds: int = Field(
        default=100,
        ge=0,
        le=600000,
        description="Latency in milliseconds below which no session of the canary counts as slow.",
    )
    exclude_points: (
        Annotated[
            Points,
            Rule("double(self) > 0.0", "write percentage points above 0, such as 10, or leave the field out"),
        ]
        | None
    ) = Field(
        default=None,
        description="Difference in percentage points that a pause waits to exclude: it ends only when it is shown with "
        "a confidence of 95 percent that the canary's share of sessions with an error is above the stable track's by "
        "less. Where nothing fails, it takes 65, 32 or 15 sessions for 5, 10 or 20 points. If it is empty, no pause "
        "waits for it.",
    )
    metrics: tuple[AnalysisMetric, ...] = Field(
        default=(),
        max_length=MOST_METRICS,
        json_schema_extra=METRICS_LIST,
        description="Metrics of Prometheus and LangSmith that are measured while the canary has traffic, besides those "
        "of the AgentModel's analysis.metrics. It may be empty.",
    )


_IMMUTABLE = (
    "agentModelRef",
    "candidate",
    "evaluation",
    "strategy",
    "analysis",
    "maxUSD",
    "progressDeadlineSeconds",
    "requestedBy",
)


class RolloutSpec(
    ApiModel,
    json_schema_extra=rules(
        *(immutable(name, "a Rollout runs only once; create a new Rollout") for name in _IMMUTABLE),
        latch("abort", "create a new Rollout"),
        Rule(
            "!has(self.evaluation) || !has(self.evaluation.onInconclusive) || "
            "self.evaluation.onInconclusive != 'RequireApproval' || has(self.strategy.canary)",
            "evaluation.onInconclusive RequireApproval needs strategy.canary: without a canary nothing could be tried "
            "on a part of the sessions",
            field="evaluation",
        ),
        Rule(
            "!has(self.strategy.canary) || !has(self.strategy.canary.steps) || "
            "self.strategy.canary.steps.map(s, has(s.pause) && has(s.pause.durationSeconds) ? "
            "s.pause.durationSeconds : (has(s.analysis) && has(s.analysis.timeoutSeconds) ? "
            "s.analysis.timeoutSeconds : 0)).sum() < "
            "self.progressDeadlineSeconds",
            "progressDeadlineSeconds must be longer than the pauses of canary.steps, and the timeouts of its analysis "
            "steps, together: raise it, or shorten them",
            field="progressDeadlineSeconds",
        ),
        *PROMOTE_RULES,
    ),
):
    """The desired state. `paused`, `promote`, `abort`, `ignoreFreeze` and `approval` alone are mutable."""

    agent_model_ref: LocalReference = Field(
        description="AgentModel, in the same namespace, of the agent whose traffic moves."
    )
    candidate: Candidate = Field(
        description="Model that the rollout tests and may promote; exactly one member is set."
    )
    evaluation: Evaluation = Field(
        default_factory=Evaluation,
        description="Comparison of the candidate with the stable model on held-out examples, before any traffic moves.",
    )
    strategy: Strategy = Field(
        default_factory=lambda: Strategy(canary=Canary()),
        description="How the traffic moves after the evaluation passed; exactly one member is set. By "
        "default a canary with the default steps.",
    )
    analysis: Analysis = Field(
        default_factory=Analysis,
        description="Limits that abort the rollout when the canary exceeds them.",
    )
    max_usd: Money = Field(
        alias="maxUSD",
        description="Maximum cost in US dollars of evaluating and trying the candidate, including its "
        "endpoint and the calls to OpenRouter. A higher estimate is refused before anything is spent.",
    )
    progress_deadline_seconds: int = Field(
        default=172800,
        ge=10,
        le=2592000,
        description="Seconds from status.startedAt after which an unfinished rollout is aborted. All "
        "traffic goes back to stable.",
    )
    paused: bool = Field(
        default=False,
        description="While true, the rollout does not begin its next step. An abort, the analysis and the "
        "deadline still act, and promote waits.",
    )
    promote: PromoteRequest | None = Field(
        default=None,
        description="What a person has opened of the canary's steps. It only grows. An abort, a breach, paused and a "
        "missing approval go before it.",
    )
    abort: bool = Field(
        default=False,
        description="Set to true to abort the rollout: all traffic goes back to stable. It cannot be unset.",
    )
    ignore_freeze: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="Why this rollout goes on inside a freeze window of its AgentModel, such as an incident's number. "
        "An emergency stop still holds it. It is empty unless a person decides so.",
    )
    requested_by: Username | None = Field(
        default=None,
        description="Name of the person who asks for the rollout, as the API server knows it. The admission "
        "policies refuse the name of another user unless the creator has the verb `request-for`. Required "
        "if the AgentModel's approvalPolicy forbids self-approval; otherwise it may be empty.",
    )
    approval: Approval | None = Field(
        default=None,
        description="Approval of the offer in status.offer. `modelops approve` writes it. The admission policies "
        "require the verb `approve`. It is empty until then.",
    )


class RolloutPhase(StrEnum):
    """The phases of a Rollout; the last four are final."""

    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"
    PROVISIONING = "Provisioning"
    EVALUATING = "Evaluating"
    PROGRESSING = "Progressing"
    PROMOTING = "Promoting"
    SUCCEEDED = "Succeeded"
    REJECTED = "Rejected"
    ABORTED = "Aborted"
    FAILED = "Failed"


class ApprovalStage(StrEnum):
    """What a person approves."""

    COST = "Cost"
    INCONCLUSIVE = "Inconclusive"
    PROMOTION = "Promotion"


class RolloutOffer(StatusModel):
    """What a person is asked to approve, and what it costs up to production."""

    stage: ApprovalStage = Field(
        description="What is approved. Cost: evaluating and trying the candidate may be paid for. Inconclusive: the "
        "candidate may be tried at the canary's first weight, although the evaluation decided nothing. Promotion: "
        "after that it may get the other weights and be promoted."
    )
    high_usd: Money = Field(
        alias="highUSD",
        description="Highest cost in US dollars of what is approved. It is reserved after the approval.",
    )
    evaluation_usd: Money = Field(
        default="0.00",
        alias="evaluationUSD",
        description="Part of highUSD for the evaluation: the candidate's endpoint, its start included, and calls.",
    )
    calls_usd: Money = Field(
        default="0.00",
        alias="callsUSD",
        description="Part of evaluationUSD for calls that are billed one by one, such as those of OpenRouter.",
    )
    examples: int = Field(
        default=0,
        ge=0,
        description="Number of examples that both models would be asked; with a second look those of both.",
    )
    first_look_examples: int = Field(
        default=0,
        ge=0,
        description="Part of examples for the first of two looks. 0 without evaluation.topUp.",
    )
    second_look_if_equal: Measured | None = Field(
        default=None,
        description="Probability that the second look is needed for a candidate which is as good as the stable model. "
        "Empty without evaluation.topUp.",
    )
    canary_usd: Money = Field(
        default="0.00", alias="canaryUSD", description="Part of highUSD for the canary's endpoint."
    )
    standing_usd_per_month: Money | None = Field(
        default=None,
        alias="standingUSDPerMonth",
        description="Cost of serving the candidate after a promotion, in US dollars per month. Empty if the rollout "
        "promotes nothing, or its endpoint serves already.",
    )
    baseline_usd_per_month: Money | None = Field(
        default=None,
        alias="baselineUSDPerMonth",
        description="Cost of the stable model's endpoint, in US dollars per month. Empty for a model that is billed "
        "per call.",
    )
    baseline_use: BaselineUse | None = Field(
        default=None,
        description="What the stable model was used for in the 30 days before the evaluation was planned, and what "
        "that cost. Empty for an undo.",
    )
    break_even_requests_per_day: int | None = Field(
        default=None,
        ge=0,
        description="Requests a day from which the candidate's endpoint is cheaper than the stable model. Empty if the "
        "stable model has an endpoint of its own, or the price of its requests is not known.",
    )
    forecast: str = Field(
        default="",
        max_length=1024,
        description="What the canary will see, from status.forecast. Empty without a canary, and for a promotion.",
    )
    why: str = Field(default="", max_length=1024, description="Why a person must approve, for people.")
    asked_at: datetime = Field(
        description="Time of the first offer; an offer that is renewed keeps it. After a week without an approval the "
        "rollout ends."
    )
    valid_until: datetime | None = Field(
        default=None,
        description="Time until which the offer can be approved. Empty while the operator makes a new one.",
    )


class GivenApproval(StatusModel):
    """An approval that the rollout has used."""

    stage: ApprovalStage = Field(description="What the person approved.")
    approved_by: str = Field(
        default="",
        max_length=512,
        description="Person who approved, as the API server knew them. Empty if the approval was removed at once.",
    )
    digest: str = Field(max_length=80, description="Digest of the approved offer.")
    at: datetime = Field(description="Time at which the rollout went on.")


class CandidateStatus(StatusModel):
    """The model that spec.candidate was resolved to."""

    version: str = Field(
        max_length=64,
        description="Version of the candidate, such as v1.1.0-rc.1. A promotion drops the suffix.",
    )
    model: str = Field(
        max_length=193, description="Repository of the candidate on the Hub, or its name at its endpoint."
    )
    revision: str = Field(
        default="",
        max_length=64,
        description="Commit of the repository. Empty for a model that is not on the Hub.",
    )
    endpoint: str = Field(
        default="huggingface",
        max_length=32,
        description="Service that answers the candidate's requests: openrouter or huggingface.",
    )
    endpoint_name: str = Field(
        default="",
        max_length=32,
        description="Name of the candidate's Inference Endpoint. Empty if the candidate needs none.",
    )
    endpoint_url: str = Field(
        default="",
        max_length=512,
        description="OpenAI-compatible base URL of the candidate. Empty until its endpoint is ready.",
    )


class ArmResult(StatusModel):
    """The results of one of the two models of an evaluation."""

    success: Measured = Field(description="Share of successful examples, from 0 to 1, as a decimal string.")
    latency_p50_milliseconds: int = Field(
        default=0, ge=0, description="Median latency of the successful calls, in milliseconds."
    )
    latency_p95_milliseconds: int = Field(
        default=0,
        ge=0,
        description="95th percentile of the latency of the successful calls, in milliseconds.",
    )
    usd_per_1000_tokens: Measured = Field(
        default="0",
        description="Cost in US dollars per 1,000 tokens, as a decimal string. 0 if it is not known.",
    )
    errors: int = Field(
        default=0, ge=0, description="Number of calls that failed. Each counts as an unsuccessful answer."
    )


class EvaluationPlan(StatusModel):
    """What the evaluation is likely to show, computed before anything is paid for.

    Probabilities are exact sums for models that disagree as often as assumed; they are from 0 to 1.
    """

    examples: int = Field(
        ge=0,
        description="Number of held-out examples that both models will be asked; with a second look those of both.",
    )
    margin_points: Measured = Field(
        description="Margin in percentage points: that of the spec, or what follows from the number of examples."
    )
    disagreement_points: Measured = Field(
        description="Percentage of examples that only one of the models is assumed to solve: what the agent's last "
        "evaluation on the dataset showed, otherwise 20."
    )
    expected_gain_points: Measured = Field(
        description="Percentage points by which the candidate is expected to be better."
    )
    pass_if_equal: Measured = Field(
        description="Probability that a candidate passes which is as good as the stable model."
    )
    pass_if_expected_gain: Measured = Field(
        description="Probability that a candidate passes which is better by expectedGainPoints."
    )
    pass_if_half_margin_worse: Measured = Field(
        description="Probability that a candidate passes which is worse by half the margin."
    )
    looks: tuple[PlannedLook, ...] = Field(
        default=(),
        max_length=2,
        description="The two looks of evaluation.topUp. Empty without it. The probabilities above are those of a pass "
        "at either look.",
    )
    second_look_if_equal: Measured | None = Field(
        default=None,
        description="Probability that the second look is needed for a candidate which is as good as the stable model. "
        "Empty without evaluation.topUp.",
    )
    minutes: int = Field(
        ge=0,
        description="Estimated minutes for the answers of both models, at the speed that the agent's last evaluation "
        "showed, otherwise at 5 seconds a call.",
    )
    message: str = Field(
        default="",
        max_length=1024,
        description="The plan in sentences, with a way forward where the chance is poor.",
    )


class EvaluationStatus(StatusModel):
    """The plan of the evaluation, and its result once it ended."""

    plan: EvaluationPlan | None = Field(
        default=None,
        description="What the evaluation is likely to show. It is written before anything is paid for; empty before.",
    )

    baseline_use: BaselineUse | None = Field(
        default=None,
        description="What the stable model was used for in the last 30 days, and what that cost. Empty for an undo.",
    )
    target: str = Field(
        default="",
        max_length=16,
        description="What answered: model (the model only, with the prompt contract) or agent. Empty before the "
        "result.",
    )
    examples: int = Field(
        default=0, ge=0, description="Number of held-out examples that both models were asked."
    )
    p95_ceiling: str = Field(
        default="",
        max_length=16,
        description="Whether the candidate's latency is within maxP95Milliseconds: within, breached or unclear. Empty "
        "if there is no limit.",
    )
    baseline: ArmResult | None = Field(default=None, description="Results of the stable model.")
    candidate: ArmResult | None = Field(default=None, description="Results of the candidate's model.")
    difference_points: str = Field(
        default="",
        max_length=16,
        description="Success rate of the candidate minus that of the stable model, in percentage points.",
    )
    interval_points: tuple[Annotated[str, Field(max_length=16)], ...] = Field(
        default=(),
        max_length=2,
        description="Confidence interval of the difference: its lower and its upper end, in percentage points.",
    )
    disagreement_points: str = Field(
        default="",
        max_length=16,
        description="Percentage of examples that only one of the two models solved.",
    )
    margin_points: str = Field(
        default="", max_length=16, description="Margin of the evaluation, in percentage points."
    )
    scorer: str = Field(
        default="",
        max_length=80,
        description="Scorer of the evaluation: its type, and the name of a scorer of your own.",
    )
    threshold: str = Field(
        default="",
        max_length=16,
        description="Lowest score that counted as a success.",
    )
    dataset_version: str = Field(
        default="",
        max_length=300,
        description="Dataset of the evaluation and its version, as `<dataset>@<as of>`.",
    )
    verdict: str = Field(
        default="", max_length=16, description="Verdict of the evaluation: pass, fail or inconclusive."
    )
    recommendation: str = Field(
        default="",
        max_length=16,
        description="Recommendation that follows from the verdict: deploy, review or reject.",
    )
    experiment_url: str = Field(
        default="",
        max_length=1024,
        description="URL of the comparison in LangSmith. Empty if it was not recorded there.",
    )
    calls_usd: Money | None = Field(
        default=None,
        alias="callsUSD",
        description="Cost in US dollars of the calls that are billed one by one, by the service's bills. Empty if an "
        "answer had no bill.",
    )
    report_url: str = Field(
        default="",
        max_length=1024,
        description="URL of the report on the Hub, in the data repository of the candidate. Empty if the candidate has "
        "none, or if the report was not published.",
    )
    recorded: bool = Field(
        default=True, description="Whether LangSmith has every answer and score of the evaluation."
    )
    basis: str = Field(
        default="",
        max_length=80,
        description="Digest of the stable model, the prompt and the dataset that the verdict holds for.",
    )
    candidates_compared: int = Field(
        default=1,
        ge=0,
        description="Number of candidates that were evaluated on this version of the dataset, this one included.",
    )
    judge: JudgeResult | None = Field(
        default=None, description="What the judge said of the answers. Empty without a judge."
    )
    similarity: SimilarityResult | None = Field(
        default=None,
        description="How similar the answers are to the expected ones. Empty without spec.evaluation.similarity.",
    )
    langsmith_feedback: tuple[FeedbackResult, ...] = Field(
        default=(),
        max_length=8,
        description="What LangSmith's own evaluators say of both models. Empty without "
        "spec.evaluation.langsmithFeedback.",
    )
    looks: tuple[LookResult, ...] = Field(
        default=(),
        max_length=2,
        description="The looks that were taken, in order; the last one decided. Empty without spec.evaluation.topUp.",
    )
    production: ProductionResult | None = Field(
        default=None,
        description="What both models made of recent inputs of production. Empty without "
        "spec.evaluation.productionSample.",
    )
    findings: tuple[Annotated[str, Field(max_length=512)], ...] = Field(
        default=(),
        max_length=32,
        description="Remarks on the evaluation for people, one sentence each. Empty if there are none.",
    )


class Intent(StatusModel):
    """The write of the agents' file that the operator is about to make; it is in the status before the write."""

    step: int = Field(
        ge=0,
        description="Number of the step that the write belongs to. 0 tests the reachability at weight 0.",
    )
    weight: int = Field(ge=0, le=100, description="Percentage of sessions that go to the canary.")
    state: str = Field(
        default="Progressing",
        max_length=16,
        description="State in the routing block: Progressing or Promoting.",
    )
    generation: int = Field(ge=0, description="Generation of the routing block that is written.")
    base_resource_version: str = Field(
        default="",
        max_length=32,
        description="metadata.resourceVersion of the ConfigMap that the write is based on.",
    )
    writes: int = Field(default=1, ge=1, description="Number of times that the write was tried.")


class TrackSummary(StatusModel):
    """The reports of the agents about one track since the rollout began."""

    sessions: int = Field(
        default=0,
        ge=0,
        description="Number of sessions that the comparison knows. Those of the stable track include earlier ones.",
    )
    failed_sessions: int = Field(default=0, ge=0, description="Number of these sessions that had an error.")

    requests: int = Field(default=0, ge=0, description="Number of requests on this track.")
    errors: int = Field(default=0, ge=0, description="Number of requests that failed.")
    latency_p95_milliseconds: int = Field(
        default=0, ge=0, description="95th percentile of the latency, in milliseconds."
    )


class AnalysisStatus(StatusModel):
    """The last analysis of the canary."""

    healthy_seconds: int = Field(
        default=0, ge=0, description="Healthy seconds that count towards the current pause."
    )
    stable: TrackSummary | None = Field(
        default=None, description="Reports about the stable track. Empty until the agents report."
    )
    canary: TrackSummary | None = Field(
        default=None, description="Reports about the canary track. Empty until the agents report."
    )
    verdict: str = Field(
        default="",
        max_length=32,
        description="Verdict of the analysis: Healthy (not shown to be worse), Waiting (too little known), BothIll "
        "(stable fails as well) or Breached.",
    )
    evidence: Measured = Field(
        default="",
        description="Evidence that the canary is worse, as a decimal string. From 100 on the rollout is aborted.",
    )
    excluded_points: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="The canary's share of sessions with an error is above the stable track's by less than these "
        "percentage points, with a confidence of 95 percent. Empty while not even 20 points are excluded.",
    )
    message: str = Field(
        default="", max_length=512, description="Numbers that the verdict follows from, for people."
    )
    metrics: tuple[MetricStatus, ...] = Field(
        default=(),
        max_length=2 * MOST_METRICS,
        json_schema_extra=METRICS_LIST,
        description="Metrics of Prometheus and LangSmith. Empty without spec.analysis.metrics.",
    )


class RollbackTimes(StatusModel):
    """The durations of the return to stable, in milliseconds."""

    detect_milliseconds: int = Field(
        default=0,
        ge=0,
        description="From the first bad report to the one that exceeded a limit, in milliseconds.",
    )
    decide_milliseconds: int = Field(
        default=0,
        ge=0,
        description="From the report that exceeded a limit to the decision to abort, in milliseconds.",
    )
    write_milliseconds: int = Field(
        default=0, ge=0, description="From the decision to the written routing, in milliseconds."
    )
    effect_milliseconds: int | None = Field(
        default=None,
        ge=0,
        description="From the written routing to the last agent on stable, in milliseconds. Empty until "
        "every agent confirmed it.",
    )


class RolloutStatus(StatusModel):
    """The observed state, written by the operator."""

    observed_generation: int = Field(
        default=0, ge=0, description="metadata.generation that the operator last reconciled."
    )
    phase: RolloutPhase = Field(
        default=RolloutPhase.PENDING,
        description="Phase of the rollout, for people. Programs should read the conditions.",
    )
    reason: str = Field(
        default="",
        max_length=64,
        description="Reason for the phase: one CamelCase word from the table of reasons.",
    )
    candidate: CandidateStatus | None = Field(
        default=None, description="Model that spec.candidate was resolved to. Empty until it is known."
    )
    evaluation: EvaluationStatus | None = Field(
        default=None,
        description="Plan of the evaluation, and its result once it has a verdict. Empty before it was planned, and "
        "for an undo, which needs none.",
    )
    estimate_usd: Money | None = Field(
        default=None,
        alias="estimateUSD",
        description="Estimated cost of evaluating and trying the candidate, in US dollars.",
    )
    forecast: TrafficForecast | None = Field(
        default=None,
        description="How many sessions the canary will see, and what they could show. Empty before it was planned, and "
        "without spec.strategy.canary.",
    )
    planned_seconds: int | None = Field(
        default=None,
        ge=0,
        description="Seconds for which the candidate's endpoint is paid: its start, the evaluation and the pauses, at "
        "most. 0 if the rollout starts none. Empty before the rollout has the agent's lock.",
    )
    planned_calls_usd: Money | None = Field(
        default=None,
        alias="plannedCallsUSD",
        description="Part of estimateUSD for calls that are billed one by one. Empty before the rollout has the "
        "agent's lock.",
    )
    standing_usd_per_month: Money | None = Field(
        default=None,
        alias="standingUSDPerMonth",
        description="Estimated cost of serving the candidate after a promotion, in US dollars per month.",
    )
    offer: RolloutOffer | None = Field(
        default=None,
        description="Offer that a person must approve. Empty if the rollout waits for no approval.",
    )
    approval_digest: str = Field(
        default="",
        max_length=80,
        description="Digest that an approval must name. It covers the rollout, both models, the prompt, the hardware "
        "and the cost at the time of the offer. Empty if the rollout waits for no approval.",
    )
    approvals: tuple[GivenApproval, ...] = Field(
        default=(), max_length=8, description="Approvals that the rollout has used, in order."
    )
    step: int = Field(
        default=0,
        ge=0,
        description="Number of the current step of spec.strategy.canary.steps; the first one is 1. 0 before it began.",
    )
    weight: int = Field(default=0, ge=0, le=100, description="Percentage of sessions that go to the canary.")
    intent: Intent | None = Field(
        default=None,
        description="Last write of the agents' file that the operator decided. Empty before the first.",
    )
    promoting: bool = Field(
        default=False, description="Whether a promotion was decided. Once true it cannot be unset."
    )
    abort_reason: str = Field(
        default="",
        max_length=64,
        description="Reason for the abort or the rejection. Empty while there is none; once set it cannot be unset.",
    )
    analysis: AnalysisStatus | None = Field(
        default=None, description="Last analysis of the canary. Empty until the canary has traffic."
    )
    propagation_seconds: int | None = Field(
        default=None,
        ge=0,
        description="Seconds from the write of a weight until every expected agent process had confirmed it, for the "
        "last weight above 0 that another step has followed. Empty before, and for an undo, which waits for no agent.",
    )
    rollback: RollbackTimes | None = Field(
        default=None,
        description="Durations of the return to stable, if the rollout had changed the routing and did not succeed. "
        "Detection and decision are measured only where the analysis caused it.",
    )
    started_at: datetime | None = Field(
        default=None, description="Time at which the rollout got the agent's lock. Empty before that."
    )
    step_started_at: datetime | None = Field(
        default=None, description="Time at which the current step began. Empty before the first step."
    )
    finished_at: datetime | None = Field(
        default=None, description="Time at which the rollout ended. Empty until then."
    )
    history: tuple[RolloutTransition, ...] = Field(
        default=(),
        max_length=HISTORY_LENGTH,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"]},
        description="Transitions of phase, reason and step, the oldest first. Of more than 32 the first 12 and the "
        "newest are kept. `modelops explain` tells the story of the rollout from them.",
    )
    conditions: Conditions = Field(
        default=(),
        description="Conditions of the rollout: Ready, Stalled, Reconciling, Approved, EndpointReady, Evaluated, "
        "RoutingPropagated, Finished, Succeeded.",
    )

    @property
    def evaluated(self) -> EvaluationStatus | None:
        """The evaluation once it has a verdict: before that it has only its plan."""
        return self.evaluation if self.evaluation is not None and self.evaluation.verdict else None


_LATCHES = Rule(
    "!has(oldSelf.status) || ((!has(oldSelf.status.abortReason) || oldSelf.status.abortReason == '' || "
    "(has(self.status) && has(self.status.abortReason) && self.status.abortReason != '')) && "
    "(!has(oldSelf.status.promoting) || !oldSelf.status.promoting || "
    "(has(self.status) && has(self.status.promoting) && self.status.promoting)))",
    "status.abortReason and status.promoting cannot be unset: create a new Rollout",
)


class Rollout(KubernetesObject[RolloutSpec, RolloutStatus], json_schema_extra=rules(LABEL_NAME, _LATCHES)):
    """A Rollout evaluates a candidate on held-out examples and then moves the agent's traffic to it in steps.

    If the candidate fails the evaluation or the canary exceeds a limit, all traffic goes back to the stable model.
    """

    kind: Literal["Rollout"] = "Rollout"
    status: RolloutStatus = Field(default_factory=RolloutStatus)
