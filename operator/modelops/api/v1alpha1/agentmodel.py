"""AgentModel: the model that serves an agent, its prompt contract, its budget, and its history of versions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.agent_evaluation import AgentEvaluation
from modelops.api.v1alpha1.analysis_metrics import AgentAnalysis
from modelops.api.v1alpha1.approval import ApprovalPolicy
from modelops.api.v1alpha1.cel import Rule, immutable, matches, rules
from modelops.api.v1alpha1.emergency_stop import EmergencyStop
from modelops.api.v1alpha1.freeze import FreezeWindow
from modelops.api.v1alpha1.history import HISTORY_LENGTH, AgentModelTransition
from modelops.api.v1alpha1.judge import JudgeCalibration
from modelops.api.v1alpha1.meta import (
    AgentName,
    ApiModel,
    Conditions,
    DatasetRef,
    Fraction,
    KubernetesObject,
    Money,
    SecretKeyReference,
    Share,
    StatusModel,
)
from modelops.api.v1alpha1.notification import Notification
from modelops.api.v1alpha1.scorer import Scorer
from modelops.api.v1alpha1.similarity import Embeddings
from modelops.api.v1alpha1.training_config import TrainingConfig

_TOKEN = r"^\S+$"
_URL = r"^https?://[^\s@]+$"
_VARIABLE = r"^[A-Z][A-Z0-9_]*$"


class EndpointKind(StrEnum):
    """The services that answer an agent's requests; the values are those of agents.yaml."""

    HUGGINGFACE = "huggingface"
    OPENROUTER = "openrouter"


class Baseline(ApiModel):
    """The model that serves the agent before the first promotion; its version is v1.0.0."""

    model: str = Field(
        min_length=1,
        max_length=193,
        description="Name of the model at its endpoint, such as `anthropic/claude-3.5-sonnet`.",
    )
    endpoint: EndpointKind = Field(
        description="Service that answers the agent's requests: openrouter or huggingface."
    )
    endpoint_url: Annotated[
        str, matches(_URL, "write an http or https URL without a user or password; keys go into a Secret")
    ] = Field(
        pattern=_URL,
        max_length=512,
        description="OpenAI-compatible base URL of the service, including its version segment (`…/v1`).",
    )
    api_key_env: Annotated[
        str, matches(_VARIABLE, "write the name of an environment variable, such as `HF_TOKEN`, not the key")
    ] = Field(
        pattern=_VARIABLE,
        max_length=64,
        description="Name of the environment variable of the agent's process that holds the API key. Never "
        "the key itself.",
    )


class ConfigMapKeyReference(ApiModel):
    """A reference to one key of a labelled ConfigMap in the same namespace."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description="Name of a ConfigMap in the same namespace. The ConfigMap must carry the label "
        "modelops.code-chef.dev/managed=true.",
    )
    key: str = Field(
        default="agents.yaml",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key of the ConfigMap whose value is the file that the agents read.",
    )


class WorkloadSelector(ApiModel):
    """A selector of the Pods that run the agent."""

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        min_length=1,
        max_length=8,
        description="Labels that every Pod of the agent carries and no other Pod does.",
    )


class AgentConfig(ApiModel):
    """The place where the agent's processes read their configuration."""

    config_map_ref: ConfigMapKeyReference = Field(
        description="The ConfigMap key that the agent's processes mount or watch. The operator changes "
        "this agent's block in it and nothing else. Immutable."
    )
    workload_selector: WorkloadSelector | None = Field(
        default=None,
        description="Selector of the Pods that must confirm each change of routing before the next step. "
        "If it is empty, the processes that reported within the last 60 seconds must confirm it.",
    )


class ParseType(StrEnum):
    """The ways to take the answer from a model's text."""

    TEXT = "text"
    JSON = "json"
    REGEX = "regex"


class ParseRule(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "self.type != 'regex' || has(self.pattern)",
            "parse.pattern is required when parse.type is regex: set the expression whose first group is "
            "the answer",
        )
    ),
):
    """How the answer that is scored is taken from the model's text."""

    type: ParseType = Field(
        default=ParseType.TEXT,
        description="text takes the whole text without surrounding white space. json takes the text as JSON or, if "
        "it has a Markdown fence, the JSON inside, with words around the fence or not. regex takes the "
        "match of `pattern`.",
    )
    pattern: str | None = Field(
        default=None,
        max_length=512,
        description="Python regular expression for the type regex. The answer is its first group, or the "
        "whole match if it has no group. Empty for the other types.",
    )


