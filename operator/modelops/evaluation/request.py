"""The input of the evaluation program: `input.json`, which the operator writes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget
from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.api.v1alpha1.rollout import Goal
from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.established import require_established
from modelops.domain.gates.evaluation_plan import (
    ASSUMED_CALL_SECONDS,
    ASSUMED_DISAGREEMENT,
    EXPECTED_GAIN,
    default_margin_points,
)
from modelops.workdir import ProgramFailure

ArmName = Literal["baseline", "candidate"]
ARMS: tuple[ArmName, ArmName] = ("baseline", "candidate")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Part):
    """One arm: a model at an OpenAI-compatible `base_url`, with its API key in the environment variable `api_key_env`.

    `service` is `openrouter` or `huggingface`. `key_name` is the object and the field that name the key in messages.
    `usd_per_hour` is the price of the model's endpoint; None where calls are billed. `agent_key_env` is the variable of
    the agent's own process with its key of this model, where the agent is asked.
    """

    model: str
    base_url: str
    api_key_env: str
    version: str
    service: str = ""
    key_name: str = ""
    usd_per_hour: Decimal | None = None
    agent_key_env: str = ""

    @property
    def key(self) -> str:
        """The key's source, for a message."""
        return self.key_name or self.api_key_env


class Arms(_Part):
    """Both arms."""

    baseline: Arm
    candidate: Arm

    def __getitem__(self, name: ArmName) -> Arm:
        return self.baseline if name == "baseline" else self.candidate


class ScorerRule(_Part):
    """The scorer, and the score from which an answer is a success."""

    type: ScorerType
    threshold: Decimal
    name: str | None = None

    @property
    def described(self) -> str:
        """Its type, and the name of a team's own scorer, for a message."""
        return f"{self.type.value} {self.name}" if self.name else self.type.value


class JudgeRule(_Part):
    """The model that judges, and of how many examples. `key_name` names its key in messages."""

    model: str
    max_examples: Annotated[int, Field(ge=1)] = 100
    key_name: str = ""


class AskedAgent(_Part):
    """How the team's agent is asked: at `url`, or as `entry_point`.

    `key_name` names the token for `url` in messages. `max_calls`: calls of a model for one answer; `max_prompt_tokens`:
    of each, for the planned cost.
    """

    url: str = ""
    entry_point: str = ""
    key_name: str = ""
    max_calls: Annotated[int, Field(ge=1)] = 5
    max_prompt_tokens: Annotated[int, Field(ge=1)] = 8192


class ProductionRule(_Part):
    """The newest runs of a LangSmith project whose inputs are asked as well: of so many days before `until`, or now."""

    project: str
    runs: Annotated[int, Field(ge=1)]
    days: Annotated[int, Field(ge=1)]
    until: datetime | None = None


class SimilarityRule(_Part):
    """The embedding model, at an OpenAI-compatible `base_url` (empty: OpenRouter), and of how many examples.

    `service` is `openrouter` or `huggingface`. Without a `model` the AgentModel names none, and the check refuses.
    """

    model: str
    base_url: str = ""
    service: str = "openrouter"
    max_examples: Annotated[int, Field(ge=1)] = 200
    key_name: str = ""


class FeedbackRule(_Part):
    """Keys of the feedback that LangSmith's own evaluators give, and for how long it is waited for."""

    keys: Annotated[tuple[str, ...], Field(min_length=1)]
    wait_seconds: Annotated[float, Field(ge=0)] = 120.0


class CalibrationRule(_Part):
    """The calibration of the judge, as AgentModel `spec.langsmith.judge` has it. `field` names that in messages."""

    model: str
    labels: str
    labels_as_of: str
    said: str
    prompt_digest: str
    digest: str
    field: str = "spec.langsmith.judge"


class HubRevision(_Part):
    """A repository on the Hub at a commit; empty where it is not known, or where there is none."""

    repo: str = ""
    revision: str = ""