class Sampling(ApiModel):
    """Sampling parameters of the model in evaluations and smoke tests."""

    temperature: Annotated[Fraction, Rule("double(self) <= 2.0", "write a temperature from 0 to 2")] = Field(
        default="0", description="Sampling temperature from 0 (greedy) to 2, as a decimal string."
    )
    top_p: Share | None = Field(
        default=None,
        description="Probability mass of nucleus sampling, from 0 to 1, as a decimal string. If it is "
        "empty, the service decides.",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=2147483647,
        description="Random seed, for services that accept one. If it is empty, no seed is sent.",
    )


class PromptContract(ApiModel):
    """Jinja2 templates over an example's `inputs` and `outputs`; training, evaluation and smoke tests share them."""

    system: str | None = Field(
        default=None,
        max_length=16384,
        description="Template of the system message. If it is empty, no system message is sent.",
    )
    user: str = Field(
        min_length=1,
        max_length=16384,
        description="Template of the user message, such as `{{ inputs.task }}`.",
    )
    assistant: str = Field(
        min_length=1,
        max_length=16384,
        description="Template of the expected answer, such as `{{ outputs.code }}`: the target of training "
        "and the reference of evaluation.",
    )
    parse: ParseRule | None = Field(
        default=None,
        description="How the answer is taken from the model's text before it is scored. If it is empty, "
        "the whole text is the answer.",
    )
    sampling: Sampling | None = Field(
        default=None,
        description="Sampling parameters of evaluations and smoke tests. If it is empty, sampling is greedy.",
    )
    max_tokens: int = Field(
        default=1024, ge=1, le=131072, description="Limit of the length of an answer, in tokens."
    )
    eos: Annotated[str, matches(_TOKEN, "write one token of the model, such as `<|im_end|>`")] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=_TOKEN,
        description="Special token that ends an answer, such as `<|im_end|>`. Required if the base model "
        "of a TrainingRun is no -Instruct model. If it is empty, the end token of the model's chat "
        "template is used.",
    )


class LangSmithSettings(ApiModel):
    """The LangSmith project and datasets of the agent."""

    project: str | None = Field(
        default=None,
        max_length=200,
        description="Name of the LangSmith project that receives the agent's traces. It may be empty.",
    )
    training_dataset: DatasetRef | None = Field(
        default=None,
        description="Dataset of a TrainingRun that names none. If it is empty, each run must set "
        "spec.dataset.langsmith.",
    )
    evaluation_dataset: DatasetRef | None = Field(
        default=None,
        description="Held-out dataset of a Rollout that names none. Its examples must not be trained on. "
        "If it is empty, each rollout must set spec.evaluation.dataset.",
    )
    scorer: Scorer | None = Field(
        default=None,
        description="How answers to the evaluation dataset are scored in a Rollout that names no scorer.",
    )
    judge: JudgeCalibration | None = Field(
        default=None,
        description="Calibration of the judge that scorer judge may use, as `modelops evaluate calibrate --dataset` "
        "prints it. If it is empty, a judge is a report only.",
    )


class Serving(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "!has(self.minReplica) || !has(self.maxReplica) || self.maxReplica >= self.minReplica",
            "maxReplica must not be below minReplica: raise maxReplica or lower minReplica",
            field="maxReplica",
        )
    ),
):
    """The Hugging Face Inference Endpoint that serves a fine-tuned model."""

    vendor: str = Field(
        default="aws", max_length=32, description="Cloud vendor of the endpoint, as the service names it."
    )
    region: str = Field(
        default="us-east-1", max_length=32, description="Region of the vendor, as the service names it."
    )
    instance_type: str = Field(
        default="nvidia-a10g",
        max_length=64,
        description="Type of the instance, as the service names it, such as `nvidia-a10g`.",
    )
    instance_size: str = Field(
        default="x1",
        max_length=16,
        description="Size of the instance, as the service names it, such as `x1`.",
    )
    accelerator: Literal["cpu", "gpu"] = Field(
        default="gpu", description="Accelerator of the instance type: cpu or gpu."
    )
    min_replica: int = Field(
        default=1,
        ge=0,
        le=16,
        description="Minimum number of replicas. With 0 the endpoint scales to zero when it is idle.",
    )
    max_replica: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Maximum number of replicas. The hourly cost is calculated for this number.",
    )


class Budget(ApiModel):
    """The limits of the agent's spending."""

    monthly_usd: Money = Field(
        default="100",
        alias="monthlyUSD",
        description="Budget in US dollars per calendar month in UTC, for training, evaluation and "
        "endpoints together. A cost that does not fit is refused before it is spent.",
    )
    approval_above_usd: Money = Field(
        default="10",
        alias="approvalAboveUSD",
        description="Threshold in US dollars. A TrainingRun or a Rollout with a higher estimate waits for a "
        "person's approval.",
    )


class SecretRefs(ApiModel):
    """References to the credentials that the operator uses for this agent."""

    hugging_face: SecretKeyReference = Field(
        description="Token for the Hugging Face Hub, Jobs and Inference Endpoints."
    )
    langsmith: SecretKeyReference | None = Field(
        default=None,
        description="LangSmith API key, for datasets and experiments. If it is empty, neither can be used.",
    )
    open_router: SecretKeyReference | None = Field(
        default=None,
        description="OpenRouter API key, to evaluate a model that is served there. It may be empty if no model is.",
    )
    agent: SecretKeyReference | None = Field(
        default=None,
        description="Token that an evaluation sends to spec.evaluation.agent.url, and that the agent expects in "
        "MODELOPS_EVALUATION_TOKEN. It may be empty without that address.",
    )
    prometheus: SecretKeyReference | None = Field(
        default=None,
        description="Bearer token for spec.analysis.prometheus. It may be empty if that Prometheus asks for none.",
    )


_VERSION = r"^v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?$"
_UNDO_ID = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"


class DriftPolicy(StrEnum):
    """What the operator does where somebody changes the stable keys of the agents' file."""

    HOLD = "Hold"
    ADOPT = "Adopt"
    RESTORE = "Restore"


class UndoRequest(ApiModel):
    """An undo that is asked for by the AgentModel itself, as by GitOps. Each id acts once."""

    to: Annotated[str, matches(_VERSION, "write a version as in status.versions, such as v1.0.0")] = Field(
        pattern=_VERSION, max_length=64, description="Version that served before and shall serve again."
    )
    id: Annotated[
        str, matches(_UNDO_ID, "write letters, digits, `.`, `_` and `-`, such as a date or a ticket")
    ] = Field(
        pattern=_UNDO_ID,
        min_length=1,
        max_length=63,
        description="Name of this undo, chosen by you. The operator carries out each id once: to go back again, "
        "also to the same version, use another id.",
    )


class DrillRequest(ApiModel):
    """A rehearsal of a rollback that is asked for. Each id acts once."""

    id: Annotated[
        str, matches(_UNDO_ID, "write letters, digits, `.`, `_` and `-`, such as a date or a ticket")
    ] = Field(
        pattern=_UNDO_ID,
        min_length=1,
        max_length=63,
        description="Name of this rehearsal, chosen by you. To rehearse again, use another id.",
    )