class Request(_Part):
    """One evaluation.

    `rollout` is the Rollout's uid, and `project` the LangSmith project with the agent's traces. Without `scorer`
    the evaluation is refused, with a suggestion. `margin_points` and `min_baseline_points` are in percentage
    points; the first follows from the number of questions where it is not given, and the second from the margin.
    `disagree_points`, `expected_gain_points` and `call_seconds` are what the plan assumes
    (`domain.gates.evaluation_plan`). `train_digests` are digests of the inputs that the candidate was trained on,
    where the operator knows them. `training_dataset` is the dataset of the candidate's own training,
    `earlier_datasets` are those of the models that it was trained from, and `base` is the model before them, which
    may have been trained by ModelOps, too. `timeout_seconds`: how long one call may take; `max_p95_ms`: the limit
    of the candidate's 95th percentile. `judge` is reported and decides nothing unless the scorer is judge, which needs
    a `calibration`. `similarity` and `feedback` are reported and decide nothing. `max_examples`: of the first look;
    `top_up_examples`: of both looks together, where there is a second one. `record_seconds`: how long recording in
    LangSmith is retried; the verdict does not need it. `target`: what answers; `asked_agent` is how an agent is asked,
    and None where the AgentModel does not say how. `production` is reported and decides nothing.
    """

    v: Literal[1]
    rollout: str
    agent: str
    dataset: str
    as_of: str | None = None
    project: str | None = None
    arms: Arms
    prompt: PromptContract
    scorer: ScorerRule | None = None
    judge: JudgeRule | None = None
    calibration: CalibrationRule | None = None
    similarity: SimilarityRule | None = None
    feedback: FeedbackRule | None = None
    margin_points: Annotated[Decimal, Field(ge=0, le=100)] | None = None
    min_baseline_points: Annotated[Decimal, Field(ge=0, le=100)] | None = None
    goal: Goal
    alpha: Annotated[Decimal, Field(gt=0, lt=Decimal("0.5"))] = Decimal("0.05")
    repetitions: Annotated[int, Field(ge=1, le=50)] = 1
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    timeout_seconds: Annotated[float, Field(gt=0)] = 120.0
    max_p95_ms: Annotated[int, Field(ge=1)] | None = None
    max_examples: Annotated[int, Field(ge=1)] | None = None
    top_up_examples: Annotated[int, Field(ge=1)] | None = None
    training_dataset: HubRevision = HubRevision()
    earlier_datasets: tuple[HubRevision, ...] = ()
    base: HubRevision = HubRevision()
    disagree_points: Annotated[Decimal, Field(ge=0, le=100)] = ASSUMED_DISAGREEMENT
    expected_gain_points: Annotated[Decimal, Field(ge=0, le=100)] = EXPECTED_GAIN
    call_seconds: Annotated[float, Field(gt=0)] = ASSUMED_CALL_SECONDS
    train_digests: tuple[str, ...] = ()
    record_seconds: Annotated[float, Field(ge=0)] = 45.0
    target: EvaluationTarget = EvaluationTarget.MODEL
    asked_agent: AskedAgent | None = None
    production: ProductionRule | None = None

    @property
    def agent_rule(self) -> AskedAgent | None:
        """How the agent is asked; None where the model is. Raises ProgramFailure where nothing says how."""
        if self.target is EvaluationTarget.MODEL:
            return None
        if self.asked_agent is None:
            raise ProgramFailure(
                "AgentNotCallable",
                "spec.evaluation.target is agent, and nothing says how the agent is asked: set spec.evaluation.agent "
                "of the AgentModel to its url or entryPoint, or leave target out to evaluate the model only",
            )
        return self.asked_agent

    @property
    def answerer(self) -> str:
        """What answers, for a message."""
        return "model only" if self.target is EvaluationTarget.MODEL else "the agent itself"

    def require_scorer(self) -> ScorerRule:
        """The scorer: an evaluation without one is refused when its questions are read."""
        return require_established(self.scorer, "the scorer of the evaluation")

    @property
    def judge_decides(self) -> bool:
        """Whether the preferences of the judge are the metric that decides."""
        return self.scorer is not None and self.scorer.type is ScorerType.JUDGE

    @property
    def margin(self) -> Decimal:
        """The margin in percentage points, which may follow from the number of questions: see `for_questions`."""
        return require_established(self.margin_points, "the margin of the evaluation")

    def for_questions(self, n: int) -> Self:
        """The request with its margin, which follows from the number of questions where none is asked for."""
        if self.margin_points is not None:
            return self
        return self.model_copy(update={"margin_points": default_margin_points(n)})

    @classmethod
    def of(cls, document: Any) -> Request:
        """Raises ProgramFailure InputInvalid, which names every wrong field."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ProgramFailure("InputInvalid", f"input.json: {wrong}") from None