class AgentModelSpec(
    ApiModel,
    json_schema_extra=rules(
        immutable("agent", "create another AgentModel for another agent"),
        Rule(
            "self.config.configMapRef == oldSelf.config.configMapRef",
            "config.configMapRef is immutable: create another AgentModel for another file",
            field="config.configMapRef",
        ),
        Rule(
            "!has(self.evaluation) || !has(self.evaluation.agent) || !has(self.evaluation.agent.url) || "
            "has(self.secretRefs.agent)",
            "evaluation.agent.url needs secretRefs.agent: who may ask the agent to use a model chooses where its keys "
            "are sent, so the agent takes evaluations with a token only",
            field="secretRefs",
        ),
        Rule(
            "!has(self.secretRefs.prometheus) || (has(self.analysis) && has(self.analysis.prometheus))",
            "secretRefs.prometheus needs analysis.prometheus.url: the token is sent to that address only",
            field="secretRefs",
        ),
    ),
):
    """The desired state. `agent` and `config.configMapRef` are immutable."""

    agent: AgentName
    baseline: Baseline = Field(
        description="Model that serves the agent before the first promotion, as version v1.0.0. An edit "
        "corrects v1.0.0 while it serves; after a promotion it has no effect, as BaselineIgnored says."
    )
    config: AgentConfig = Field(description="Place where the agent's processes read which model serves them.")
    prompt: PromptContract | None = Field(
        default=None,
        description="Prompt contract: templates that turn an example into messages. Training, evaluation "
        "and smoke tests share it. Without a prompt contract no model is trained or evaluated.",
    )
    langsmith: LangSmithSettings | None = Field(
        default=None, description="LangSmith project and datasets of the agent. It may be empty."
    )
    evaluation: AgentEvaluation | None = Field(
        default=None,
        description="How evaluations with target agent ask the agent itself. It may be empty.",
    )
    analysis: AgentAnalysis | None = Field(
        default=None,
        description="Metrics of Prometheus and LangSmith for every canary of this agent. It may be empty.",
    )
    embeddings: Embeddings | None = Field(
        default=None,
        description="Embedding model for evaluation.similarity of Rollouts. It may be empty.",
    )
    training_defaults: TrainingConfig | None = Field(
        default=None,
        description="Training values for every TrainingRun of this agent that does not set its own. If it "
        "is empty, those of the installation are used.",
    )
    serving: Serving = Field(
        default_factory=Serving,
        description="Inference Endpoint that serves a fine-tuned model: its place, hardware and replicas.",
    )
    budget: Budget = Field(
        default_factory=Budget,
        description="Monthly budget of the agent, and the threshold above which a person must approve.",
    )
    notifications: tuple[Notification, ...] = Field(
        default=(),
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        description="Receivers that are told of promotions, aborts, approvals that are asked for, and the like.",
    )
    approval_policy: ApprovalPolicy = Field(
        default_factory=ApprovalPolicy,
        description="Rules for the approval of a cost above the budget's threshold.",
    )
    secret_refs: SecretRefs = Field(
        description="Credentials that the operator uses for this agent: keys of Secrets in the same "
        "namespace that carry the label modelops.code-chef.dev/managed=true."
    )
    allowed_licences: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(),
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Licences, such as `apache-2.0`, that base models, datasets and the models that wrote "
        "their answers may have. A TrainingRun with any other licence is refused. If it is empty, licences "
        "are not checked.",
    )
    rollback_window_seconds: int = Field(
        default=86400,
        ge=0,
        le=2592000,
        description="Seconds that the previous model's endpoint keeps running after a promotion, so that "
        "an undo takes effect at once. The endpoint bills during this time.",
    )
    undo: UndoRequest | None = Field(
        default=None,
        description="Undo to a version that served before. It is carried out at once and once for each id, asks no "
        "agent, and ends the active rollout. It may stay in the spec.",
    )
    drill: DrillRequest | None = Field(
        default=None,
        description="Rehearsal of a rollback: the operator writes the routing anew, with the same models and no "
        "canary, and measures until each agent process has confirmed it. No session moves. status.lastDrill has the "
        "result.",
    )
    provisioning_deadline_seconds: int = Field(
        default=1800,
        ge=10,
        le=86400,
        description="Seconds that an undo waits for the endpoint of its version to start and answer. After that the "
        "undo ends, and the version that serves stays.",
    )
    stop: EmergencyStop | None = Field(
        default=None,
        description="Emergency stop of this agent: nothing new is started, and a canary goes back to stable. Undo goes "
        "on. A namespace and the whole installation are stopped by a ConfigMap.",
    )
    drift_policy: DriftPolicy = Field(
        default=DriftPolicy.HOLD,
        description="What follows where somebody changes the stable keys of the agents' file. Hold says so and starts "
        "no rollout. Adopt takes a version over that served before and that no undo left. Restore puts the keys back, "
        "once after each promotion or undo.",
    )
    freeze: tuple[FreezeWindow, ...] = Field(
        default=(),
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="Times in which no rollout begins, gets more sessions or is promoted. Going back, undo and "
        "analysis go on.",
    )


class ServedVersion(StatusModel):
    """A version that serves requests, or served them."""

    version: str = Field(max_length=64, description="Version in the agent's history, such as v1.1.0.")
    model: str = Field(max_length=193, description="Name of the model at its endpoint.")
    endpoint: EndpointKind = Field(
        description="Service that answers the agent's requests: openrouter or huggingface."
    )
    endpoint_url: str = Field(
        default="",
        max_length=512,
        description="OpenAI-compatible base URL of the service. Empty until the endpoint has one.",
    )
    endpoint_name: str = Field(
        default="",
        max_length=32,
        description="Name of the version's Inference Endpoint. Empty if it has none.",
    )
    revision: str = Field(
        default="", max_length=64, description="Commit of the version's repository. Empty if it is not known."
    )
    since: datetime | None = Field(
        default=None,
        description="Time at which the version last became stable. Empty for the baseline and for a candidate.",
    )


class VersionSummary(StatusModel):
    """One version of the agent's history."""

    version: str = Field(max_length=64, description="Version in the agent's history, such as v1.1.0-rc.1.")
    model: str = Field(
        max_length=193, description="Repository of the model on the Hub, or its name at its endpoint."
    )
    deployment_status: str = Field(
        max_length=32,
        description="Status of the version in the registry: trained, evaluated, rejected, canary_<n>pct (the share at "
        "which its rollout last waited), deployed, rolled_back or superseded.",
    )
    trained_at: datetime | None = Field(
        default=None, description="Time at which the training ended. Empty if it is not known."
    )


class EndpointRole(StrEnum):
    """The purposes of an Inference Endpoint."""

    STABLE = "stable"
    CANARY = "canary"
    PREVIOUS = "previous"
    STOPPING = "stopping"
    DELETING = "deleting"


class EndpointStatus(StatusModel):
    """An Inference Endpoint that this agent owns."""

    name: str = Field(max_length=32, description="Name of the endpoint at the service.")
    role: EndpointRole = Field(
        description="Purpose of the endpoint. stable serves the agent, canary serves a rollout's "
        "candidate, previous waits for an undo, stopping ends soon, and deleting is being deleted."
    )
    model: str = Field(max_length=193, description="Hub repository of the model that the endpoint serves.")
    revision: str = Field(
        default="", max_length=64, description="Commit of the repository that the endpoint serves."
    )
    account: str = Field(
        default="", max_length=96, description="Hugging Face account that is billed for the endpoint."
    )
    state: str = Field(
        default="",
        max_length=32,
        description="State of the endpoint, as the service names it, such as `running`. Empty until the "
        "service listed it.",
    )
    usd_per_hour: Money = Field(
        default="0",
        alias="usdPerHour",
        description="Price of all replicas in US dollars per hour.",
    )
    since: datetime | None = Field(
        default=None, description="Time from which the endpoint's cost is not yet booked."
    )
    stop_after: datetime | None = Field(
        default=None,
        description="Time after which the operator deletes the endpoint. Empty while it is needed.",
    )


class Spend(StatusModel):
    """The agent's spending in the current month, in UTC."""

    month: str = Field(default="", max_length=7, description="Month of these amounts, as YYYY-MM in UTC.")
    reserved_usd: Money = Field(
        default="0",
        alias="reservedUSD",
        description="US dollars reserved for trainings and rollouts that have not ended.",
    )
    settled_usd: Money = Field(
        default="0",
        alias="settledUSD",
        description="US dollars booked for trainings, rollouts and endpoints that ended.",
    )
    standing_usd: Money = Field(
        default="0",
        alias="standingUSD",
        description="US dollars that running endpoints have cost this month in addition, at the time of "
        "the last status update. The budget counts this cost by the minute.",
    )
    budget_usd: Money = Field(
        default="0", alias="budgetUSD", description="Budget of the month in US dollars."
    )


class ActiveRollout(StatusModel):
    """The one rollout that holds the agent's lock."""

    name: str = Field(default="", max_length=253, description="Name of the Rollout in the same namespace.")
    uid: str = Field(max_length=64, description="metadata.uid of the Rollout object.")


class RoutingStatus(StatusModel):
    """How far the routing of the agents' file has reached the agent's processes."""

    generation: int = Field(
        default=0,
        ge=0,
        description="Generation of the routing block in the agents' file. 0 if there is no block.",
    )
    agents_in_sync: int = Field(
        default=0, ge=0, description="Number of agent processes that confirmed this generation."
    )
    agents_total: int = Field(
        default=0, ge=0, description="Number of agent processes that are expected to confirm it."
    )


class UndoStatus(StatusModel):
    """An undo that is accepted and not finished."""

    to: str = Field(max_length=64, description="Version that shall serve again.")
    by: str = Field(
        max_length=128,
        description="Who asked: the uid of a Rollout, field:<id> for spec.undo, direct for `modelops rollback "
        "--direct`, or watch for the watch after a promotion.",
    )
    accepted_at: datetime = Field(description="Time at which the undo was accepted.")
    message: str = Field(default="", max_length=1024, description="What the undo waits for, for people.")


class LastUndo(StatusModel):
    """What became of spec.undo."""

    id: str = Field(max_length=63, description="Value of spec.undo.id that this speaks of.")
    to: str = Field(max_length=64, description="Value of spec.undo.to that this speaks of.")
    outcome: str = Field(
        max_length=64,
        description="Outcome: Promoted if the version serves again, AlreadyServes, Superseded, CandidateNotFound, "
        "EndpointFailed, OverBudget or Deleted.",
    )
    message: str = Field(default="", max_length=1024, description="The outcome in a sentence.")
    at: datetime | None = Field(default=None, description="Time at which the undo ended.")


class WatchStatus(StatusModel):
    """The watch over the version that was promoted last."""

    version: str = Field(max_length=64, description="Version that is watched.")
    back: str = Field(max_length=64, description="Version to which a breach goes back.")
    until: datetime = Field(description="Time at which the watch ends.")
    rollout: str = Field(max_length=253, description="Name of the Rollout that promoted the version.")


class LastDrill(StatusModel):
    """How the newest rehearsal of a rollback ended."""

    id: str = Field(max_length=63, description="Value of spec.drill.id that this speaks of.")
    outcome: str = Field(
        max_length=64,
        description="Outcome: Confirmed if each agent process confirmed the routing, NotConfirmed if some did not in "
        "time, Refused if it was not begun, or Interrupted.",
    )
    message: str = Field(default="", max_length=1024, description="The outcome in a sentence.")
    at: datetime = Field(description="Time at which it began.")
    generation: int = Field(default=0, ge=0, description="Generation of the routing that was written.")
    write_milliseconds: int | None = Field(
        default=None, ge=0, description="From the decision to the written routing, in milliseconds."
    )
    effect_milliseconds: int | None = Field(
        default=None,
        ge=0,
        description="From the written routing to the last confirmation, in milliseconds. Empty if some are missing.",
    )
    agents: int = Field(
        default=0, ge=0, description="Number of agent processes that were expected to confirm."
    )
    unconfirmed: tuple[Annotated[str, Field(max_length=253)], ...] = Field(
        default=(), max_length=32, description="Names of Pods whose processes did not confirm in time."
    )


class AgentModelStatus(StatusModel):
    """The observed state, written by the operator. It is a projection of the agent's record."""

    observed_generation: int = Field(
        default=0, ge=0, description="metadata.generation that the operator last reconciled."
    )
    stable: ServedVersion | None = Field(
        default=None,
        description="Version that serves the agent: what the agents' file names as stable. Empty until the record "
        "exists.",
    )
    canary: ServedVersion | None = Field(
        default=None, description="Candidate of the active rollout. Empty if no rollout is active."
    )
    previous: ServedVersion | None = Field(
        default=None,
        description="Version that served the agent before the stable one. Empty before the first promotion.",
    )
    versions: tuple[VersionSummary, ...] = Field(
        default=(),
        max_length=64,
        description="Versions of the agent's registry, at most the newest 32, newest first.",
    )
    endpoints: tuple[EndpointStatus, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        description="Inference Endpoints that the operator runs for the agent. Each bills by the hour.",
    )
    spend: Spend | None = Field(
        default=None,
        description="Spending of the agent in the current month. Empty until the record exists.",
    )
    active_rollout: ActiveRollout | None = Field(
        default=None, description="Rollout that holds the agent's lock. Empty if none does."
    )
    undo: UndoStatus | None = Field(
        default=None, description="Undo that is accepted and not finished. Empty if there is none."
    )
    last_undo: LastUndo | None = Field(
        default=None, description="What became of spec.undo. Empty until it ended."
    )
    last_drill: LastDrill | None = Field(
        default=None, description="How the newest rehearsal of a rollback ended. Empty before the first."
    )
    watch: WatchStatus | None = Field(
        default=None, description="Watch over the version that was promoted last. Empty if none runs."
    )
    routing: RoutingStatus | None = Field(
        default=None, description="Number of agent processes that confirmed the current routing."
    )
    history: tuple[AgentModelTransition, ...] = Field(
        default=(),
        max_length=HISTORY_LENGTH,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"]},
        description="Moments at which another version served or the readiness changed, the oldest first. Of more "
        "than 32 the first 12 and the newest are kept.",
    )
    conditions: Conditions = Field(
        default=(),
        description="Conditions of the agent: Ready, Stalled, Reconciling, InSync, BudgetAvailable, TargetConflict, "
        "BaselineIgnored.",
    )


class AgentModel(
    KubernetesObject[AgentModelSpec, AgentModelStatus],
    json_schema_extra=rules(
        Rule(
            "self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')",
            "metadata.name must be at most 40 characters and without dots: the names of the record, endpoints "
            "and repositories are derived from it",
        )
    ),
):
    """An AgentModel describes one agent: the model that serves it, its prompt contract, its budget, its credentials.

    Its status has the versions of the agent, the endpoints that bill, and the spending of the month.
    """

    kind: Literal["AgentModel"] = "AgentModel"
    status: AgentModelStatus = Field(default_factory=AgentModelStatus)
